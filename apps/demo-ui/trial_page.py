"""A trial's page: how far it is, its curves beside those of others, its logs, what it took for what, what it was made from, and a copy."""

from collections.abc import Mapping

import streamlit as st

import cancelling
import confusion
import copies
import curves
import live
import notice
import quantities
import reading
import results
import trial_facts
import views
import worker_log
from access import Access
from manager import ManagerError
from trial import Removal, State, Trial
from verbatim import sentence, verbatim

# Trials whose curves are drawn together, the page's own among them.
MOST_COMPARED = 4
# Charts that are drawn at first, and in all.
FIRST_CHARTS, MOST_CHARTS = 2, 6
MOST_METRICS = 8
# What is said of a trial whose file is gone.
REMOVED = {
    Removal.REPLACED: "A later change of its experiment replaced it. What came of it stays here and in MLflow.",
    Removal.CANCELLED: "It is no longer asked for: it was cancelled, or its experiment has fewer trials now. What came of it stays here and in MLflow.",
}


def show(manager: Access, name: str, environment: Mapping[str, str]) -> None:
    """Shows the trial."""
    row = notice.row()
    row.button("← All trainings", type="tertiary", on_click=views.open_all)
    try:
        trial = reading.trial(manager, name)
    except ManagerError as error:
        notice.missing(name, error, "There is no trial of this name. It may have been cancelled before it began; *All trainings* has those that there are.")
        return
    with row:
        if trial.experiment:
            st.button(f"All of {verbatim(trial.experiment)}", type="tertiary", on_click=views.open_experiment, args=(trial.experiment,))
        if trial.state.live:
            st.space("stretch")
            cancelling.trial(manager, trial, environment)
    notice.headline(trial.name, f"a trial of {trial.experiment}" if trial.experiment else "")
    if trial.removed:
        st.caption(REMOVED[trial.removed])
    is_live = trial.state.live
    _every(reading.SOON, is_live, _head)(manager, trial)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(border=True):
            others = _others(manager, trial)
            _every(reading.OF_A_CURVE, is_live or any(one.state.live for one in others), _curves)(manager, trial, others)
            if others:
                _beside([trial, *others])
        with st.container(border=True):
            _logs(manager, trial)
    with right:
        with st.container(border=True):
            _every(reading.LATER, is_live, _took)(manager, trial)
            st.html(trial_facts.facts(trial))
        if trial.worker_states:
            with st.container(border=True):
                st.html(trial_facts.workers(trial.worker_states))
        _confusion(manager, trial)
    with st.expander("Copy with changed values"):
        copies.show(manager, trial.experiment, environment)


def _every(seconds: float, moves: bool, part):
    """The part of the page as a fragment, which runs again by itself while anything moves."""
    return st.fragment(part, run_every=seconds if moves else None)


def _head(manager: Access, trial: Trial) -> None:
    now, late = trial, ""
    try:
        now = reading.trial(manager, trial.name)
    except ManagerError as error:
        late = f"{sentence(error)} This is what was known before."
    if now.state is not trial.state or now.worker_states != trial.worker_states:
        st.rerun()
    live.show([live.head(now, MOST_METRICS)], f"head of {trial.name}", alone=True)
    if late:
        st.caption(late)


def _took(manager: Access, trial: Trial) -> None:
    try:
        trial = reading.trial(manager, trial.name)
    except ManagerError:
        pass  # the head says so
    if took := trial_facts.took(trial):
        st.html(took)


def _others(manager: Access, trial: Trial) -> list[Trial]:
    """The trials that a person compares this one with; at first those of the same experiment are offered."""
    notice.part("Curves")
    try:
        known = {one.name: one for one in (*reading.live(manager)[0], *reading.ended(manager)[0]) if one.name != trial.name}
    except ManagerError:
        return []
    names = sorted(known, key=lambda name: known[name].experiment != trial.experiment)
    said = results.points([one for one in known.values() if one.experiment == trial.experiment])
    chosen = st.multiselect(
        "Compare with",
        names,
        format_func=lambda name: f"{name} · {said[name]}" if said.get(name) else name,
        key=f"others of {trial.name}",
        max_selections=MOST_COMPARED - 1,
        placeholder="Compare with other trials",
        label_visibility="collapsed",
        persist_state="session",
    )
    return [known[name] for name in chosen if name in known]


def _curves(manager: Access, trial: Trial, others: list[Trial]) -> None:
    """A chart for each chosen metric, with a line for each trial."""
    found = {}
    for one in (trial, *others):
        try:
            found[one.name] = dict(reading.curves(manager, one.name))
        except ManagerError as error:
            found[one.name] = {}
            if error.status != 404:
                st.caption(sentence(error))
    metrics = live.ordered(dict.fromkeys(curves.names(found)))
    if not metrics:
        st.caption("There is nothing to draw yet." if trial.state.live else "It has logged no metric more than once.")
        return
    chosen = metrics
    # of a live one more may come, and nothing is to jump then
    if len(metrics) > 1 or trial.state.live:
        chosen = st.pills(
            "Metrics",
            metrics,
            selection_mode="multi",
            default=metrics[:FIRST_CHARTS],
            format_func=lambda name: verbatim(name.replace("_", " ")),
            key=f"metrics of {trial.name}",
            label_visibility="collapsed",
        )
    if others:
        st.html(curves.legend(results.points([trial, *others])))
    moves = any(one.state.live for one in (trial, *others))
    for metric in chosen[:MOST_CHARTS]:
        for one in (trial, *others):
            if one.state.live and (now := reading.curve(manager, one.name, metric)):
                found[one.name][metric] = now
        st.markdown(f"**{verbatim(metric.replace('_', ' '))}**")
        data, spec = curves.chart(metric, {name: of for name, of in found.items() if metric in of}, moves)
        st.vega_lite_chart(data, spec, key=f"chart of {trial.name} {metric}", alt=f"{metric} by step")


def _beside(trials: list[Trial]) -> None:
    """What differs between the trials, one row each."""
    columns = {**results.parameters(trials), **results.metrics(trials), **results.costs(trials)}
    shown = {"trial": [trial.name for trial in trials], "state": [trial.says for trial in trials]}
    titles = {"trial": "Trial", "state": "State"}
    for at, column in enumerate(columns.values()):
        shown[f"column {at}"] = column.values
        titles[f"column {at}"] = st.column_config.NumberColumn(column.title, format=column.format) if column.numeric else column.title
    st.dataframe(shown, hide_index=True, column_config=titles, placeholder="", alt="What differs between the trials")


def _logs(manager: Access, trial: Trial) -> None:
    notice.part("Log")
    if not trial.workers:
        st.caption("It has no worker.")
        return
    running = trial.state is State.RUNNING
    left, right = st.columns([3, 1], vertical_alignment="center") if running else (st, None)
    ranks = list(range(trial.workers))
    rank = 0
    if len(ranks) > 1:
        rank = left.selectbox("Worker", ranks, format_func=lambda rank: f"Worker {rank}", key=f"worker of {trial.name}", label_visibility="collapsed")
    follow = running and right.toggle("Follow", value=True, key=f"follow {trial.name}")
    _every(2 * reading.SOON, follow, _log)(manager, trial, rank, follow)


def _log(manager: Access, trial: Trial, rank: int, follow: bool) -> None:
    try:
        text = reading.log(manager, trial.name, rank, worker_log.LINES)
    except ManagerError as error:
        st.caption("There is no log yet." if error.status in (404, 409) and trial.state.live else sentence(error))
        return
    if not text:
        st.caption("The worker has written nothing.")
        return
    worker_log.show(text, follow)
    if text.count("\n") >= worker_log.LINES:
        st.caption(f"The last {quantities.grouped(worker_log.LINES)} lines.")


def _confusion(manager: Access, trial: Trial) -> None:
    if trial.state not in (State.FINISHED, State.REFUSED):
        return
    try:
        found = reading.confusion(manager, trial.name)
    except ManagerError as error:
        st.caption(sentence(error))
        return
    if found:
        with st.container(border=True):
            notice.part("What it took for what", help="Rows are what things are, columns what the model took them for.")
            confusion.show(found)
