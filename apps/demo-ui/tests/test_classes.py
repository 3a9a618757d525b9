"""From numbers to classes, and how an answer is shown."""

import unittest

import numpy as np

import answer
from classes import classes
from server import Answer, Output


def output(name: str, datatype: str, *shape: int, data: list) -> Output:
    return Output(name, datatype, shape, data)


def given(*outputs: Output) -> Answer:
    return Answer("3", list(outputs), b"{}", 12.3)


class Classes(unittest.TestCase):
    def test_probabilities_stay_as_they_are(self):
        found = classes(given(output("p", "FP32", 1, 3, data=[0.2, 0.7, 0.1])), ("a", "b", "c"))
        self.assertEqual((found.names, found.probabilities.tolist()), (("a", "b", "c"), [[0.2, 0.7, 0.1]]))
        self.assertIn("Probabilities as the model gives them", found.note)

    def test_logits_get_a_softmax_which_is_said(self):
        for logits in ([0.0, np.log(3)], [1000.0, 1000 + np.log(3)], [np.log(0.25), np.log(0.75)]):
            found = classes(given(output("z", "FP64", 1, 2, data=logits)), ())
            np.testing.assert_allclose(found.probabilities, [[0.25, 0.75]])
            self.assertEqual((found.names, found.note), (("0", "1"), "Probabilities by softmax of `z`, whose numbers are not probabilities."))

    def test_one_row_that_is_none_makes_all_logits(self):
        found = classes(given(output("z", "FP32", 2, 2, data=[0.5, 0.5, 0.5, 0.4])), ())
        self.assertIn("by softmax", found.note)

    def test_half_precision_may_round(self):
        found = classes(given(output("p", "FP16", 1, 3, data=[0.333, 0.333, 0.333])), ())
        self.assertIn("as the model gives them", found.note)

    def test_of_several_outputs_the_one_called_probabilities_counts(self):
        both = output("logits", "FP32", 1, 2, data=[1, 2]), output("probabilities", "FP32", 1, 2, data=[0.4, 0.6])
        self.assertEqual(classes(given(*both), ()).probabilities.tolist(), [[0.4, 0.6]])
        self.assertIsNone(classes(given(both[0], output("more", "FP32", 1, 2, data=[1, 2])), ()))
        # the other has not as many numbers as there are labels
        self.assertEqual(classes(given(both[0], output("embedding", "FP32", 1, 3, data=[1, 2, 3])), ("a", "b")).names, ("a", "b"))

    def test_what_is_no_classes(self):
        for other in [
            output("y", "FP32", 1, 1, data=[3.5]),
            output("y", "INT64", 1, 2, data=[1, 2]),
            output("y", "FP32", 2, data=[1, 2]),
            output("y", "FP32", 1, 2, 2, data=[1, 2, 3, 4]),
            output("y", "FP32", 0, 2, data=[]),
            output("y", "FP32", 1, 2, data=[None, 1]),
            output("y", "FP32", 1, 2, data=[float("inf"), 1]),
            output("y", "FP32", 1, 2, data=[1]),
            output("y", "FP32", 1, 2, data=["a", {}]),
            output("y", "FP32", 1, -2, data=[1]),
            output("y", "FP32", 10**9, 10**12, data=[1]),
        ]:
            self.assertIsNone(classes(given(other), ()), other)
        self.assertIsNone(classes(given(output("y", "FP32", 1, 2, data=[1, 2])), ("a", "b", "c")))


class Shown(unittest.TestCase):
    def test_few_classes_keep_their_order(self):
        found = classes(given(output("p", "FP32", 1, 3, data=[0.2, 0.7, 0.1])), ("a", "b", "c"))
        shown = answer.content(given(), found, None)
        self.assertEqual((shown["label"], shown["sure"], shown["by"]), ("b", "70.0 % sure", "version 3, in 12 ms"))
        self.assertEqual([(bar["name"], bar["best"]) for bar in shown["bars"]], [("a", False), ("b", True), ("c", False)])

    def test_of_many_classes_the_most_probable_are_shown(self):
        numbers = np.full(1000, 0.0004)
        numbers[[17, 900]] = 0.5, 0.1
        found = classes(given(output("p", "FP32", 1, 1000, data=numbers.tolist())), ())
        shown = answer.content(given(), found, None)
        self.assertEqual([bar["name"] for bar in shown["bars"]][:3], ["17", "900", "0"])
        self.assertEqual(len(shown["bars"]), 10)
        self.assertIn("The 10 most probable of 1000 classes", shown["note"])

    def test_a_tensor_is_shown_in_its_shape_and_bounded(self):
        self.assertEqual(answer.preview(output("y", "FP32", 2, 2, data=[1, 2.5, None, 4])), "[[1.  2.5]\n [nan 4. ]]")
        self.assertEqual(answer.preview(output("y", "INT64", 2, data=[2**62 + 1, -1])), f"[{2**62 + 1} -1]")
        self.assertEqual(answer.preview(output("y", "BOOL", 2, data=[True, False])), "[ True False]")
        self.assertEqual(answer.preview(output("y", "BYTES", 2, data=["a" * 500, "\ud800"])), "a" * 80 + "\n?")
        self.assertIn("and 800 more", answer.preview(output("y", "BYTES", 1000, data=["a"] * 1000)))
        for shape in [(1_000_000,), (1000, 1000), (10, 10, 100, 100), (3,) * 12]:
            self.assertLess(len(answer.preview(output("y", "FP32", *shape, data=np.zeros(shape).ravel().tolist()))), 20_000, shape)
        # as many numbers as the shape does not say
        self.assertEqual(answer.preview(output("y", "FP32", 3, data=[1, 2])), "1\n2")

    def test_names_cannot_be_markup(self):
        found = classes(given(output("p", "FP32", 2, 2, data=[0.2, 0.8, 1, 0])), ("<b>a", "<script>"))
        table = answer._table(found)
        self.assertIn("<td>1</td><td>&lt;script&gt;</td><td>80.0 %</td>", table)
        self.assertNotIn("<b>", table)

    def test_a_share_is_never_rounded_up_to_certainty(self):
        self.assertEqual([answer.percent(share) for share in (0.5, 0.9994, 0.9996, 1)], ["50.0 %", "99.9 %", "over 99.9 %", "over 99.9 %"])


if __name__ == "__main__":
    unittest.main()
