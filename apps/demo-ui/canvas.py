"""A canvas to draw on, as a Streamlit component: pen, mouse and touch."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
HTML = """
<div class="paper">
  <canvas width="560" height="560" data-testid="canvas" role="img"></canvas>
  <span class="hint"></span>
</div>
<div class="row">
  <span class="note">Anywhere, any size</span>
  <button type="button" data-testid="clear">Clear</button>
</div>
"""
KEY = "canvas"


def canvas(hint: str) -> str | None:
    """Shows the canvas; while it is empty, it shows the hint. Returns its drawing as a PNG data URL, dark ink on transparent paper, or None."""
    # Registered on every run: Streamlit keeps components by name, and registering the same content again does nothing.
    mount = st.components.v2.component(
        "slipway_canvas", html=HTML, css=(HERE / "canvas.css").read_text(), js=(HERE / "canvas.js").read_text()
    )
    return mount(key=KEY, data={"hint": hint}, on_image_change=lambda: None).image
