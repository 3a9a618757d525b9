"""The demo page: choose a registered version, draw a digit, and see the version's answer and how it was trained.

Environment: MLFLOW_TRACKING_URI and SLIPWAY_SERVER_URL, the addresses of MLflow and of the model server; MLFLOW_PUBLIC_URL, the
address at which a browser reaches MLflow, if it is a different one; the login for MLflow as access.py says. Streamlit's own options are STREAMLIT_*; its health check is
/_stcore/health.
"""

import os

import streamlit as st

import access
import answer
import digit
from access import Access, SettingsError
from canvas import canvas
from facts import facts
from registry import Registry, RegistryError, Run, Version, run_page
from server import Server, ServerError

STYLE = """
<style>
[data-testid="stMainBlockContainer"] { max-width: 78rem; padding-top: 2.5rem; padding-bottom: 2rem; }
[data-testid="stHeader"] { background: transparent; }
/* Streamlit fades what a run has not reached yet, which would make this page flicker with every stroke. */
[data-stale="true"] { opacity: 1 !important; }
.brand { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .8rem; }
.brand h1 { margin: 0; padding: 0; font-size: 1.7rem; letter-spacing: -.01em; }
.brand span { opacity: .65; }
</style>
<div class="brand"><h1>Draw a digit</h1><span>and ask any registered model what it is</span></div>
"""
# What to do when a service cannot be reached.
HELP = (
    "On one machine, `slipway up` starts the services, and `.slipway/logs/` shows why one of them stopped. "
    "On a cluster, `slipway doctor --cluster` shows what is not healthy."
)
# Seconds for which answers of MLflow and the server are cached: a new version appears soon, and a stroke does not wait.
CACHE_SECONDS = 3


@st.cache_data(ttl=CACHE_SECONDS, show_spinner=False)
def registered(mlflow: Access) -> dict[str, list[Version]]:
    """The versions of each model that has any, the newest first."""
    registry = Registry(mlflow)
    models = {model: registry.versions(model) for model in registry.models()}
    return {model: versions for model, versions in models.items() if versions}


@st.cache_data(max_entries=1000, show_spinner=False)
def run_of(mlflow: Access, run_id: str) -> Run:
    return Registry(mlflow).run(run_id)


@st.cache_data(ttl=CACHE_SECONDS, show_spinner=False)
def in_service(server: Access, model: str) -> str | None:
    return Server(server).in_service(model)


@st.fragment(run_every=CACHE_SECONDS)
def try_again() -> None:
    """Runs the page again every few seconds, so that it recovers by itself."""
    if st.session_state.get("waited", False):
        st.session_state.waited = False
        st.rerun()
    st.session_state.waited = True


def problem(what: str, advice: str) -> None:
    """Shows what is missing and what to do, and tries again by itself."""
    with st.container(border=True):
        st.markdown(f"**{what}**")
        st.markdown(advice)
        st.caption("This page tries again by itself.")
    try_again()


def title(version: Version, served: str | None) -> str:
    """How the list shows a version."""
    parts = [f"Version {version.number}"]
    if version.number == served:
        parts.append("in service")
    if (accuracy := version.figure("accuracy")) is not None:
        parts.append(f"{accuracy * 100:.1f} %")
    return " · ".join(parts)


def choose(models: dict[str, list[Version]], server: Access) -> Version:
    """The chosen version; at first the one in service."""
    model = st.selectbox("Model", list(models), key="model", label_visibility="collapsed")
    try:
        served = in_service(server, model)
    except ServerError:
        served = None  # the error is shown in place of the answer once a digit is drawn
    by_number = {version.number: version for version in models[model]}
    numbers = list(by_number)
    start = numbers.index(served) if served in by_number else 0
    chosen = st.selectbox(
        "Version",
        numbers,
        index=start,
        key=f"version of {model}",
        format_func=lambda number: title(by_number[number], served),
        label_visibility="collapsed",
    )
    return by_number[chosen]


def ask(server: Access, version: Version, drawn: str | None) -> None:
    """Shows the answer for the drawing, or why there is none."""
    try:
        image = digit.from_data_url(drawn)
        if image is None:
            answer.show(None)
            return
        answer.show(Server(server).ask(version.model, version.number, image), digit.to_data_url(image))
    except ServerError as error:
        answer.show(None)
        st.warning(f"{error}. Your drawing is kept. {HELP}")
    except digit.NotAPicture as error:
        answer.show(None)
        st.warning(f"{error}. Clear the canvas and draw again.")


def about(mlflow: Access, public: Access, version: Version) -> None:
    """Shows the facts about the version, with a link for a browser that reaches MLflow at `public`."""
    run, page = None, None
    if version.run_id:
        try:
            run = run_of(mlflow, version.run_id)
            page = run_page(public.address, run)
        except RegistryError as error:
            st.caption(f"The version's run cannot be read: {error}")
    st.html(facts(version, run, page))


def main() -> None:
    st.set_page_config(page_title="Slipway · draw a digit", page_icon="✏️", layout="wide")
    st.html(STYLE)
    if missing := " and ".join(name for name in ("MLFLOW_TRACKING_URI", "SLIPWAY_SERVER_URL") if not os.environ.get(name)):
        st.error(f"{missing} must be set for this page. `make demo` and `slipway up` do so.")
        return
    try:
        mlflow = access.mlflow(os.environ)
        server = access.service("SLIPWAY_SERVER_URL", os.environ["SLIPWAY_SERVER_URL"])
        public = os.environ.get("MLFLOW_PUBLIC_URL")
        public = access.service("MLFLOW_PUBLIC_URL", public) if public else mlflow
    except SettingsError as error:
        st.error(f"{error}.")
        return
    try:
        models = registered(mlflow)
    except RegistryError as error:
        problem(f"{error}.", HELP)
        return
    if not models:
        problem(
            "No model is registered yet.",
            "A version is registered when a run passes its gate. Propose an experiment with `slipway propose experiments/mnist-cnn.yaml` "
            "and merge the pull request; `slipway status` shows what is running.",
        )
        return
    left, middle, right = st.columns(3, gap="medium")
    with left.container(border=True, height="stretch"):
        version = choose(models, server)
        drawn = canvas()
    with middle.container(border=True, height="stretch"):
        ask(server, version, drawn)
    with right.container(border=True, height="stretch"):
        about(mlflow, public, version)


main()
