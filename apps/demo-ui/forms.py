"""The forms that ask for a model's input: an uploaded picture, a row of numbers or pasted rows, and JSON.

Each returns the request, or None while there is none, and says itself what is wrong with what was given. `key` tells the form of one model
from that of another.
"""

from html import escape

import numpy as np
import streamlit as st

import json_request
import picture
import table
from server import Request, request_of
from signature import Form, Signature, Tensor
from verbatim import verbatim

# MB of a file that is uploaded.
MOST_UPLOAD = 10
# With more columns than this, two fields share a line.
LONG_ROW = 6
# Inputs that are listed below a request.
MOST_INPUTS = 16
# Numbers that a browser counts exactly.
EXACT = 2**53 - 1

PICTURES = """
<style>
.pictures { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; }
.pictures figure { margin: 0; min-width: 0; }
.pictures img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; border: 1px solid light-dark(#e2e2da, #343b44); border-radius: .6rem; background: #fff; }
.pictures .seen img { image-rendering: pixelated; }
.pictures figcaption { margin-top: .3rem; }
.pictures figcaption, .pictures p { font-size: .85rem; opacity: .65; }
.pictures p { grid-column: 1 / -1; margin: 0; }
</style>
"""
MONOSPACE = "<style>.st-key-json textarea { font-family: monospace; font-size: .85rem; }</style>"
ROW, CSV = "One row", "Paste CSV"


def show(signature: Signature, key: str) -> Request | None:
    """The form for a signature that is not drawn."""
    match signature.form:
        case Form.PICTURE:
            return _picture(signature.inputs[0], key)
        case Form.TABLE:
            return _table(signature.inputs[0], key)
        case _:
            return _json(signature, key)


def _picture(tensor: Tensor, key: str) -> Request | None:
    upload = st.file_uploader(
        "A picture", type=list(picture.ENDINGS), key=f"{key} upload", max_upload_size=MOST_UPLOAD, help=f"The model takes {tensor}."
    )
    fit = st.selectbox("If it has another shape", picture.FITS, key=f"{key} fit")
    inverted = st.checkbox("Invert, for a model that learned from light on dark", key=f"{key} inverted")
    if upload is None:
        return None
    try:
        made = picture.prepare(upload.getvalue(), tensor, fit, inverted)
    except picture.NotAPicture as error:
        st.warning(f"{error}.")
        return None
    st.html(
        f'{PICTURES}<div class="pictures" data-testid="pictures">'
        f'<figure><img src="{made.original}" alt="The picture that was uploaded"><figcaption>Uploaded</figcaption></figure>'
        f'<figure class="seen"><img src="{made.seen}" alt="The picture as the model sees it"><figcaption>What the model sees</figcaption></figure>'
        f'<p data-testid="steps">{escape(", ".join(made.steps))}.</p></div>'
    )
    return request_of(tensor, made.values)


def _table(tensor: Tensor, key: str) -> Request | None:
    several = tensor.shape[0] == -1
    way = st.radio("How", (ROW, CSV), horizontal=True, key=f"{key} way", label_visibility="collapsed") if several else ROW
    return _row(tensor, f"{key} row") if way == ROW else _csv(tensor, f"{key} csv")


def _row(tensor: Tensor, key: str) -> Request | None:
    names = table.columns(tensor)
    low, high = table.bounds(tensor)
    if table.whole(tensor):
        options = {"value": 0, "min_value": max(low, -EXACT), "max_value": min(high, EXACT), "step": 1}
    else:
        options = {"value": 0.0, "min_value": low, "max_value": high, "step": 1.0, "format": "%.9g"}
    with st.form(key, border=False):
        sides = st.columns(2, gap="small") if len(names) > LONG_ROW else [st.container()]
        # column by column, so that the tabulator goes through the fields in their order
        numbers = [sides[at * len(sides) // len(names)].number_input(verbatim(name), key=f"{key} {at}", **options) for at, name in enumerate(names)]
        asked = _asked(key)
    return request_of(tensor, np.array([numbers])) if asked else None


def _csv(tensor: Tensor, key: str) -> Request | None:
    with st.form(key, border=False):
        text = st.text_area(
            "Rows, one a line",
            key=f"{key} text",
            height=220,
            placeholder=f"{','.join(table.columns(tensor))}\n{','.join('0' * tensor.shape[1])}",
            help=f"Up to {table.MOST_ROWS} rows. The first line may name the columns.",
        )
        asked = _asked(key)
    if not asked:
        return None
    try:
        rows = table.rows(text, tensor)
    except table.CsvError as error:
        st.warning(f"{error}.")
        return None
    if rows.ignored:
        st.caption(f"The model does not take {', '.join(map(verbatim, rows.ignored[:10]))}.")
    return request_of(tensor, rows.values)


def _json(signature: Signature, key: str) -> Request | None:
    st.html(MONOSPACE)
    with st.container(key="json"), st.form(key, border=False):
        text = st.text_area("A request of the Open Inference Protocol", json_request.zeros(signature), key=f"{key} text", height=320)
        if json_request.hides_numbers(signature):
            st.caption("`data` that is empty is sent as zeros.")
        asked = _asked(key)
    st.caption(" · ".join(f"**{verbatim(tensor.name)}** {tensor}" for tensor in signature.inputs[:MOST_INPUTS]))
    if not asked:
        return None
    try:
        return json_request.request(text)
    except json_request.JsonError as error:
        st.warning(f"{error}.")
        if error.excerpt:
            st.code(error.excerpt, language=None)
        return None


def _asked(key: str) -> bool:
    """The button of a form. Once it was pressed, the form asks again whenever the version changes, until another form is shown."""
    if st.form_submit_button("Ask", type="primary"):
        st.session_state.asked = key
    if st.session_state.get("asked") != key:
        st.session_state.asked = None
    return st.session_state.asked == key
