"""What a model took for what, as a heat map with counts."""

from pathlib import Path

import streamlit as st

import quantities
import untrusted
from manager import Confusion

HERE = Path(__file__).parent
HTML = """
<div class="matrix" data-testid="confusion" tabindex="0" role="region" aria-label="Confusion matrix">
  <table><thead></thead><tbody></tbody></table>
</div>
<div class="mistakes"></div>
"""
# With more classes than this, a table would be too large to see anything in it; the most frequent mistakes say more.
MOST_CLASSES = 40
MOST_MISTAKES = 5
LONGEST = 40


def show(confusion: Confusion) -> None:
    """Shows the counts, the more often the darker, and the most frequent mistakes in words."""
    # See canvas.py about registering on every run.
    css, js = ((HERE / f"confusion.{kind}").read_text() for kind in ("css", "js"))
    mount = st.components.v2.component("slipway_confusion", html=HTML, css=css, js=js)
    mount(key="confusion", data=content(confusion))


def content(confusion: Confusion) -> dict:
    """The component's data. Shades go from 0 to 1, those of mistakes apart from those of right answers: there are far fewer mistakes."""
    labels = [untrusted.clean(label, LONGEST) for label in confusion.labels]
    fits = len(labels) <= MOST_CLASSES
    counts = [(at == column, count) for at, row in enumerate(confusion.counts) for column, count in enumerate(row)]
    darkest = {right: max((count for is_right, count in counts if is_right == right), default=0) or 1 for right in (True, False)}
    shades = [(count, round(count / darkest[right], 3)) for right, count in counts]
    rows = [shades[at : at + len(labels)] for at in range(0, len(shades), len(labels))]
    return {"labels": labels if fits else [], "rows": rows if fits else [], "mistakes": mistakes(confusion)}


def mistakes(confusion: Confusion) -> list[str]:
    """The most frequent mistakes as sentences."""
    found = [(count, at, column) for at, row in enumerate(confusion.counts) for column, count in enumerate(row) if at != column and count]
    found.sort(key=lambda one: (-one[0], one[1:]))
    labels = [untrusted.clean(label, LONGEST) for label in confusion.labels]
    return [f"{labels[at]} was taken for {labels[column]}: {_often(count)}" for count, at, column in found[:MOST_MISTAKES]]


def _often(count: int) -> str:
    return "once" if count == 1 else f"{quantities.grouped(count)} times"
