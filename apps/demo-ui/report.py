"""A report's Markdown as elements of the page: Streamlit draws no Mermaid and folds nothing away by itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import streamlit as st

FOLD = re.compile(r"<details>\s*<summary>(.*?)</summary>\s*$")
FENCE = re.compile(r"^(`{3,})(\w*)\s*$")
AXIS = re.compile(r'^(?:"[^"]*"\s*)?\[(.*)\]$')
RANGE = re.compile(r'^(?:"[^"]*"\s*)?(-?[\d.]+)\s*-->\s*(-?[\d.]+)$')
NAMED = re.compile(r'^(?:"([^"]*)"\s*)?\[(.*)\]$')
TITLE = re.compile(r'^"?(.*?)"?$')


@dataclass(frozen=True)
class Chart:
    """A chart of Mermaid's kind `xychart`. `labels` are those of the horizontal axis; each series has a value for each of them."""

    title: str
    labels: tuple[str, ...]
    lines: tuple[tuple[float, ...], ...]
    bars: tuple[tuple[float, ...], ...]


@dataclass
class Fold:
    """What is folded away below a title, which is HTML."""

    title: str
    lines: list[str] = field(default_factory=list)


def elements(markdown: str, folds: bool = True) -> Iterator[str | Chart | Fold]:
    """Texts, charts and folds in their order. Folds within folds stay in their text, as do charts that cannot be read; so do all without `folds`."""
    text: list[str] = []
    fold, depth, fence, chart = None, 0, None, None
    for line in markdown.splitlines():
        if fence is None and (opened := FENCE.match(line)):
            fence = opened[1]
            chart = [] if opened[2] == "mermaid" and depth == 0 else None
        elif fence is not None and line.strip() == fence:
            fence = None
            if chart is not None:
                read = xychart(chart[1:])
                if read:
                    if text[: -len(chart)]:
                        yield "\n".join(text[: -len(chart)])
                    text = []
                    yield read
                    chart = None
                    continue
                chart = None
        if chart is not None:
            chart.append(line)
        if folds and fence is None and line.startswith("<details>"):
            depth += 1
            if depth == 1 and (opened := FOLD.match(line)):
                if text:
                    yield "\n".join(text)
                text, fold = [], Fold(opened[1])
                continue
        if folds and fence is None and line.startswith("</details>"):
            depth = max(0, depth - 1)
            if depth == 0 and fold:
                yield fold
                fold = None
                continue
        (fold.lines if fold else text).append(line)
    if fold:
        yield fold
    if any(line.strip() for line in text):
        yield "\n".join(text)


def xychart(lines: list[str]) -> Chart | None:
    """The chart that Mermaid's text describes; None if it is of another kind, or has no values."""
    if not lines or not lines[0].strip().startswith("xychart"):
        return None
    title, labels, span, drawn, bars = "", (), None, [], []
    for line in lines[1:]:
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if word == "title":
            title = TITLE.match(rest)[1]
        elif word == "x-axis" and (found := AXIS.match(rest)):
            labels = tuple(label.strip().strip('"') for label in found[1].split(","))
        elif word == "x-axis" and (found := RANGE.match(rest)):
            span = float(found[1]), float(found[2])
        elif word in ("line", "bar") and (found := NAMED.match(rest)):
            try:
                values = tuple(float(value) for value in found[2].split(","))
            except ValueError:
                return None
            (drawn if word == "line" else bars).append(values)
    longest = max((len(values) for values in [*drawn, *bars]), default=0)
    if not longest:
        return None
    if len(labels) != longest:
        low, high = span or (1, longest)
        step = (high - low) / max(1, longest - 1)
        labels = tuple(f"{low + index * step:g}" for index in range(longest))
    return Chart(title, labels, tuple(drawn), tuple(bars))


def show(markdown: str, folds: bool = True) -> None:
    """Shows a part of a report."""
    for element in elements(markdown, folds):
        match element:
            case Chart():
                draw(element)
            case Fold():
                with st.expander(re.sub(r"<[^>]*>", "", element.title)):
                    # the browser folds what is within
                    show("\n".join(element.lines), folds=False)
            case text:
                # names and differences of others are in it as code only
                st.markdown(text, unsafe_allow_html=True)


def draw(chart: Chart) -> None:
    """Draws a chart with Streamlit's own."""
    if chart.title:
        st.caption(chart.title)
    for series, kind in ((chart.lines, st.line_chart), (chart.bars, st.bar_chart)):
        if not series:
            continue
        # a number is on a scale, a name stands where it stands
        axis = [number(label) for label in chart.labels]
        data = {"": axis if None not in axis else list(chart.labels)}
        data |= {f"{index + 1}": values for index, values in enumerate(series)}
        kind(data, x="", y=[name for name in data if name], height=220)


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
