"""Rows from pasted CSV."""

import unittest

import numpy as np

import table
from signature import Tensor

NAMED = Tensor("x", "FP32", (-1, 3), ("age", "height", "weight"))
UNNAMED = Tensor("x", "FP64", (-1, 2))
WHOLE = Tensor("ids", "INT64", (-1, 2))


class Csv(unittest.TestCase):
    def read(self, text: str, tensor: Tensor = NAMED) -> list:
        return table.rows(text, tensor).values.tolist()

    def test_rows_with_each_separator(self):
        for text in ("1,2,3\n4,5,6.5", "1;2;3\n4;5;6.5\n\n", "1\t2\t3\r\n4\t5\t6.5\r\n", ' 1, "2",3\n4 , 5, 6.5'):
            self.assertEqual(self.read(text), [[1, 2, 3], [4, 5, 6.5]], text)

    def test_names_decide_the_order_and_others_are_ignored(self):
        rows = table.rows("class,weight,age,height\ncat,3,1,2\n", NAMED)
        self.assertEqual((rows.values.tolist(), rows.ignored), ([[1, 2, 3]], ("class",)))

    def test_a_header_for_columns_without_names(self):
        self.assertEqual(self.read("a,b\n1,2", UNNAMED), [[1, 2]])
        self.assertEqual(table.columns(UNNAMED), ("x 1", "x 2"))

    def test_values_have_the_tensors_type(self):
        self.assertEqual(table.rows("1,2,3", NAMED).values.dtype, np.float32)
        self.assertEqual(self.read("9007199254740993,-1\n1e3,2.0", WHOLE), [[9007199254740993, -1], [1000, 2]])

    def test_each_mistake_has_its_place(self):
        many = "\n".join(["1,2,3"] * 1001)
        for text, tensor, message in [
            ("", NAMED, "There is no row; paste at least one"),
            (" \n,,\n", NAMED, "There is no row; paste at least one"),
            ("age,height,weight\n", NAMED, "There is no row after the names of the columns in line 1; add at least one"),
            ("1,2,3\n\n4,x,6", NAMED, "Line 3, column 2 (height): `x` is not a number"),
            ("weight,age,height\n1,2,x", NAMED, "Line 2, column 3 (height): `x` is not a number"),
            ("1;2,5;3", NAMED, "Line 1, column 2 (height): `2,5` is not a number; write a point before the decimals"),
            ("1,,3", NAMED, "Line 1, column 2 (height): the cell is empty"),
            ("1,nan,3", NAMED, "Line 1, column 2 (height): `nan` is not a finite number"),
            ("1,1e999,3", NAMED, "Line 1, column 2 (height): `1e999` is not a finite number"),
            ("1,1e39,3", NAMED, "Line 1, column 2 (height): `1e39` does not fit into FP32, which goes from -3.40282e+38 to 3.40282e+38"),
            ("1,1_0,3", NAMED, "Line 1, column 2 (height): `1_0` is not a number"),
            ("1,2", NAMED, "Line 1 has 2 columns, and there must be 3"),
            ("1,2,3\n1,2,3,4", NAMED, "Line 2 has 4 columns, and there must be 3"),
            ("age,size,weight\n1,2,3", NAMED, "Line 1 does not name `height`; the model's columns are age, height, weight"),
            ("age,age,height,weight\n1,2,3,4", NAMED, "Line 1 names `age` twice"),
            ("a,b,c\n1,2,3", UNNAMED, "Line 1 names 3 columns, and the model takes 2"),
            ("1,2.5", WHOLE, "Line 1, column 2 (ids 2): `2.5` is not a whole number"),
            ("1,99999999999999999999", WHOLE, "Line 1, column 2 (ids 2): `99999999999999999999` does not fit into INT64"),
            ('1,"2,3\n', NAMED, "Line 1: unexpected end of data"),
            (many, NAMED, "Line 1001: there are 1001 rows, and at most 1000 are allowed"),
            ("9" * 5000 + ",1", WHOLE, "Line 1, column 1 (ids 1): `9999"),
        ]:
            with self.assertRaises(table.CsvError) as raised:
                table.rows(text, tensor)
            self.assertTrue(str(raised.exception).startswith(message), f"{raised.exception}\n{message}")


if __name__ == "__main__":
    unittest.main()
