"""Cancelling a trial, or all trials of an experiment: what would stop, asked before anything is done, and the pull request that does it."""

from collections.abc import Mapping

import streamlit as st

import quantities
import reading
import writing
from access import Access
from manager import Kind, Manager, ManagerError, Proposal
from trial import Experiment, State, Trial
from verbatim import MESSAGE, sentence, verbatim

# What is asked about, while it is asked.
KEY = "cancelling"


def trial(manager: Access, one: Trial, variables: Mapping[str, str]) -> None:
    """A button for a trial that waits or runs."""
    try:
        environments = reading.experiment(manager, one.experiment).environments
    except ManagerError:
        # without an experiment there is only this environment to speak of
        environments = ()
    words = _of_a_trial(one)
    _button(manager, Kind.TRIAL, one.name, one.environment, environments, words, variables)


def experiment(manager: Access, one: Experiment, variables: Mapping[str, str]) -> None:
    """A button for an experiment that has trials which wait or run."""
    alive = [trial for trial in one.trials if trial.state.live]
    _button(manager, Kind.EXPERIMENT, one.name, alive[0].environment, one.environments, _of_an_experiment(alive), variables)


def _of_a_trial(one: Trial) -> str:
    """What happens to a trial once the pull request is merged."""
    if one.state is State.WAITING:
        return "Then it does not start."
    workers = "its worker stops" if one.workers == 1 else f"its {one.workers} workers stop" if one.workers else "it stops"
    kept = " Its run in MLflow stays." if one.run else ""
    return f"Then {workers}, and what it has trained so far is lost.{kept}"


def _of_an_experiment(alive: list[Trial]) -> str:
    """The same for all trials of an experiment that wait or run."""
    counts = {state: sum(trial.state is state for trial in alive) for state in (State.RUNNING, State.WAITING)}
    running, waiting = counts[State.RUNNING], counts[State.WAITING]
    parts = []
    if running:
        stops, has = ("runs stops", "it has") if running == 1 else ("run stop", "they have")
        parts.append(f"{_trials(running)} that {stops}, and what {has} trained so far is lost")
    if waiting:
        parts.append(f"{_trials(waiting)} that {'waits does' if waiting == 1 else 'wait do'} not start")
    return f"Then {'; '.join(parts)}. What has ended stays as it is."


def _trials(count: int) -> str:
    return "the trial" if count == 1 else f"the {quantities.grouped(count)} trials"


def forget() -> None:
    """Asks about nothing any more."""
    st.session_state.pop(KEY, None)


def _button(
    manager: Access, kind: Kind, name: str, here: str, environments: tuple[str, ...], words: str, variables: Mapping[str, str]
) -> None:
    key = f"{KEY} {kind.value} {name}"
    what = "trial" if kind is Kind.TRIAL else "experiment"
    st.button(f"Cancel this {what}", on_click=_begin, args=(key,))
    if st.session_state.get(KEY) == key:
        # called in each run, so that it stays open while the page below changes
        st.dialog(f"Cancel {verbatim(name)}?", on_dismiss=forget)(_confirmation)(manager, kind, name, here, environments, words, variables, key)
    else:
        forget()


def _begin(key: str) -> None:
    st.session_state[KEY] = key
    st.session_state.pop(f"{key} result", None)


def _confirmation(
    manager: Access, kind: Kind, name: str, here: str, environments: tuple[str, ...], words: str, variables: Mapping[str, str], key: str
) -> None:
    st.markdown(f"This opens a pull request, and nothing stops before a person merges it. {words}")
    only = here or None
    if here and len(environments) > 1:
        names = verbatim(", ".join(environments), MESSAGE)
        choices = {False: f"only in {verbatim(here)}", True: f"in all environments: {names}"}
        everywhere = st.radio("Where", list(choices), format_func=choices.get, key=f"{key} where", persist_state="session")
        only = None if everywhere else here
    writing.field(variables, key)
    if st.button("Open the pull request that cancels it", type="primary", width="stretch", key=f"{key} open"):
        st.session_state[f"{key} result"] = writing.ask(variables, lambda token: Manager(manager).cancel(kind, name, only, token))
    match st.session_state.get(f"{key} result"):
        case Proposal() as proposal:
            writing.opened(proposal, "Nothing stops before a person merges it.", variables)
        case Exception() as error:
            st.error(sentence(writing.why_not(error)))
