"""The view of datasets: whether what is new has changed, whether that matters, and what the dataset monitor does about it, and the same about the requests;
all, or one of them.

It reads the dataset monitor alone (SLIPWAY_MONITOR_URL).
"""

import os
from dataclasses import replace

import streamlit as st

import access
import dataset_card
import evidence_parts
import last_known
import notice
import reading
import views
from access import Access, SettingsError
from evidence import Evidence, RequestsEvidence
from evidence_parts import zone
from monitor import Datasets, MonitorError
from quantities import grouped
from verbatim import verbatim
from watched import Watched

ALL = "Datasets", "what arrives and what is asked, whether it has changed, and whether that matters"
BEGIN = (
    "Add `monitor: {}` to the `spec` of a declaration in `datasets/`, and merge that: the dataset monitor then watches what lands. "
    "`slipway drift NAME` shows the same numbers at home."
)
# Cards beside each other, where there is room for them.
ACROSS = 2


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
            known, _ = last_known.datasets(monitor)
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
    known, late = last_known.datasets(monitor)
    if not known.shown:
        with st.container(border=True):
            st.markdown("**No dataset is watched.**")
            st.markdown(BEGIN)
    across = min(ACROSS, len(known.shown))
    for begin in range(0, len(known.shown), ACROSS):
        # of a row, so that the cards beside each other are as tall
        for column, one in zip(st.columns(across, gap="medium"), known.shown[begin : begin + ACROSS], strict=False):
            with column.container(border=True, height="stretch"):
                st.html(dataset_card.card(one, zone(), forge=_has_forge()))
                st.space("stretch")
                # of one that was not looked at, its card says all
                if any(learned(one)) and st.button("Details →", type="tertiary", key=f"details of {one.name}", help=f"Details of {verbatim(one.name)}"):
                    views.open_dataset(one.name)
                    st.rerun()
    if known.count > len(known.shown):
        st.caption(f"These are the first {len(known.shown)} of {grouped(known.count)} datasets by name.")
    if late:
        st.caption(late)


def _one(monitor: Access, known: Datasets, name: str) -> None:
    one = known.named(name)
    if one is None:
        notice.headline(name[:200], "")
        cut = f", or it is not among the first {len(known.shown)} of {grouped(known.count)} that are shown" if known.count > len(known.shown) else ""
        st.warning(f"No dataset of this name is watched. It may have been renamed, or its declaration has no `monitor` any more{cut}.")
        return
    notice.headline(one.name, "a dataset that is watched")
    _head(monitor, one)
    if one.evidence:
        evidence_parts.data(one, one.evidence)
    if one.requests and one.requests.evidence:
        evidence_parts.requests(one.requests.evidence, lambda: _requests_facts(monitor, one))


@st.fragment(run_every=reading.LATER)
def _head(monitor: Access, shown: Watched) -> None:
    """The answers, which change by themselves; the rest of the page follows when there was another look."""
    known, late = last_known.datasets(monitor)
    now = known.named(shown.name)
    if not late and (now is None or learned(now) != learned(shown)):
        st.rerun()
    with st.container(border=True):
        st.html(dataset_card.card(now or shown, zone(), named=False, forge=_has_forge()))
    if late:
        st.caption(late)


@st.fragment(run_every=reading.LATER)
def _requests_facts(monitor: Access, shown: Watched) -> None:
    """The facts about the requests: when the next hour is judged changes by itself."""
    now = last_known.datasets(monitor)[0].named(shown.name)
    for one in (now, shown):
        if one and one.requests and one.requests.evidence:
            evidence_parts.requests_facts(one.requests)
            return


def learned(one: Watched) -> tuple[Evidence | None, RequestsEvidence | None]:
    """The evidence about the data and about the requests, without when more will be judged: that moves on although nothing was learned."""
    found = one.evidence, one.requests.evidence if one.requests else None
    return tuple(replace(of, change=replace(of.change, closes=None)) if of else None for of in found)


def _has_forge() -> bool:
    """Whether pull requests are in the bare repository of the loop on this machine, which has no pages for them."""
    return bool(os.environ.get("SLIPWAY_FORGE"))
