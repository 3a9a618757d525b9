"""The form for a copy of an experiment with changed values, and the pull request that it opens."""

from collections.abc import Mapping

import streamlit as st

import experiment_copy
import quantities
import reading
import writing
from access import Access
from live import title
from manager import Manager, ManagerError, Proposal
from verbatim import message, sentence, verbatim

STYLE = "<style>.st-key-copy textarea { font-family: monospace; font-size: .8rem; line-height: 1.5; }</style>"
HEIGHT = 380


@st.fragment
def show(manager: Access, name: str, environment: Mapping[str, str]) -> None:
    """Shows the form for an experiment. What was changed in it stays while the session lasts."""
    try:
        experiment = reading.experiment(manager, name)
        taken = reading.experiments(manager)
    except ManagerError as error:
        gone = f"The experiment {verbatim(name)} is no longer on the default branch, so there is nothing to copy."
        st.caption(gone if error.status == 404 else sentence(error))
        return
    if not experiment.source:
        st.caption(f"The file of {verbatim(name)} is no longer on the default branch, so there is nothing to copy.")
        return
    key = f"copy of {name}"
    if key not in st.session_state:
        st.session_state[key] = experiment_copy.begin(experiment.source, name, taken)
    source = st.session_state[key]
    with st.container(key="copy"):
        st.html(STYLE)
        left, right = st.columns([1, 2], gap="medium")
        with left:
            _fields(key, source)
        right.text_area(f"experiments/{verbatim(experiment_copy.name(source) or '…')}.yaml", key=key, height=HEIGHT, persist_state="session")
        with left:
            writing.field(environment, "the copy")
            if st.button("Open a pull request", type="primary", width="stretch"):
                _open(manager, key, environment)
            st.button("Begin again", type="tertiary", on_click=_forget, args=(key,), width="stretch")
    _result(key, environment)


def _fields(key: str, source: str) -> None:
    """The name and the swept values, which are read from the text and written into it."""
    fields = {"name": experiment_copy.name(source), **{f"sweep {name}": values for name, values in experiment_copy.swept(source).items()}}
    for name, value in fields.items():
        field = f"{key} {name}"
        # the text may have changed since
        st.session_state[field] = value
        label = "Name" if name == "name" else f"{verbatim(title(name.removeprefix('sweep ')))}: values to try"
        st.text_input(label, key=field, on_change=_write, args=(key, name, field))


def _write(key: str, name: str, field: str) -> None:
    source, value = st.session_state[key], st.session_state[field]
    if name == "name":
        st.session_state[key] = experiment_copy.renamed(source, value.strip()) if value.strip() else source
    else:
        st.session_state[key] = experiment_copy.with_values(source, name.removeprefix("sweep "), value)


def _forget(key: str) -> None:
    for name in (key, f"{key} result"):
        st.session_state.pop(name, None)


def _open(manager: Access, key: str, environment: Mapping[str, str]) -> None:
    source = st.session_state[key]
    result = writing.ask(environment, lambda token: Manager(manager).propose(experiment_copy.name(source), source, token))
    st.session_state[f"{key} result"] = result, source


def _result(key: str, environment: Mapping[str, str]) -> None:
    """What came of the last press, with the text that it was about."""
    result, source = st.session_state.get(f"{key} result", (None, ""))
    if isinstance(result, Proposal):
        writing.opened(result, "Merging it starts the training.", environment)
    elif isinstance(result, Exception):
        findings = getattr(result, "findings", ())
        # the manager's own sentence would repeat them
        said = f"There {'is' if len(findings) == 1 else 'are'} {quantities.plural(len(findings), 'mistake')} to mend"
        st.error(f"{said if findings else message(writing.why_not(result))}.")
        for finding in findings:
            place = f"Line {finding.line}, column {finding.column}" if finding.column else f"Line {finding.line}" if finding.line else "The file"
            st.markdown(f"**{place}**: {message(finding.message)}")
            if lines := experiment_copy.excerpt(source, finding):
                st.code(lines, language=None, wrap_lines=False)
            if finding.help:
                st.caption(message(finding.help))
