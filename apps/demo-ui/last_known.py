"""What a session knows of the datasets: what the dataset monitor says now, or while it is away, what it said last."""

import streamlit as st

import reading
from access import Access
from monitor import Datasets, MonitorError
from verbatim import sentence

KEY = "datasets"


def datasets(monitor: Access) -> tuple[Datasets, str]:
    """What is known, and why that is all; empty if the monitor answers. Fails if it does not and never did."""
    try:
        st.session_state[KEY] = reading.datasets(monitor)
    except MonitorError as error:
        if KEY not in st.session_state:
            raise
        return st.session_state[KEY], f"{sentence(error)} This is what was known before; the page tries again by itself."
    return st.session_state[KEY], ""
