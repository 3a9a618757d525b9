"""A canvas to draw on, as a Streamlit component: pen, mouse and touch."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
HTML = """
<div class="paper">
  <canvas width="560" height="560" data-testid="canvas" role="img" aria-label="Draw a digit here"></canvas>
  <span class="hint">Draw a digit, 0 to 9</span>
</div>
<div class="row">
  <span class="note">Anywhere, any size</span>
  <button type="button" data-testid="clear">Clear</button>
</div>
"""
KEY = "canvas"


def canvas() -> str | None:
    """Shows the canvas. Returns its drawing as a PNG data URL, dark ink on transparent paper, or None while it is empty."""
    # Registered on every run: Streamlit keeps components by name, and registering the same content again does nothing.
    mount = st.components.v2.component(
        "slipway_canvas", html=HTML, css=(HERE / "canvas.css").read_text(), js=(HERE / "canvas.js").read_text()
    )
    return mount(key=KEY, on_image_change=lambda: None).image
