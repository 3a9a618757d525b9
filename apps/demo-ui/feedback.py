"""What a person can say about an answer: that it is wrong, and what is right. The server keeps it with the picture."""

import hashlib
import secrets

import streamlit as st

from classes import Classes
from server import Request, Server, ServerError
from verbatim import sentence, verbatim

# With more classes than this, they are in a list that can be searched.
MOST_BUTTONS = 20
# Why the server does not keep it, in plain words; anything else is said as the server says it.
REASONS = {
    404: "The server takes no corrections any more",
    409: "Another correction of this answer was sent already, and the first one counts",
    413: "The picture is too large to be kept",
    429: "Too many corrections arrive at the moment. Yours is not lost: wait a minute, and send it again",
    503: "The place where corrections are kept does not answer at the moment. Yours is not lost: send it again in a while",
}


def request_id(request: Request, model: str, version: str) -> str:
    """The same for a question of this visit that is asked again, and another one for everything else, also for other visitors."""
    visit = st.session_state.setdefault("visit", secrets.token_hex(16))
    asked = hashlib.sha256("\0".join((visit, model, version)).encode() + b"\0" + request.body)
    return asked.hexdigest()[:32]


def show(server: Server, model: str, version: str, request: Request, id: str, found: Classes) -> None:
    """Asks whether the answer to a request, whose id is `id`, is wrong."""
    sent: dict[str, str] = st.session_state.setdefault("corrections", {})
    if id in sent:
        st.success(f"Thank you. The picture is kept as an example of **{verbatim(sent[id])}**. A person decides whether models learn from it.")
        return
    names = found.names
    best = names[int(found.probabilities[0].argmax())]
    others = list(dict.fromkeys(name for name in names if name != best))
    if not others:
        return
    with st.expander(f"Not {verbatim(best)}?"), st.container(key="feedback"):
        ask = "What is the right answer?"
        if len(others) <= MOST_BUTTONS:
            label = st.pills(ask, others, key=f"{id} right", format_func=verbatim)
        else:
            label = st.selectbox(ask, others, index=None, key=f"{id} right", placeholder="Choose, or type to search")
        st.caption("The picture is sent with your answer and kept, so that models can learn from it.")
        if st.button("Send", key=f"{id} send", type="primary", disabled=label is None, width="stretch") and label is not None:
            send(server, model, version, request, id, label)


def send(server: Server, model: str, version: str, request: Request, id: str, label: str) -> None:
    """Sends what a person says, or says why it is not kept; what was chosen stays chosen."""
    try:
        server.correct(model, version, request, label)
    except ServerError as error:
        st.warning(sentence(REASONS.get(error.status, str(error))))
        return
    st.session_state.corrections[id] = label
    st.rerun()
