"""The answer: the digit, how sure the model is, and its ten probabilities as bars."""

from pathlib import Path

import streamlit as st

from server import Answer

HERE = Path(__file__).parent
HTML = """
<div class="answer" data-testid="answer" aria-live="polite">
  <div class="head">
    <div class="digit" data-testid="label"></div>
    <div class="words"><div class="sure" data-testid="sure"></div><div class="by" data-testid="by"></div></div>
    <figure><img alt="The digit as the model sees it: 28 by 28"><figcaption>what it sees</figcaption></figure>
  </div>
  <ol class="bars"></ol>
</div>
"""


def show(answer: Answer | None, seen: str | None = None) -> None:
    """Shows an answer, or a placeholder if there is none. `seen` is the 28x28 picture as a data URL."""
    # See canvas.py about registering on every run.
    mount = st.components.v2.component(
        "slipway_answer", html=HTML, css=(HERE / "answer.css").read_text(), js=(HERE / "answer.js").read_text()
    )
    mount(key="answer", data=content(answer, seen))


def content(answer: Answer | None, seen: str | None) -> dict:
    """The component's data; `label` is None while there is no answer."""
    if answer is None:
        return {"label": None, "probabilities": [0.0] * 10, "sure": "", "by": "", "seen": None}
    return {
        "label": answer.label,
        "probabilities": answer.probabilities,
        "sure": f"{percent(max(answer.probabilities))} sure",
        "by": f"version {answer.version}, in {answer.milliseconds:.0f} ms",
        "seen": seen,
    }


def percent(share: float) -> str:
    """A share in percent; a share below 1 is never rounded up to 100 %."""
    if share >= 0.9995:
        return "over 99.9 %"
    return f"{share * 100:.1f} %"
