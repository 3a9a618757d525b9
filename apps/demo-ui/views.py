"""The views of the page, and the addresses that lead to them: `?view=trainings&trial=NAME`, `?view=trainings&experiment=NAME`,
`?view=datasets&dataset=NAME`."""

from enum import Enum

import streamlit as st

# What the address holds.
VIEW, TRIAL, EXPERIMENT, DATASET = "view", "trial", "experiment", "dataset"
KEY = "view"


class View(Enum):
    """A view; its value is what the address says."""

    ASK = "ask"
    TRAININGS = "trainings"
    DATASETS = "datasets"
    PULL_REQUESTS = "pull-requests"

    @property
    def title(self) -> str:
        names = {View.ASK: "Ask a model", View.TRAININGS: "Trainings", View.DATASETS: "Datasets", View.PULL_REQUESTS: "Pull requests"}
        return names[self]


def choose(trainings: bool, datasets: bool, pull_requests: bool) -> View:
    """Shows the views that there are, if there are several, and returns the one that the address names."""
    shown = [View.ASK, *[View.TRAININGS] * trainings, *[View.DATASETS] * datasets, *[View.PULL_REQUESTS] * pull_requests]
    if len(shown) == 1:
        return View.ASK
    asked = st.query_params.get(VIEW)
    chosen = next((view for view in shown if view.value == asked), View.ASK)
    # a press on the control changes the address first; so does the browser's way back, without the control
    st.session_state[KEY] = chosen.title
    st.segmented_control("View", [view.title for view in shown], key=KEY, required=True, label_visibility="collapsed", on_change=_changed)
    return chosen


def _changed() -> None:
    """The address follows the person, so that it can be kept and passed on."""
    title = st.session_state[KEY]
    view = next(view for view in View if view.title == title)
    st.query_params.from_dict({} if view is View.ASK else {VIEW: view.value})


def open_trial(name: str) -> None:
    """Leads to a trial's page in the next run."""
    st.query_params.from_dict({VIEW: View.TRAININGS.value, TRIAL: name})


def open_experiment(name: str) -> None:
    """Leads to an experiment's page in the next run."""
    st.query_params.from_dict({VIEW: View.TRAININGS.value, EXPERIMENT: name})


def open_all() -> None:
    """Leads to all trials in the next run."""
    st.query_params.from_dict({VIEW: View.TRAININGS.value})


def open_dataset(name: str) -> None:
    """Leads to a dataset's page in the next run."""
    st.query_params.from_dict({VIEW: View.DATASETS.value, DATASET: name})


def open_datasets() -> None:
    """Leads to all datasets in the next run."""
    st.query_params.from_dict({VIEW: View.DATASETS.value})


def trial() -> str | None:
    """The trial that the address names."""
    return st.query_params.get(TRIAL) or None


def experiment() -> str | None:
    """The experiment that the address names."""
    return st.query_params.get(EXPERIMENT) or None


def dataset() -> str | None:
    """The dataset that the address names."""
    return st.query_params.get(DATASET) or None
