"""Texts from elsewhere."""

import unittest

import untrusted


class Texts(unittest.TestCase):
    def test_what_acts_on_its_surroundings_is_gone(self):
        for text, expected in [
            ("plain", "plain"),
            ("<b>[a](b)", "<b>[a](b)"),
            ("two\nlines\tand ä 語", "two\nlines\tand ä 語"),
            ("\x1b[1;31mred\x1b[0m \x1b]0;a title\x07a", "red a"),
            ("a\u202eb\u2066c\u200bd\ufeff\u2028e\x00f\x9bg", "abcdefg"),
            ("half \ud800", "half ?"),
        ]:
            self.assertEqual(untrusted.clean(text), expected)

    def test_a_long_text_is_cut_and_says_so(self):
        self.assertEqual(untrusted.clean("abcd", 4), "abcd")
        self.assertEqual(untrusted.clean("abcde", 4), "abc…")
        self.assertEqual(untrusted.clean("äbcde", 4), "äbc…")
        self.assertEqual(len(untrusted.name("a" * 1_000_000)), untrusted.LONGEST_NAME)


if __name__ == "__main__":
    unittest.main()
