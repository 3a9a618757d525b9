"""A report's Markdown as elements of the page. Streamlit draws its tables and charts; what is folded away becomes an expander.

Streamlit would run what HTML can run, so it gets none: the little that reports have becomes Markdown, and all other stays text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import streamlit as st

OPENED = re.compile(r"<details>\s*<summary>(.*)</summary>\s*")
CLOSED = "</details>"
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
# What Slipway keeps in a report for itself.
COMMENT = re.compile(r"<!--.*-->\s*")
# The colours of a chart's lines by their marks in the legend, which need a font that not every machine has: crates/report/src/chart.rs has them too.
COLOURS = {"🟦": "#0969da", "🟧": "#bc4c00", "🟩": "#1a7f37", "🟥": "#cf222e", "🟪": "#8250df"}
INSTEAD = {"<br>": " · "} | {mark: f':color[■]{{foreground="{colour}"}}' for mark, colour in COLOURS.items()}
# A code span of Markdown, which stays as it is; or what becomes Markdown. What is in code elements of reports has no other meaning there.
INLINE = re.compile(rf"(?P<span>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))|</?code>|<wbr>|{'|'.join(INSTEAD)}")
STYLE = """
<style>
.st-key-report table { display: block; width: max-content; max-width: 100%; overflow-x: auto; }
.st-key-report :is(th, td) { padding: .35rem .7rem; line-height: 1.45; }
.st-key-report :is(th, td:first-child, td:first-child code, td[style*="right"], td[style*="right"] code) { white-space: nowrap; }
.st-key-report tr:has(:nth-child(5)) td:nth-child(2) { min-width: 8rem; }
.st-key-report h3 { padding-top: .2rem; font-size: 1.3rem; }
.st-key-report :is(p, li, td, th) { font-size: .925rem; }
.st-key-report p code, .st-key-report li code { overflow-wrap: anywhere; }
</style>
"""


@dataclass(frozen=True)
class Fold:
    """What is folded away below a title, both as a report's Markdown."""

    title: str
    markdown: str


def elements(markdown: str) -> Iterator[str | Fold]:
    """Texts and outer folds in their order. A fold that is not closed ends with the report."""
    taken: list[str] = []
    title, depth = "", 0
    for line, is_code in lines(markdown):
        opened = None if is_code else OPENED.fullmatch(line)
        closed = not is_code and depth and line.strip() == CLOSED
        if not is_code and COMMENT.fullmatch(line):
            continue
        depth += 1 if opened else -1 if closed else 0
        if opened and depth == 1:
            if text := "\n".join(taken).strip("\n"):
                yield text
            title, taken = opened[1], []
        elif closed and depth == 0:
            yield Fold(title, "\n".join(taken).strip("\n"))
            taken = []
        else:
            taken.append(line)
    text = "\n".join(taken).strip("\n")
    if depth:
        yield Fold(title, text)
    elif text:
        yield text


def without_html(markdown: str) -> str:
    """The same text with the HTML that reports have as Markdown. Any other HTML stays, for Streamlit to show as text."""
    return "\n".join(line if is_code else INLINE.sub(lambda found: found["span"] or INSTEAD.get(found[0], ""), line) for line, is_code in lines(markdown))


def lines(markdown: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it belongs to a block of code between fences."""
    fence = ""
    for line in markdown.split("\n"):
        marks = FENCE.fullmatch(line)
        if fence:
            yield line, True
            if marks and marks[1].startswith(fence) and not marks[2].strip():
                fence = ""
        else:
            fence = marks[1] if marks and "`" not in marks[2] else ""
            yield line, bool(fence)


def show(parts: tuple[str, ...]) -> None:
    """Shows the parts of a report, one below the other."""
    st.html(STYLE)
    with st.container(border=True, key="report"):
        for part in parts:
            _show(part)


def _show(markdown: str) -> None:
    for element in elements(markdown):
        if isinstance(element, Fold):
            with st.expander(without_html(element.title)):
                _show(element.markdown)
        else:
            st.markdown(without_html(element))
