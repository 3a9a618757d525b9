"""Requests as JSON."""

import json
import unittest

import json_request
from signature import Signature, Tensor

SIGNATURE = Signature(
    (Tensor("ids", "INT64", (-1, 4)), Tensor("mask", "BOOL", (-1, 2)), Tensor("text", "BYTES", (1,))), (Tensor("y", "FP32", (-1, 2)),)
)
LARGE = Signature((Tensor("x", "FP32", (-1, 60, 60)),), (Tensor("y", "FP32", (-1, 2)),))


class Requests(unittest.TestCase):
    def sent(self, text: str) -> dict:
        return json.loads(json_request.request(text).body)

    def test_the_first_request_is_zeros_and_is_sent_as_it_is(self):
        text = json_request.zeros(SIGNATURE)
        self.assertEqual(json_request.request(text).body, text.encode())
        self.assertEqual(
            self.sent(text)["inputs"],
            [
                {"name": "ids", "datatype": "INT64", "shape": [1, 4], "data": [0, 0, 0, 0]},
                {"name": "mask", "datatype": "BOOL", "shape": [1, 2], "data": [False, False]},
                {"name": "text", "datatype": "BYTES", "shape": [1], "data": [""]},
            ],
        )
        self.assertEqual(len(text.splitlines()), 7)
        self.assertFalse(json_request.hides_numbers(SIGNATURE))

    def test_many_zeros_are_an_empty_list(self):
        text = json_request.zeros(LARGE)
        self.assertLess(len(text), 200)
        self.assertTrue(json_request.hides_numbers(LARGE))
        self.assertEqual(self.sent(text)["inputs"][0]["data"], [0] * 3600)

    def test_names_of_any_kind(self):
        odd = Signature((Tensor('a "b"\n😀', "FP32", (2,)),), LARGE.outputs)
        self.assertEqual(self.sent(json_request.zeros(odd))["inputs"][0]["name"], 'a "b"\n😀')

    def test_each_mistake_has_its_place(self):
        for text, message in [
            ('{"inputs": [\n  {"name": x}\n]}', "Line 2, column 12: expecting value"),
            ('{"inputs": [],\n}', "Line 2, column 1: expecting property name enclosed in double quotes"),
            ('{"inputs": []} x', "Line 1, column 16: extra data"),
            ('{"inputs": [', "Line 1, column 13: the request ends too early"),
            ("", "Line 1, column 1: the request ends too early"),
            ('{"a\nb": 1}', "Line 1, column 4: invalid control character"),
            ("[]", "Line 1, column 1: the request must be an object with a list `inputs`"),
            ('{"inputs": {}}', "Line 1, column 1: the request must be an object with a list `inputs`"),
            ('{"inputs": ' + "[" * 100_000, "The request has a number of too many digits, or lists in lists"),
            ('{"inputs": [' + "9" * 10_000 + "]}", "The request has a number of too many digits"),
            ('{"inputs": [], "a": "' + "a" * (4 << 20) + '"}', "The request has 4,194,327 bytes, and at most 4,194,304 are allowed"),
        ]:
            with self.assertRaises(json_request.JsonError) as raised:
                json_request.request(text)
            self.assertTrue(str(raised.exception).startswith(message), f"{raised.exception}\n{message}")

    def test_the_place_is_shown(self):
        with self.assertRaises(json_request.JsonError) as raised:
            json_request.request("{" + " " * 100 + "x" + " " * 100)
        line, mark = raised.exception.excerpt.split("\n")
        self.assertEqual((line[mark.index("^")], len(line)), ("x", 60))

    def test_what_the_server_judges_is_sent(self):
        for inputs in ([1], [{"data": []}], [{"datatype": "FP32", "shape": [-1], "data": []}], [{"datatype": "FP32", "shape": [1 << 40], "data": []}]):
            text = json.dumps({"inputs": inputs})
            self.assertEqual(json_request.request(text).body, text.encode())


if __name__ == "__main__":
    unittest.main()
