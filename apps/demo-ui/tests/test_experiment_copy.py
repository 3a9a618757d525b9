"""Copies of an experiment's file."""

import unittest

import experiment_copy
from manager import Finding
from stand_in_manager import SOURCE

FLOW = "kind: Experiment\nmetadata: {labels: {a: b}, name: mnist-cnn}\nspec: {dataset: a, sweep: {training.seed: [1, 2]}}\n"
SMALL = "metadata:\n  # the name\n  labels:\n    name_of: a\n  name: 'a'\nspec:\n  sweep:   # a grid\n"


class Copy(unittest.TestCase):
    def test_a_copy_has_another_name_and_all_else_stays(self):
        copy = experiment_copy.begin(SOURCE, "mnist-cnn", {"mnist-cnn", "mnist-cnn-2"})
        expected = SOURCE.replace("name: mnist-cnn  ", "name: mnist-cnn-3  ").replace("  cancelled: [mnist-cnn-0badcafe]\n", "")
        self.assertEqual(copy, expected)

    def test_the_name_is_found_however_it_is_written(self):
        for source, name in ((SOURCE, "mnist-cnn"), (FLOW, "mnist-cnn"), (SMALL, "a"), ("metadata:\n    name:    b # c\n", "b"), ("spec:\n  name: c\n", ""), ("", "")):
            self.assertEqual(experiment_copy.name(source), name)
        self.assertEqual(experiment_copy.renamed(FLOW, "b"), FLOW.replace("mnist-cnn", "b"))
        self.assertEqual(experiment_copy.renamed("spec: {}\n", "b"), "spec: {}\n")
        self.assertEqual(experiment_copy.name(experiment_copy.renamed(SOURCE, r"\1\g<0>")), r"\1\g<0>")

    def test_a_free_name_has_the_next_number(self):
        for name, taken, expected in [
            ("a", set(), "a-2"),
            ("a", {"a", "a-2", "a-3"}, "a-4"),
            ("a-2", {"a-2"}, "a-3"),
            ("mnist-10000", {"mnist-10000"}, "mnist-10000-2"),
            ("a" * 47 + "-b", set(), "a" * 47 + "-2"),
        ]:
            self.assertEqual(experiment_copy.free(name, taken), expected)

    def test_swept_values_are_read_and_written(self):
        swept = experiment_copy.swept(SOURCE)
        self.assertEqual(swept, {"training.optimizer.learningRate": "0.001, 0.003, 0.01", "model.dropout": "0.1, 0.25, 0.5"})
        changed = experiment_copy.with_values(SOURCE, "model.dropout", " 0.3 ")
        self.assertEqual(changed, SOURCE.replace("[0.1, 0.25, 0.5]", "[0.3]"))
        self.assertEqual(experiment_copy.with_values(SOURCE, "training.seed", "1"), SOURCE)

    def test_only_lists_in_one_line_of_the_sweep_are_fields(self):
        source = SMALL + "    a: [1, 2]  # two\n\n  # a comment\n    b:\n      - 1\n    c: 3\n    d: [[1], [2]]\n  workers: {count: 2}\n    e: [1]\n"
        self.assertEqual(experiment_copy.swept(source), {"a": "1, 2"})
        self.assertIn("    a: [5]  # two\n", experiment_copy.with_values(source, "a", "5"))
        self.assertEqual(experiment_copy.swept(FLOW), {})
        self.assertEqual(experiment_copy.swept(""), {})

    def test_trials_that_the_original_does_not_run_are_left_out(self):
        for cancelled in ("  cancelled: [a-1, a-2]  # both\n", "  cancelled:\n    - a-1\n    - a-2\n", "  cancelled: # both\n  - a-1\n  - a-2\n", "  cancelled: [\n    a-1\n  ]\n"):
            source = f"metadata:\n  name: a\nspec:\n{cancelled}  rerun: 2\n"
            self.assertEqual(experiment_copy.begin(source, "a", {"a"}), "metadata:\n  name: a-2\nspec:\n  rerun: 2\n")

    def test_an_excerpt_marks_the_place(self):
        self.assertEqual(experiment_copy.excerpt("a: 1\nb: fast\n", Finding(2, 4, "", "")), "   1 | a: 1\n   2 | b: fast\n     |    ^")
        self.assertEqual(experiment_copy.excerpt("a: 1\n", Finding(1, 0, "", "")), "   1 | a: 1")
        long = f"a: [{'1, ' * 100}fast]"
        lines = experiment_copy.excerpt(long, Finding(1, long.index("fast") + 1, "", "")).split("\n")
        self.assertEqual(lines[0][lines[1].index("^") :][:4], "fast")
        for line in (0, 3, 9):
            self.assertIsNone(experiment_copy.excerpt("a: 1\n", Finding(line, 1, "", "")))

    def test_no_text_takes_long(self):
        for text in ("metadata:\n" + " #\n" * 20_000, "metadata:\n" + "  a\n" * 20_000, "metadata: {" + " ," * 20_000, "  cancelled:\n" + "  - a\n" * 20_000, "  sweep:\n" + "   a" * 20_000):
            experiment_copy.begin(text, "a", ())
            experiment_copy.swept(text)


if __name__ == "__main__":
    unittest.main()
