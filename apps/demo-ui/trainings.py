"""The view of trainings: what runs now, and what came of the others; all of them, or those of an experiment.

It reads the training manager alone (SLIPWAY_MANAGER_URL).
"""

import gc
import os
from datetime import UTC, datetime, timedelta

import streamlit as st

import access
import cancelling
import copies
import live
import notice
import quantities
import reading
import results
import trial_page
import views
from access import Access, SettingsError
from manager import ManagerError
from results import Column
from trial import Experiment, State, Trial
from verbatim import sentence, verbatim

# Cards that have a curve: each is a request.
MOST_CURVES = 12
# A trial that failed stays among those of now for a while, so that whoever looks away does not miss it.
MOST_FAILED = 4
RECENT = timedelta(hours=1)
# Pixels of the table: of a row, and of all rows that are seen at once.
ROW, TALLEST = 35, 420
# Characters of a column that has a width of its own.
WIDE = 24
NONE = "nothing"
ALL = "Trainings", "what runs, and what came of it"
BEGIN = "`slipway propose experiments/mnist-cnn.yaml` opens a pull request, and merging it starts the training."
BELOW = "A copy with changed values, below, opens a pull request, and merging it starts the training."


def show(address: str) -> None:
    """Shows all trainings, or the trial or the experiment that the address names."""
    _show(address)
    _keep()


@st.cache_resource(show_spinner=False)
def _keep() -> None:
    """Leaves what is loaded by now to the end of the process. Streamlit looks for garbage after each run, and these runs follow each other fast."""
    gc.collect()
    gc.freeze()


def _show(address: str) -> None:
    st.set_page_config(page_title=f"{(views.trial() or views.experiment() or 'Trainings')[:80]} · Slipway")
    try:
        manager = access.service("SLIPWAY_MANAGER_URL", address)
    except SettingsError as error:
        notice.headline(*ALL)
        st.error(f"{error}.")
        return
    if name := views.trial():
        trial_page.show(manager, name, os.environ)
        return
    if name := views.experiment():
        _experiment(manager, name)
        return
    cancelling.forget()
    notice.headline(*ALL)
    try:
        reading.live(manager)
    except ManagerError as error:
        notice.unreachable(error)
        return
    _trials(manager, None)


def _experiment(manager: Access, name: str) -> None:
    """The trials of one experiment."""
    row = notice.row()
    row.button("← All trainings", type="tertiary", on_click=views.open_all)
    try:
        experiment = reading.experiment(manager, name)
    except ManagerError as error:
        notice.missing(name, error, "There is no experiment of this name, and there are no trials of it.")
        return
    if any(trial.state.live for trial in experiment.trials):
        with row:
            st.space("stretch")
            cancelling.experiment(manager, experiment, os.environ)
    notice.headline(experiment.name, _about(experiment))
    _trials(manager, experiment.name)
    with st.expander("Copy with changed values"):
        copies.show(manager, experiment.name, os.environ)


def _about(experiment: Experiment) -> str:
    """What an experiment is, and what it took so far."""
    parts = [
        f"an experiment on {experiment.dataset}" if experiment.dataset else "an experiment",
        quantities.plural(len(experiment.trials), "trial"),
        f"{quantities.hours(experiment.cpu_hours)} CPU-hours" if experiment.cpu_hours else "",
        quantities.price(experiment.cost) if experiment.cost and experiment.cost.amount else "",
    ]
    return " · ".join(part for part in parts if part)


def _trials(manager: Access, experiment: str | None) -> None:
    _now(manager, experiment)
    try:
        trials, more = reading.ended(manager, experiment)
    except ManagerError as error:
        st.warning(sentence(error))
        return
    _ended(trials, more, experiment)


@st.fragment(run_every=reading.SOON)
def _now(manager: Access, experiment: str | None) -> None:
    """What runs and waits, and what has just failed; changed in place as it changes."""
    notice.part("Now")
    late, key = "", f"now {experiment}"
    try:
        trials, more = reading.live(manager, experiment)
        trials = trials + _failed(manager, experiment)
        cards = _cards(manager, trials)
    except ManagerError as error:
        # what was known stays, because it is probably still so
        trials, more, cards = st.session_state.get(key, ([], False, []))
        late = f"{sentence(error)} This is what was known before; the page tries again by itself."
    else:
        if key in st.session_state and _has_ended(st.session_state[key][0], trials):
            del st.session_state[key]
            reading.ended.clear()
            st.rerun()
        st.session_state[key] = trials, more, cards
    if cards and (opened := live.show(cards, f"{key} cards")):
        views.open_trial(opened)
        st.rerun()
    if not cards and not late:
        with st.container(border=True):
            st.markdown("**Nothing runs right now.**")
            st.markdown(BELOW if experiment else BEGIN)
    if late:
        st.caption(late)
    if more:
        st.caption(f"There are more; these are the first {reading.MOST_LIVE}.")


def _failed(manager: Access, experiment: str | None) -> list[Trial]:
    since = datetime.now(UTC) - RECENT
    return [trial for trial in reading.failed(manager, MOST_FAILED, experiment) if (trial.ended or trial.created or since) > since]


def _cards(manager: Access, trials: list[Trial]) -> list[dict]:
    cards = []
    for trial in trials:
        metric = next(iter(live.ordered(trial.metrics)), None) if trial.state is State.RUNNING and len(cards) < MOST_CURVES else None
        cards.append(live.card(trial, (metric, reading.curve(manager, trial.name, metric)) if metric else None))
    return cards


def _has_ended(before: list[Trial], now: list[Trial]) -> bool:
    """Whether a trial has left those of now, so that it belongs into the table."""
    return bool({trial.name for trial in before if trial.state.live} - {trial.name for trial in now if trial.state.live})


def _ended(trials: list[Trial], more: bool, experiment: str | None) -> None:
    """The table of trials that ended, and their plot."""
    notice.part("Ended")
    if not trials:
        st.caption("No training has ended yet.")
        return
    shown = _filtered(trials, experiment)
    if not shown:
        st.caption("No trial is like that.")
        return
    columns = results.table(shown)
    # another table after a trial was opened, because a table keeps what was chosen in it
    chosen = st.dataframe(
        {key: column.values for key, column in columns.items()},
        key=f"ended {st.session_state.get('opened', 0)}",
        height=min(ROW * (len(shown) + 1) + 3, TALLEST),
        hide_index=True,
        column_config={key: _configured(key, column) for key, column in columns.items()},
        on_select="rerun",
        selection_mode="single-row",
        placeholder="",
        alt="Trials that ended",
    )
    newest = f" These are the newest {quantities.grouped(len(trials))}." if more else ""
    st.caption(f"Tick a trial to open it, or to copy its experiment with other values; a column's name sorts.{newest}")
    if rows := chosen.selection.rows:
        _open(shown[rows[0]].name)
    _plot(shown, columns)


def _filtered(trials: list[Trial], experiment: str | None) -> list[Trial]:
    """The trials of the chosen experiments and states."""
    left, right = st.columns(2) if experiment is None else (None, st)
    experiments = sorted({trial.experiment for trial in trials})
    states = [state.value for state in State if any(trial.state is state for trial in trials)]
    kept = {"label_visibility": "collapsed", "persist_state": "session"}
    some = [] if experiment else left.multiselect("Experiments", experiments, key="experiments", placeholder="All experiments", **kept)
    if len(some) == 1:
        st.button(f"Open {verbatim(some[0])} →", type="tertiary", on_click=views.open_experiment, args=some)
    which = right.multiselect("States", states, key="states", placeholder="All states", **kept)
    return [trial for trial in trials if trial.experiment in (some or experiments) and trial.state.value in (which or states)]


def _configured(key: str, column: Column):
    if key == "ended":
        return st.column_config.DatetimeColumn(column.title, format="D MMM, HH:mm", timezone=st.context.timezone)
    # a long name or text must not hide all other columns
    longest = max(len(str(text)) for text in (column.title, *(() if column.numeric else column.values)))
    width = "medium" if longest > WIDE or key == "trial" else None
    if column.numeric:
        return st.column_config.NumberColumn(column.title, format=column.format, width=width)
    return st.column_config.TextColumn(column.title, width=width)


def _plot(trials: list[Trial], columns: dict[str, Column]) -> None:
    """Any parameter against any result."""
    by = {key: column for key, column in columns.items() if key.startswith("parameter ")}
    of = {key: column for key, column in columns.items() if column.numeric and key not in by}
    if not by or not of or len(trials) < 2:
        return
    notice.part("Compare")
    also = {key: columns[key] for key in ("experiment", *by, "state") if key in columns}
    names = {NONE: "None", **{key: column.title for key, column in {**of, **also}.items()}}
    left, middle, right = st.columns(3)
    up = _axis(middle, "Up", list(of), names, _telling(of))
    # a parameter that only others have would draw nothing
    across = _axis(left, "Across", list(by), names, list(by).index(results.most_drawn(by, of[up])))
    others = [key for key in also if key != across]
    coloured = _axis(right, "Colour", [NONE, *others], names, 1)
    drawn = results.plot(trials, by[across], of[up], also.get(coloured))
    if not drawn:
        st.caption(f"No trial has both {verbatim(names[across])} and {verbatim(names[up])}: choose another one.")
        return
    data, spec = drawn
    picked = st.vega_lite_chart(
        data, spec, key=f"plot {st.session_state.get('opened', 0)}", on_select="rerun", alt=f"{names[up]} by {names[across]}"
    )
    if points := picked.selection.get("picked"):
        _open(str(points[0].get("trial", "")))


def _axis(place, label: str, keys: list[str], names: dict[str, str], index: int = 0) -> str:
    """Asks for one of the columns. A choice of before that is not among them is gone: other trials have other columns."""
    if st.session_state.get(label) not in keys:
        st.session_state[label] = keys[index]
    return place.selectbox(label, keys, format_func=names.get, key=label)


def _telling(of: dict[str, Column]) -> int:
    """The place of the metric that says most about an ended trial."""
    titles = [column.title for column in of.values()]
    return next((titles.index(name) for name in ("test accuracy", "accuracy", "validation accuracy", "val accuracy") if name in titles), 0)


def _open(name: str) -> None:
    st.session_state.opened = st.session_state.get("opened", 0) + 1
    views.open_trial(name)
    st.rerun()
