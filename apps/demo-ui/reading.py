"""What the page asks the training manager and the dataset monitor, kept for a moment: many sessions, and runs of the page that follow one another,
share an answer."""

import streamlit as st

from access import Access
from manager import Confusion, Curve, Experiment, Manager, ManagerError
from monitor import Datasets, Monitor, MonitorError
from trial import State, Trial

# Seconds: of what moves while a person looks, of what changes now and then. A curve costs the manager requests to MLflow.
SOON, LATER = 1, 5
OF_A_CURVE, OF_ALL_CURVES = 3, 15
# Trials that run or wait; more would not be looked at one by one.
MOST_LIVE = 24


@st.cache_data(ttl=SOON, show_spinner=False)
def live(manager: Access, experiment: str | None = None) -> tuple[list[Trial], bool]:
    """Trials that run, then those that wait, of all experiments or of one, and whether there are more of them."""
    found = [Manager(manager).trials(MOST_LIVE, state=state.value, **_of(experiment)) for state in (State.RUNNING, State.WAITING)]
    trials = [trial for some, _ in found for trial in some]
    return trials[:MOST_LIVE], len(trials) > MOST_LIVE or any(more for _, more in found)


@st.cache_data(ttl=LATER, show_spinner=False)
def failed(manager: Access, most: int, experiment: str | None = None) -> list[Trial]:
    """The newest trials that failed."""
    return Manager(manager).trials(most, state=State.FAILED.value, **_of(experiment))[0]


@st.cache_data(ttl=LATER, show_spinner=False)
def ended(manager: Access, experiment: str | None = None) -> tuple[list[Trial], bool]:
    """Trials that ended, the newest first, and whether there are more."""
    trials, more = Manager(manager).trials(**_of(experiment))
    return [trial for trial in trials if not trial.state.live], more


@st.cache_data(ttl=SOON, show_spinner=False)
def trial(manager: Access, name: str) -> Trial:
    return Manager(manager).trial(name)


@st.cache_data(ttl=OF_ALL_CURVES, show_spinner=False)
def curves(manager: Access, name: str) -> dict[str, Curve]:
    """The histories of a trial's metrics."""
    return Manager(manager).curves(name)


@st.cache_data(ttl=OF_A_CURVE, show_spinner=False)
def _curve(manager: Access, name: str, metric: str) -> Curve:
    return Manager(manager).curves(name, metric).get(metric, [])


@st.cache_data(ttl=LATER, max_entries=100, show_spinner=False)
def confusion(manager: Access, name: str) -> Confusion | None:
    return Manager(manager).confusion(name)


@st.cache_data(ttl=SOON, max_entries=50, show_spinner=False)
def log(manager: Access, name: str, rank: int, lines: int) -> str:
    return Manager(manager).log(name, rank, lines)


@st.cache_data(ttl=LATER, show_spinner=False)
def experiments(manager: Access) -> frozenset[str]:
    """The names of all experiments."""
    return Manager(manager).experiments()


@st.cache_data(ttl=LATER, max_entries=100, show_spinner=False)
def experiment(manager: Access, name: str) -> Experiment:
    return Manager(manager).experiment(name)


def datasets(monitor: Access) -> Datasets:
    """The datasets that the monitor watches."""
    answer = _datasets(monitor)
    if isinstance(answer, MonitorError):
        raise answer
    return answer


@st.cache_data(ttl=LATER, show_spinner=False)
def _datasets(monitor: Access) -> Datasets | MonitorError:
    """Also an error is kept for a moment: nobody should wait for a monitor that hangs again and again."""
    try:
        return Monitor(monitor).datasets()
    except MonitorError as error:
        return error


def _of(experiment: str | None) -> dict[str, str]:
    return {} if experiment is None else {"experiment": experiment}


def curve(manager: Access, name: str, metric: str) -> Curve:
    """The history of one metric as it is now; empty if it cannot be had, as when there is no run yet."""
    try:
        return _curve(manager, name, metric)
    except ManagerError:
        return []
