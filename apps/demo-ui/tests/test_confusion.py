"""The confusion matrix."""

import unittest

import confusion
from manager import Confusion

MATRIX = Confusion(("cat", "dog", "eel"), ((90, 8, 2), (4, 100, 0), (1, 0, 50)))


class Content(unittest.TestCase):
    def test_right_answers_and_mistakes_have_shades_of_their_own(self):
        content = confusion.content(MATRIX)
        self.assertEqual(content["rows"], [[(90, 0.9), (8, 1.0), (2, 0.25)], [(4, 0.5), (100, 1.0), (0, 0.0)], [(1, 0.125), (0, 0.0), (50, 0.5)]])

    def test_the_most_frequent_mistakes_are_said(self):
        self.assertEqual(
            confusion.mistakes(MATRIX),
            ["cat was taken for dog: 8 times", "dog was taken for cat: 4 times", "cat was taken for eel: 2 times", "eel was taken for cat: once"],
        )

    def test_without_mistakes_or_answers_there_are_no_shades_too_many(self):
        self.assertEqual(confusion.content(Confusion(("a", "b"), ((3, 0), (0, 0)))), {"labels": ["a", "b"], "rows": [[(3, 1.0), (0, 0)], [(0, 0), (0, 0)]], "mistakes": []})

    def test_of_many_classes_only_the_mistakes_are_shown(self):
        many = range(50)
        content = confusion.content(Confusion(tuple(map(str, many)), tuple(tuple(int(at != column) for column in many) for at in many)))
        self.assertEqual((content["labels"], content["rows"], len(content["mistakes"])), ([], [], 5))


if __name__ == "__main__":
    unittest.main()
