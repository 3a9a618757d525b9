"""The answer: a class, how sure the model is, and the probabilities as bars; a table for several rows; or the tensors."""

from html import escape
from pathlib import Path

import numpy as np
import streamlit as st

from classes import Classes, values
from server import Answer, Output
from verbatim import verbatim

HERE = Path(__file__).parent
HTML = """
<div class="answer" data-testid="answer" aria-live="polite">
  <div class="head">
    <div class="label" data-testid="label"></div>
    <div class="words"><div class="sure" data-testid="sure"></div><div class="by" data-testid="by"></div></div>
    <figure><img alt="The digit as the model sees it: 28 by 28"><figcaption>what it sees</figcaption></figure>
  </div>
  <ol class="bars"></ol>
  <div class="note" data-testid="note"></div>
</div>
"""
TABLE_STYLE = """
<style>
.rows { max-height: 32rem; overflow: auto; }
.rows table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
.rows th { position: sticky; top: 0; background: light-dark(#fbfbf9, #16191d); text-align: left; font-size: .8rem; }
.rows th, .rows td { padding: .3rem .5rem; border-bottom: 1px solid light-dark(#e2e2da, #343b44); overflow-wrap: anywhere; }
.rows th:last-child, .rows td:last-child { text-align: right; white-space: nowrap; }
</style>
"""
# With more classes than this, the most probable ones are shown.
MOST_BARS = 12
TOP = 10
# Rows of a table, tensors, and numbers of a tensor that are shown; the download has all.
MOST_ROWS = 100
MOST_TENSORS = 16
MOST_NUMBERS = 200
MOST_DIMENSIONS = 4
LONGEST_TEXT = 80


def waiting(sure: str, by: str, names: tuple[str, ...] = ()) -> None:
    """A placeholder while there is no answer: two lines of text, and empty bars with these names."""
    _component({"label": None, "bars": _bars(names, [0.0] * len(names), range(len(names))), "sure": sure, "by": by, "seen": None, "note": ""})


def show_classes(answer: Answer, classes: Classes, seen: str | None = None) -> None:
    """Classes as bars, or as a table for several rows. `seen` is the picture that the model saw, as a data URL."""
    if len(classes.probabilities) == 1:
        _component(content(answer, classes, seen))
        return
    st.html(_table(classes))
    st.caption(f"{_by(answer)[0].upper()}{_by(answer)[1:]}. {classes.note}")


def content(answer: Answer, classes: Classes, seen: str | None) -> dict:
    """The component's data for one row of probabilities."""
    probabilities, note = classes.probabilities[0], classes.note
    best = int(probabilities.argmax())
    if len(classes.names) <= MOST_BARS:
        shown = range(len(classes.names))
    else:
        shown = np.argsort(-probabilities, kind="stable")[:TOP].tolist()
        note = f"The {TOP} most probable of {len(classes.names)} classes. {note}"
    return {
        "label": classes.names[best],
        "bars": _bars(classes.names, probabilities, shown, best),
        "sure": f"{percent(float(probabilities[best]))} sure",
        "by": _by(answer),
        "seen": seen,
        "note": note.replace("`", ""),
    }


def show_tensors(answer: Answer) -> None:
    """The beginning of each tensor, with its name, datatype and shape, and all of the answer as a download."""
    for output in answer.outputs[:MOST_TENSORS]:
        st.markdown(f"**{verbatim(output.name)}** · {verbatim(output.datatype)} [{', '.join(map(str, output.shape))}]")
        st.code(preview(output), language=None, wrap_lines=False)
    if len(answer.outputs) > MOST_TENSORS:
        st.caption(f"And {len(answer.outputs) - MOST_TENSORS} more outputs, which the download has.")
    st.download_button("Download as JSON", answer.body, file_name="answer.json", mime="application/json", on_click="ignore", key="download")
    st.caption(f"{_by(answer)[0].upper()}{_by(answer)[1:]}")


def preview(output: Output) -> str:
    """A tensor's elements in its shape, those in the middle left out if there are many."""
    numbers = values(output)
    if numbers is None:
        texts = [str(element)[:LONGEST_TEXT] for element in output.data[:MOST_NUMBERS]]
        left_out = len(output.data) - len(texts)
        return "\n".join(texts).encode("utf-8", "replace").decode() + (f"\n… and {left_out} more" if left_out else "")
    if output.datatype == "BOOL":
        numbers = numbers.astype(bool)
    elif output.datatype.startswith(("INT", "UINT")):
        # not by way of floats, which are not exact above 2^53
        numbers = np.array(output.data, dtype=object).reshape(output.shape)
    if numbers.ndim > MOST_DIMENSIONS:
        numbers = numbers.ravel()
    with np.printoptions(threshold=MOST_NUMBERS, edgeitems=3, linewidth=60, precision=6):
        return str(numbers)


def percent(share: float) -> str:
    """A share in percent; a share below 1 is never rounded up to 100 %."""
    if share >= 0.9995:
        return "over 99.9 %"
    return f"{share * 100:.1f} %"


def _component(data: dict) -> None:
    # See canvas.py about registering on every run.
    mount = st.components.v2.component(
        "slipway_answer", html=HTML, css=(HERE / "answer.css").read_text(), js=(HERE / "answer.js").read_text()
    )
    mount(key="answer", data=data)


def _bars(names: tuple[str, ...], probabilities, shown, best: int | None = None) -> list[dict]:
    return [{"name": names[at], "probability": float(probabilities[at]), "best": at == best} for at in shown]


def _by(answer: Answer) -> str:
    return f"version {answer.version}, in {answer.milliseconds:.0f} ms"


def _table(classes: Classes) -> str:
    best = classes.probabilities.argmax(axis=1)[:MOST_ROWS]
    lines = [
        f"<tr><td>{row}</td><td>{escape(classes.names[at])}</td><td>{percent(float(classes.probabilities[row - 1, at]))}</td></tr>"
        for row, at in enumerate(best.tolist(), start=1)
    ]
    more = len(classes.probabilities) - len(best)
    last = f"<tr><td colspan=3>… and {more} more rows, which the download has</td></tr>" if more else ""
    return (
        f'{TABLE_STYLE}<div class="rows" data-testid="rows" tabindex="0" role="region" aria-label="The answers, by row"><table>'
        f"<thead><tr><th>Row</th><th>Answer</th><th>Probability</th></tr></thead><tbody>{''.join(lines)}{last}</tbody></table></div>"
    )
