"""The demo page: choose a registered version, give it what it takes, and see its answer and how it was trained.

Digits are drawn; for other models the form is made from the version's signature.

Environment: MLFLOW_TRACKING_URI and SLIPWAY_SERVER_URL, the addresses of MLflow and of the model server; MLFLOW_PUBLIC_URL, the
address at which a browser reaches MLflow, if it is a different one; the login for MLflow as access.py says. SLIPWAY_FORGE, the bare
repository of the loop on this machine, adds its pull requests with their reports; SLIPWAY_MANAGER_URL, the training manager's address,
adds the trainings; SLIPWAY_MONITOR_URL, the dataset monitor's address, adds the datasets. Streamlit's own options are STREAMLIT_*; its
health check is /_stcore/health.
"""

import os

import streamlit as st

import access
import answer
import datasets
import digit
import feedback
import forms
import notice
import pull_requests
import report
import trainings
import views
from access import Access, SettingsError
from canvas import canvas
from classes import classes
from facts import facts
from notice import HELP, problem
from registry import Registry, RegistryError, Run, Version, run_page
from server import Request, Server, ServerError, identified, request_of
from signature import FLOATS, Form, Signature
from verbatim import verbatim
from views import View

# The headline for each form, and what the answer says before anything was asked.
HEADLINES = {
    Form.DRAWING: ("Draw a {thing}", "and ask any registered model what it is"),
    Form.PICTURE: ("Upload a picture", "and ask any registered model what it is"),
    Form.TABLE: ("Fill in a row", "and ask any registered model about it"),
    Form.JSON: ("Write a request", "and see what any registered model answers"),
    None: ("Ask a model", "any that is registered"),
}
WAITING = {
    Form.DRAWING: ("Nothing drawn yet", "Draw a {thing} and the answer appears here"),
    Form.PICTURE: ("No picture yet", "Upload one and the answer appears here"),
    Form.TABLE: ("Nothing asked yet", "Fill in the numbers and press Ask"),
    Form.JSON: ("Nothing asked yet", "Write a request and press Ask"),
}
DIGITS = tuple("0123456789")
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


# A version never changes, and its digest tells it from one of the same number in another registry.
@st.cache_data(max_entries=1000, show_spinner="Asking the server what the version takes …")
def signature_of(server: Access, model: str, version: str, digest: str | None) -> Signature:
    return Server(server).signature(model, version)


@st.cache_data(ttl=CACHE_SECONDS, show_spinner=False)
def takes_feedback(server: Access) -> bool:
    try:
        return Server(server).takes_feedback()
    except ServerError:
        return False  # the error is shown in place of the answer


def title(version: Version, served: str | None) -> str:
    """How the list shows a version."""
    parts = [f"Version {version.number}"]
    if version.number == served:
        parts.append("in service")
    if (accuracy := version.figure("accuracy")) is not None:
        parts.append(f"{accuracy * 100:.1f} %")
    return " · ".join(parts)


def headline(place, form: Form | None, thing: str) -> None:
    """Shows the headline for a form, and keeps it for the next run."""
    st.session_state.headline = form, thing
    title, what = HEADLINES[form]
    notice.headline(title.format(thing=thing), what, place)


def choose(models: dict[str, list[Version]], server: Access) -> Version:
    """The chosen version; at first the one in service."""
    model = st.selectbox("Model", list(models), key="model", label_visibility="collapsed")
    try:
        served = in_service(server, model)
    except ServerError:
        served = None  # the error is shown in place of the answer
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


def drawing(signature: Signature) -> tuple[Request | None, str | None]:
    """Shows the canvas. Returns the request for the drawing, and the picture that the model sees as a data URL."""
    drawn = canvas("Draw a digit, 0 to 9" if signature.thing == "digit" else "Draw a character")
    try:
        image = digit.from_data_url(drawn)
    except digit.NotAPicture as error:
        st.warning(f"{error}. Clear the canvas and draw again.")
        return None, None
    if image is None:
        return None, None
    return request_of(signature.inputs[0], image[None, None]), digit.to_data_url(image)


def key_of(version: Version, signature: Signature) -> str:
    """Versions of a model that take the same share a form, so that what was filled in can be asked of each of them."""
    return f"{version.model} {hash(signature.inputs)}"


def no_form(version: Version, failure: ServerError) -> None:
    """Says why nothing can be asked."""
    if failure.passing:
        problem(f"{failure}.", HELP)
    elif flavor := version.tag("flavor"):
        why = version.tag("unservable") or "it runs other kinds of models"
        st.warning(f"This version is a model of MLflow's flavour `{flavor}`. The model server does not run it: {why}. `mlflow models serve` does.")
    else:
        st.warning(f"{failure}. Choose another version.")


def ask(server: Access, version: Version, signature: Signature, request: Request | None, seen: str | None) -> None:
    """Shows the answer to the request, or why there is none."""
    if request is None:
        nothing(signature)
        return
    # a picture, which can be kept with what a person says about the answer
    asked = None
    if signature.form in (Form.DRAWING, Form.PICTURE) and takes_feedback(server):
        asked = feedback.request_id(request, version.model, version.number)
        request = identified(request, asked)
    try:
        given = Server(server).ask(version.model, version.number, request)
    except ServerError as error:
        kept = ""
        if signature.form is Form.DRAWING:
            nothing(signature)
            kept = " Your drawing is kept."
        st.warning(f"{error}.{kept}{f' {HELP}' if error.passing else ''}")
        return
    found = classes(given, signature.labels)
    if found is None:
        answer.show_tensors(given)
        return
    answer.show_classes(given, found, seen)
    if asked and len(found.probabilities) == 1:
        feedback.show(Server(server), version.model, version.number, request, asked, found)
    if signature.form is not Form.DRAWING:
        with st.expander("All numbers"):
            answer.show_tensors(given)


def nothing(signature: Signature) -> None:
    """A placeholder for the answer, with the classes that it will have as far as they can be known and shown."""
    names = signature.labels
    if not names and signature.form is Form.DRAWING:
        floats = [tensor for tensor in signature.outputs if tensor.datatype in FLOATS and tensor.shape[1:] == (len(DIGITS),)]
        names = DIGITS if floats else ()
    sure, by = WAITING[signature.form]
    answer.waiting(sure, by.format(thing=signature.thing), names if len(names) <= answer.MOST_BARS else ())


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


@st.cache_data(ttl=CACHE_SECONDS, show_spinner=False)
def known_pull_requests(forge: str) -> list[pull_requests.PullRequest]:
    return pull_requests.pull_requests(forge)


def show_pull_requests(forge: str) -> None:
    """Shows the pull requests of the loop on this machine, and the report of the chosen one."""
    notice.headline("Pull requests", "what would start, and what came of it")
    try:
        known = known_pull_requests(forge)
    except pull_requests.ForgeError as error:
        problem(f"{error}.", HELP)
        return
    if not known:
        problem("There is no pull request yet.", "`slipway propose experiments/mnist-cnn.yaml` opens one.")
        return
    by_number = {one.number: one for one in known}
    chosen = st.selectbox(
        "Pull request",
        list(by_number),
        format_func=lambda number: f"#{number} · {by_number[number].title} · {by_number[number].state}",
        key="pull request",
        label_visibility="collapsed",
    )
    one = by_number[chosen]
    merging = f" · `slipway merge {chosen}` merges it" if one.state == "open" else ""
    st.caption(f"{verbatim(one.state)} · {verbatim(one.branch)}{merging}")
    report.show(one.report or (f"There is no report of it yet: `slipway report {chosen}` writes it.",))


def main() -> None:
    st.set_page_config(page_title="Slipway · ask a model", page_icon="✏️", layout="wide")
    forge, manager, monitor = (os.environ.get(name) for name in ("SLIPWAY_FORGE", "SLIPWAY_MANAGER_URL", "SLIPWAY_MONITOR_URL"))
    match views.choose(trainings=bool(manager), datasets=bool(monitor), pull_requests=bool(forge)):
        case View.TRAININGS:
            trainings.show(manager)
            return
        case View.DATASETS:
            datasets.show(monitor)
            return
        case View.PULL_REQUESTS:
            show_pull_requests(forge)
            return
    brand = st.empty()
    headline(brand, *st.session_state.get("headline", (Form.DRAWING, "digit")))
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
        signature, failure, request, seen = None, None, None, None
        try:
            signature = signature_of(server, version.model, version.number, version.tag("digest"))
        except ServerError as error:
            failure = error
            headline(brand, None, "")
        else:
            headline(brand, signature.form, signature.thing)
            if signature.form is Form.DRAWING:
                request, seen = drawing(signature)
            else:
                request = forms.show(signature, key_of(version, signature))
    with middle.container(border=True, height="stretch"):
        if signature:
            ask(server, version, signature, request, seen)
        else:
            no_form(version, failure)
    with right.container(border=True, height="stretch"):
        about(mlflow, public, version)


main()
