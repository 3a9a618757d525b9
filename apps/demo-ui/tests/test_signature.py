"""Which form a signature gets."""

import unittest

from signature import Form, Signature, Tensor

OUT = (Tensor("y", "FP32", (-1, 10)),)


def form(*inputs: Tensor, labels: tuple[str, ...] = ()) -> Form:
    return Signature(inputs, OUT, labels).form


class Forms(unittest.TestCase):
    def test_each_signature_has_its_form(self):
        for datatype, shape, expected in [
            ("FP32", (-1, 1, 28, 28), Form.DRAWING),
            ("FP32", (1, 1, 28, 28), Form.DRAWING),
            ("UINT8", (-1, 1, 28, 28), Form.PICTURE),
            ("FP32", (-1, 1, 8, 8), Form.PICTURE),
            ("FP32", (-1, 3, 28, 28), Form.PICTURE),
            ("FP16", (-1, 3, 224, 224), Form.PICTURE),
            ("FP32", (-1, 3, -1, -1), Form.PICTURE),
            ("FP32", (8, 3, 32, 32), Form.JSON),
            ("FP32", (-1, 2, 32, 32), Form.JSON),
            ("FP32", (-1, -1, 32, 32), Form.JSON),
            ("FP32", (-1, 3, 4096, 4096), Form.JSON),
            ("FP32", (-1, 3, 32, 0), Form.JSON),
            ("BF16", (-1, 3, 32, 32), Form.JSON),
            ("INT64", (-1, 3, 32, 32), Form.JSON),
            ("FP32", (-1, 13), Form.TABLE),
            ("INT64", (1, 4), Form.TABLE),
            ("FP64", (-1, 50), Form.TABLE),
            ("FP32", (-1, 51), Form.JSON),
            ("FP32", (-1, -1), Form.JSON),
            ("FP32", (-1, 0), Form.JSON),
            ("BOOL", (-1, 4), Form.JSON),
            ("BYTES", (-1, 4), Form.JSON),
            ("FP32", (-1,), Form.JSON),
            ("FP32", (), Form.JSON),
            ("FP32", (-1, 5, 6), Form.JSON),
        ]:
            self.assertEqual(form(Tensor("x", datatype, shape)), expected, (datatype, shape))

    def test_several_inputs_are_json(self):
        self.assertEqual(form(Tensor("a", "FP32", (-1, 2)), Tensor("b", "FP32", (-1, 2))), Form.JSON)

    def test_letters_are_drawn_and_shirts_uploaded(self):
        image = Tensor("image", "FP32", (-1, 1, 28, 28))
        self.assertEqual(form(image, labels=tuple("ABC")), Form.DRAWING)
        self.assertEqual(form(image, labels=("T-shirt", "Trouser")), Form.PICTURE)


if __name__ == "__main__":
    unittest.main()
