"""What stands behind the answers about a dataset, and about the requests of its version: streams, accuracies and classes."""

from collections.abc import Callable
from datetime import UTC, timedelta, timezone, tzinfo

import streamlit as st

import accuracies
import dataset_facts
import distribution
import evidence_tables
import notice
import quantities
from evidence import Change, ClassShare, Evidence, RequestsEvidence
from noun import ITEMS, ROWS, Noun
from watched import Requests, Watched

# Streams that are shown at first, those that contribute most. With a version in service there is one for each class beside the others.
MOST_STREAMS = 8
BETS = (
    "Each stream is a value of each picture. Bets are made that something in it has become more frequent than the reference can explain; "
    "their capital is the evidence, and an alarm is a capital of 1."
)
ESTIMATE = (
    "The accuracy of the version in service on the requests, beside that on the reference. The bar of the reference is an interval of 95 %, that of the "
    "estimate two standard errors to each side."
)
# In place of an answer, of one who was never asked or cannot say.
NOBODY_KNOWS = "Nobody knows: there is nothing new to ask about, or the reference has no labels."
NO_ESTIMATE = "Nobody knows: there are no sampled rows yet, or the reference has too few labels."


def data(one: Watched, evidence: Evidence) -> None:
    """Shows what is behind the answers about the data."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(border=True):
            notice.part("Has it changed?", help=BETS)
            st.html(evidence_tables.windows(evidence, zone()))
            _streams(evidence.change, ITEMS, "all that is new")
        with st.container(border=True):
            notice.part("Does it matter?", help="The accuracy of the version in service on what is new, beside that on the reference. The bars are intervals of 95 %.")
            _accuracies(evidence, ITEMS, NOBODY_KNOWS)
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
                notice.part("Classes", help="The share of each class in what is new, and in the reference.")
                _shares("classes", evidence.classes, ITEMS.all)


def requests(evidence: RequestsEvidence, facts: Callable[[], None]) -> None:
    """Shows what is behind the answers about the requests. `facts` shows the facts, which change by themselves."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(border=True):
            notice.part("Have the requests changed?", help=BETS)
            st.html(evidence_tables.hours(evidence, zone()))
            _streams(evidence.change, ROWS, ROWS.last)
        with st.container(border=True):
            notice.part("Does it matter for the requests?", help=ESTIMATE)
            _accuracies(evidence, ROWS, NO_ESTIMATE)
            if evidence.loss:
                st.caption("Requests have no labels, so this is an estimate.")
    with right:
        with st.container(border=True):
            facts()
        if evidence.answers:
            with st.container(border=True):
                notice.part("Answers", help="The share of each class in the answers to the requests of the newest hour, and to the reference.")
                _shares("answers", evidence.answers, ROWS.last)


def requests_facts(one: Requests) -> None:
    """Shows the facts about the requests."""
    st.html(dataset_facts.requests_facts(one, zone()))


def _streams(change: Change, noun: Noun, compared: str) -> None:
    """The streams and the statistics; `compared` is what those describe."""
    if change.streams:
        window = f"the {noun.window} of the alarm" if change.alarm else noun.last
        st.html(evidence_tables.streams(change.streams[:MOST_STREAMS]))
        others = change.streams[MOST_STREAMS:]
        st.caption(f"“Here” is {window}. “At most” is what the reference can explain.")
        if others:
            with st.expander(f"{quantities.plural(len(others), 'other stream')}"):
                st.html(evidence_tables.streams(others))
    if change.comparisons:
        with st.expander("The statistics that people know"):
            st.caption(f"They describe {compared} against the reference. Each tests once, so they raise no alarm.")
            st.html(evidence_tables.comparisons(change.comparisons))


def _accuracies(evidence: Evidence | RequestsEvidence, noun: Noun, nobody_knows: str) -> None:
    if evidence.loss:
        st.html(accuracies.accuracies(evidence.loss, evidence.change.alarm is not None, noun))
    elif not evidence.unknown:
        st.caption(nobody_knows)
    if evidence.unknown:
        st.html(dataset_facts.unknown(evidence.unknown))


def _shares(key: str, classes: tuple[ClassShare, ...], new: str) -> None:
    chart, spec = distribution.chart(classes, new[:1].upper() + new[1:])
    st.vega_lite_chart(chart, spec, key=key, alt=f"The share of each class in {new}, and in the reference")
    cut = f" These are the {distribution.MOST} that differ most." if len(classes) > distribution.MOST else ""
    st.caption(f"Bars: {new}. Marks: the reference.{cut}")


def zone() -> tzinfo:
    """The person's time zone by its distance from UTC: the page's image has no list of zones."""
    offset = st.context.timezone_offset
    return UTC if offset is None else timezone(timedelta(minutes=-offset))
