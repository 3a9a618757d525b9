"""The view of datasets: whether what is new has changed, whether that matters, and what the dataset monitor does about it; all, or one of them.

It reads the dataset monitor alone (SLIPWAY_MONITOR_URL).
"""

import os
from datetime import UTC, timedelta, timezone, tzinfo

import streamlit as st

import access
import accuracies
import dataset_card
import dataset_facts
import distribution
import evidence_tables
import notice
import quantities
import reading
import views
from access import Access, SettingsError
from monitor import MonitorError
from verbatim import sentence, verbatim
from watched import Evidence, Watched

ALL = "Datasets", "what arrives, whether it has changed, and whether that matters"
BEGIN = (
    "Add `monitor: {}` to the `spec` of a declaration in `datasets/`, and merge that: the dataset monitor then watches what lands. "
    "`slipway drift NAME` shows the same numbers at home."
)
# Cards beside each other, where there is room for them.
ACROSS = 2
# Streams that are shown at first, those that contribute most. With a version in service there is one for each class beside the others.
MOST_STREAMS = 8


def show(address: str) -> None:
    """Shows all datasets, or the one that the address names."""
    name = views.dataset()
    st.set_page_config(page_title=f"{(name or 'Datasets')[:80]} · Slipway")
    row = notice.row() if name else None
    if row:
        row.button("← All datasets", type="tertiary", on_click=views.open_datasets)
    try:
        monitor = access.service("SLIPWAY_MONITOR_URL", address)
    except SettingsError as error:
        notice.headline(*ALL)
        st.error(f"{error}.")
        return
    try:
        with st.spinner("Asking the dataset monitor …"):
            known = reading.datasets(monitor)
    except MonitorError as error:
        notice.headline(*(name[:200], "") if name else ALL)
        notice.unreachable(error)
        return
    if name:
        _one(monitor, known, name)
        return
    notice.headline(*ALL)
    _all(monitor)


@st.fragment(run_every=reading.LATER)
def _all(monitor: Access) -> None:
    """A card for each dataset, which changes by itself."""
    known, late = _newest(monitor)
    if not known:
        with st.container(border=True):
            st.markdown("**No dataset is watched.**")
            st.markdown(BEGIN)
    across = min(ACROSS, len(known))
    for begin in range(0, len(known), ACROSS):
        # of a row, so that the cards beside each other are as tall
        for column, one in zip(st.columns(across, gap="medium"), known[begin : begin + ACROSS], strict=False):
            with column.container(border=True, height="stretch"):
                st.html(dataset_card.card(one, zone(), forge=_has_forge()))
                st.space("stretch")
                # of one that was not looked at, its card says all
                if one.evidence and st.button("Details →", type="tertiary", key=f"details of {one.name}", help=f"Details of {verbatim(one.name)}"):
                    views.open_dataset(one.name)
                    st.rerun()
    if late:
        st.caption(late)


def _newest(monitor: Access) -> tuple[tuple[Watched, ...], str]:
    """What is known now; while the monitor is away, what was known, and why that is all."""
    key = "datasets"
    try:
        st.session_state[key] = reading.datasets(monitor)
    except MonitorError as error:
        return st.session_state.get(key, ()), f"{sentence(error)} This is what was known before; the page tries again by itself."
    return st.session_state[key], ""


def _one(monitor: Access, known: tuple[Watched, ...], name: str) -> None:
    one = next((one for one in known if one.name == name), None)
    if one is None:
        notice.headline(name[:200], "")
        st.warning("No dataset of this name is watched. It may have been renamed, or its declaration has no `monitor` any more.")
        return
    notice.headline(one.name, "a dataset that is watched")
    _head(monitor, one)
    evidence = one.evidence
    if evidence is None:
        return
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(border=True):
            _changed(evidence)
        with st.container(border=True):
            _matters(evidence)
        if evidence.loudest:
            with st.container(border=True):
                notice.part("The pictures that speak loudest", help="The new pictures that the reference knows least, and what each is farthest out in.")
                st.html(evidence_tables.loudest(evidence.loudest))
    with right:
        with st.container(border=True):
            st.html(dataset_facts.facts(one, zone()))
            if evidence.quality and evidence.quality.first:
                with st.expander("The first that were set aside"):
                    st.html(dataset_facts.aside(evidence.quality.first))
        if evidence.classes and evidence.new:
            with st.container(border=True):
                _classes(evidence)


@st.fragment(run_every=reading.LATER)
def _head(monitor: Access, shown: Watched) -> None:
    """The answers, which change by themselves; the rest of the page follows when there was another look."""
    known, late = _newest(monitor)
    now = next((one for one in known if one.name == shown.name), None)
    if not late and (now is None or now.evidence != shown.evidence):
        st.rerun()
    with st.container(border=True):
        st.html(dataset_card.card(now or shown, zone(), named=False, forge=_has_forge()))
    if late:
        st.caption(late)


def _changed(evidence: Evidence) -> None:
    notice.part(
        "Has it changed?",
        help="Each stream is a value of each picture. Bets are made that something in it has become more frequent than the reference can explain; "
        "their capital is the evidence, and an alarm is a capital of 1.",
    )
    st.html(evidence_tables.windows(evidence, zone()))
    streams = evidence.change.streams
    if streams:
        window = "the window of the alarm" if evidence.change.alarm else "the last window"
        st.html(evidence_tables.streams(streams[: MOST_STREAMS]))
        others = streams[MOST_STREAMS :]
        st.caption(f"“Here” is {window}. “At most” is what the reference can explain.")
        if others:
            with st.expander(f"{quantities.plural(len(others), 'other stream')}"):
                st.html(evidence_tables.streams(others))
    if evidence.change.comparisons:
        with st.expander("The statistics that people know"):
            st.caption("They describe all that is new against the reference. Each tests once, so they raise no alarm.")
            st.html(evidence_tables.comparisons(evidence.change.comparisons))


def _matters(evidence: Evidence) -> None:
    notice.part("Does it matter?", help="The accuracy of the version in service on what is new, beside that on the reference. The bars are intervals of 95 %.")
    if evidence.loss:
        st.html(accuracies.accuracies(evidence.loss, evidence.change.alarm is not None))
    elif not evidence.unknown:
        st.caption("Nobody knows: there is nothing new to ask about, or the reference has no labels.")
    if evidence.unknown:
        st.html(dataset_facts.unknown(evidence.unknown))


def _classes(evidence: Evidence) -> None:
    notice.part("Classes", help="The share of each class in what is new, and in the reference.")
    data, spec = distribution.chart(evidence.classes)
    st.vega_lite_chart(data, spec, key="classes", alt="The share of each class")
    cut = f" These are the {distribution.MOST} that differ most." if len(evidence.classes) > distribution.MOST else ""
    st.caption(f"Bars: what is new. Marks: the reference.{cut}")


def zone() -> tzinfo:
    """The person's time zone by its distance from UTC: the page's image has no list of zones."""
    offset = st.context.timezone_offset
    return UTC if offset is None else timezone(timedelta(minutes=-offset))


def _has_forge() -> bool:
    """Whether pull requests are in the bare repository of the loop on this machine, which has no pages for them."""
    return bool(os.environ.get("SLIPWAY_FORGE"))
