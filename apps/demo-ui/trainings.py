"""The view of trainings: what runs now, and what came of the others. It reads the training manager alone (SLIPWAY_MANAGER_URL)."""

import gc
import os
from datetime import UTC, datetime, timedelta

import streamlit as st

import access
import live
import notice
import reading
import results
import trial_page
import views
from access import Access, SettingsError
from manager import ManagerError
from results import Column
from trial import State, Trial
from verbatim import verbatim

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


def show(address: str) -> None:
    """Shows all trainings, or the one that the address names."""
    _show(address)
    _keep()


@st.cache_resource(show_spinner=False)
def _keep() -> None:
    """Leaves what is loaded by now to the end of the process. Streamlit looks for garbage after each run, and these runs follow each other fast."""
    gc.collect()
    gc.freeze()


def _show(address: str) -> None:
    st.set_page_config(page_title=f"{(views.trial() or 'Trainings')[:80]} · Slipway")
    try:
        manager = access.service("SLIPWAY_MANAGER_URL", address)
    except SettingsError as error:
        notice.headline("Trainings", "what runs, and what came of it")
        st.error(f"{error}.")
        return
    if name := views.trial():
        trial_page.show(manager, name, os.environ)
        return
    notice.headline("Trainings", "what runs, and what came of it")
    try:
        reading.live(manager)
    except ManagerError as error:
        notice.problem(f"{verbatim(str(error), 600)}.", notice.HELP)
        return
    _now(manager)
    try:
        trials, more = reading.ended(manager)
    except ManagerError as error:
        st.warning(f"{verbatim(str(error), 600)}.")
        return
    _ended(trials, more)


@st.fragment(run_every=reading.SOON)
def _now(manager: Access) -> None:
    """What runs and waits, and what has just failed; changed in place as it changes."""
    notice.part("Now")
    late = ""
    try:
        trials, more = reading.live(manager)
        trials = trials + _failed(manager)
        cards = _cards(manager, trials)
    except ManagerError as error:
        # what was known stays, because it is probably still so
        trials, more, cards = st.session_state.get("now", ([], False, []))
        late = f"{verbatim(str(error), 600)}. This is what was known before; the page tries again by itself."
    else:
        if "now" in st.session_state and _has_ended(st.session_state.now[0], trials):
            del st.session_state.now
            reading.ended.clear()
            st.rerun()
        st.session_state.now = trials, more, cards
    if cards and (opened := live.show(cards, "now cards")):
        views.open_trial(opened)
        st.rerun()
    if not cards and not late:
        with st.container(border=True):
            st.markdown("**Nothing runs right now.**")
            st.markdown(
                "`slipway propose experiments/mnist-cnn.yaml` opens a pull request, and merging it starts the training. "
                "Or open a trial below and copy its experiment."
            )
    if late:
        st.caption(late)
    if more:
        st.caption(f"There are more; these are the first {reading.MOST_LIVE}.")


def _failed(manager: Access) -> list[Trial]:
    since = datetime.now(UTC) - RECENT
    return [trial for trial in reading.failed(manager, MOST_FAILED) if (trial.ended or trial.created or since) > since]


def _cards(manager: Access, trials: list[Trial]) -> list[dict]:
    cards = []
    for trial in trials:
        metric = next(iter(live.ordered(trial.metrics)), None) if trial.state is State.RUNNING and len(cards) < MOST_CURVES else None
        cards.append(live.card(trial, (metric, reading.curve(manager, trial.name, metric)) if metric else None))
    return cards


def _has_ended(before: list[Trial], now: list[Trial]) -> bool:
    """Whether a trial has left those of now, so that it belongs into the table."""
    return bool({trial.name for trial in before if trial.state.live} - {trial.name for trial in now if trial.state.live})


def _ended(trials: list[Trial], more: bool) -> None:
    """The table of trials that ended, and their plot."""
    notice.part("Ended")
    if not trials:
        st.caption("No training has ended yet.")
        return
    shown = _filtered(trials)
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
    st.caption(f"Tick a trial to open it; a column's name sorts.{f' These are the newest {len(trials)}.' if more else ''}")
    if rows := chosen.selection.rows:
        _open(shown[rows[0]].name)
    _plot(shown, columns)


def _filtered(trials: list[Trial]) -> list[Trial]:
    """The trials of the chosen experiments and states."""
    left, right = st.columns(2)
    experiments = sorted({trial.experiment for trial in trials})
    states = [state.value for state in State if any(trial.state is state for trial in trials)]
    kept = {"label_visibility": "collapsed", "persist_state": "session"}
    some = left.multiselect("Experiments", experiments, key="experiments", placeholder="All experiments", **kept)
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
    across = _axis(left, "Across", list(by), names)
    up = _axis(middle, "Up", list(of), names, _telling(of))
    others = [key for key in also if key != across]
    coloured = _axis(right, "Colour", [NONE, *others], names, 1)
    drawn = results.plot(trials, by[across], of[up], also.get(coloured))
    if not drawn:
        st.caption("No trial has both.")
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
