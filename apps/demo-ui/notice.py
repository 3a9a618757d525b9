"""The headline of a view, and what stands in its place when something is missing."""

from html import escape

import streamlit as st

from rest import RestError
from verbatim import sentence

STYLE = """
<style>
[data-testid="stMainBlockContainer"] { max-width: 78rem; padding-top: 2.5rem; padding-bottom: 2rem; }
[data-testid="stHeader"] { background: transparent; }
/* Streamlit fades what a run has not reached yet, which would make this page flicker with every stroke. */
[data-stale="true"] { opacity: 1 !important; }
.brand { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .8rem; }
.brand h1 { margin: 0; padding: 0; font-size: 1.7rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
.brand span { opacity: .65; overflow-wrap: anywhere; }
/* The headings of parts, which are smaller than a view's. */
.stHeading h3 { padding: .3rem 0 .5rem; font-size: 1.15rem; letter-spacing: -.005em; }
.stElementContainer:not(:first-child) > .stHeading h3 { padding-top: 1.2rem; }
/* At night the first colour is a light blue, on which white could hardly be read. */
@media (prefers-color-scheme: dark) { :is([data-testid="stBaseButton-primary"], [data-tag]) * { color: #16191d; } }
</style>
"""
# What to do when a service cannot be reached.
HELP = (
    "On one machine, `slipway up` starts the services, and `.slipway/logs/` shows why one of them stopped. "
    "On a cluster, `slipway doctor --cluster` shows what is not healthy."
)
# Seconds until a page that lacks something looks again.
AGAIN = 3


def headline(title: str, what: str, place=st) -> None:
    """Shows a view's name, and what it is for."""
    place.html(f'{STYLE}<div class="brand"><h1>{escape(title)}</h1><span>{escape(what)}</span></div>')


def row():
    """A row above the headline, for ways back and buttons."""
    return st.container(horizontal=True, vertical_alignment="center")


def part(title: str, help: str | None = None) -> None:
    """Shows the name of a part of a view."""
    st.subheader(title, anchor=False, help=help)


def problem(what: str, advice: str) -> None:
    """Shows what is missing and what to do, and tries again by itself."""
    with st.container(border=True):
        st.markdown(f"**{what}**")
        st.markdown(advice)
        st.caption("This page tries again by itself.")
    try_again()


def unreachable(error: RestError) -> None:
    """Shows that a service has not answered, and why."""
    problem(sentence(error), HELP)


def missing(name: str, error: RestError, unknown: str) -> None:
    """Stands in place of the view of a trial or an experiment that the manager does not show; `unknown` says that nothing has this name."""
    headline(name[:200], "")
    if error.status == 404:
        st.warning(unknown)
    else:
        unreachable(error)


@st.fragment(run_every=AGAIN)
def try_again() -> None:
    """Runs the page again every few seconds, so that it recovers by itself."""
    if st.session_state.get("waited", False):
        st.session_state.waited = False
        st.rerun()
    st.session_state.waited = True
