"""Reports as elements of the page."""

import unittest

from report import Fold, elements, lines, without_html

CHART = """```mermaid
%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#0969da, #bc4c00"}}}}%%
xychart-beta
    title "accuracy"
    x-axis "step" 1 --> 3
    y-axis "accuracy" 0.1875 --> 0.9375
    line [0.5, 0.75, 0.875]
```"""
DIFF = "```diff\n@@ -1 +1 @@\n </details>\n<details><summary>a</summary>\n<!-- b -->\n```"
OBJECT = f"<details><summary><code>&#43; TrainJob training/a</code></summary>\n\n{DIFF}\n</details>"


class Report(unittest.TestCase):
    def test_texts_and_folds_come_in_their_order(self):
        report = f"### Slipway\n\n- a\n\n<details><summary>local</summary>\n\nb\n\n{CHART}\n\n</details>\n\nc\n\n<details><summary>1 plan</summary>\n\n- d\n</details>\n"
        self.assertEqual(list(elements(report)), ["### Slipway\n\n- a", Fold("local", f"b\n\n{CHART}"), "c", Fold("1 plan", "- d")])

    def test_folds_within_folds_come_with_the_outer_one(self):
        outer = Fold("local", f"a\n\n{OBJECT}\n\n{OBJECT}")
        self.assertEqual(list(elements(f"<details><summary>local</summary>\n\n{outer.markdown}\n\n</details>\n")), [outer])
        inner = Fold("<code>&#43; TrainJob training/a</code>", DIFF)
        self.assertEqual(list(elements(outer.markdown)), ["a", inner, inner])

    def test_nothing_in_code_is_a_fold(self):
        for code in (DIFF, f"````\n```\n{DIFF}\n```\n````", f"~~~\n{DIFF}\n~~~", DIFF.removesuffix("\n```")):
            self.assertEqual(list(elements(code)), [code])

    def test_what_slipway_keeps_for_itself_is_left_out(self):
        self.assertEqual(list(elements('a\n\n<!-- slipway:plans {"now":{}} -->\n')), ["a"])
        self.assertEqual(list(elements("<!-- a -->")), [])

    def test_damaged_folds_lose_nothing(self):
        self.assertEqual(list(elements("a\n<details><summary>b</summary>\nc")), ["a", Fold("b", "c")])
        self.assertEqual(list(elements("a\n</details>\nb")), ["a\n</details>\nb"])
        self.assertEqual(list(elements("<details>\n<summary>a</summary>\nb")), ["<details>\n<summary>a</summary>\nb"])
        self.assertEqual(list(elements("")), [])

    def test_html_of_reports_becomes_markdown(self):
        self.assertEqual(without_html("| <code>a&#92;&#124;&#64;<wbr>b</code> | c<br>d |"), "| a&#92;&#124;&#64;b | c · d |")
        self.assertEqual(without_html("[<code>a&#124;b</code>](https://x.example/)"), "[a&#124;b](https://x.example/)")

    def test_marks_of_a_legend_need_no_font(self):
        blue = ':color[■]{foreground="#0969da"}'
        self.assertEqual(without_html("`loss` (🟦 `a`, `🟪`):"), f"`loss` ({blue} `a`, `🟪`):")

    def test_code_stays_as_it_is(self):
        for text in ("`<code>`", "``a`<br>``", "`loss` is `0.3`, but `< 0.2`", f"```\n<code>a</code><br>\n```\n{CHART}"):
            self.assertEqual(without_html(text), text)

    def test_no_other_html_is_touched(self):
        hostile = "<script>a</script><img src=x onerror=a> <code class=a>"
        self.assertEqual(without_html(hostile), hostile)

    def test_a_fence_ends_with_one_like_it(self):
        text = "```` a\n```\n~~~\n````\nb\n``` c`\n    ```\n`````\nd"
        self.assertEqual([is_code for _, is_code in lines(text)], [True, True, True, True, False, False, False, True, True])


if __name__ == "__main__":
    unittest.main()
