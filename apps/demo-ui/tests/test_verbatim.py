"""Names that are not Markdown."""

import unittest

from verbatim import verbatim


class Verbatim(unittest.TestCase):
    def test_plain_names_stay_as_they_are(self):
        for name in ("alcohol", "alcalinity_of_ash", "sepal length (cm)", "od280/od315", "x 1", "a-b", "a:b", "http://127.0.0.1:9/a", "Größe", "T-shirt", ""):
            self.assertEqual(verbatim(name), name)

    def test_markup_is_none(self):
        for name, expected in [
            ("a*b*c", r"a\*b\*c"),
            ("_a_", r"\_a\_"),
            ("[a](http://b)", r"\[a\](http://b)"),
            (":red[a]", r"\:red\[a\]"),
            ("a:red[a]", r"a\:red\[a\]"),
            ("a:smile:", r"a\:smile:"),
            ("a:+1: :100:", r"a\:\+1: \:100:"),
            ("a:material/home:", r"a\:material/home:"),
            ("![a](b)", r"!\[a\](b)"),
            ("<b>", r"\<b>"),
            ("$x$ ~y~ `z`", r"\$x\$ \~y\~ \`z\`"),
            ("# a\n- b", r"\# a \- b"),
            ("1. a", r"1\. a"),
            ("\\*", r"\\\*"),
        ]:
            self.assertEqual(verbatim(name), expected)

    def test_long_names_are_bounded(self):
        self.assertEqual(len(verbatim("a" * 1000)), 80)
        self.assertEqual(len(verbatim("a" * 1000, 600)), 600)


if __name__ == "__main__":
    unittest.main()
