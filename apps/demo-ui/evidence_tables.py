"""What stands behind the answer whether a dataset has changed: its windows in sentences; its streams, the statistics that people know and the
pictures that speak loudest as tables. As HTML, in which every text is escaped."""

from datetime import UTC, tzinfo
from html import escape

import prose
import quantities
import wide_table
from evidence import Alarm, Comparison, Evidence, Loud, RequestsEvidence, Stream, Test
from noun import ITEMS, ROWS, Noun

# What the streams are (crates/drift/src/classifier.rs), for whoever points at one.
STREAMS = {
    "predicted": "the class that the version in service answers",
    "confidence": "how sure the version in service is",
    "distance": "how far what the last layer takes of the picture is from that of the pictures that the version was trained on",
    "label": "the label that the item came with",
    "mean": "the mean brightness of the picture, 0 to 1",
    "contrast": "the standard deviation of the brightness",
    "sharpness": "the mean difference between neighbouring pixels",
    "offset": "how far the middle of the ink is from the middle of the picture, in pixels",
    "spread": "how far the ink spreads, in pixels",
    "slant": "the correlation of rows and columns of the ink, -1 to 1",
}


def windows(evidence: Evidence, zone: tzinfo = UTC) -> str:
    """How the question whether it has changed was answered, in sentences, as HTML."""
    change = evidence.change
    said = _alarm(change.alarm, ITEMS, zone)
    of = f"{quantities.grouped(change.observations)} of {quantities.plural(evidence.new, 'new item')}"
    said.append(f"{of} {'is' if change.observations == 1 else 'are'} in {quantities.plural(change.windows, 'window')}.")
    if change.waiting:
        closes = f", which closes {quantities.ahead(change.closes)}" if change.closes else ""
        said.append(f"{quantities.grouped(change.waiting)} {'waits for its' if change.waiting == 1 else 'wait for their'} window{closes}.")
    if change.untimed:
        said.append(f"Of {quantities.grouped(change.untimed)} nobody knows when they arrived, so no window has them.")
    return prose.paragraph(" ".join(said))


def hours(evidence: RequestsEvidence, zone: tzinfo = UTC) -> str:
    """The same about requests."""
    change = evidence.change
    rows = f"{sampled(evidence)} {'was' if change.observations == 1 else 'were'} looked at."
    return prose.paragraph(" ".join([*_alarm(change.alarm, ROWS, zone), rows]))


def sampled(evidence: RequestsEvidence) -> str:
    """How many rows of the sample there were."""
    return f"{quantities.plural(evidence.change.observations, 'row')} in {quantities.plural(evidence.hours, 'hour')}"


def _alarm(alarm: Alarm | None, noun: Noun, zone: tzinfo) -> list[str]:
    if alarm is None:
        return []
    at = f", {quantities.ago(alarm.at)} ({quantities.clock(alarm.at, zone)})" if alarm.at else ""
    return [f"The alarm came after {quantities.plural(alarm.after, noun.one)}{at}."]


def streams(found: tuple[Stream, ...]) -> str:
    """What each stream contributes, as an HTML table; empty without any."""
    if not found:
        return ""
    rows = [
        (
            wide_table.text(one.name, STREAMS.get(one.name, "")),
            f'<span class="bar"><i style="width: {100 * one.share:.0f}%"></i></span>{quantities.percent(one.share)}',
            wide_table.text(one.event),
            wide_table.percent(one.seen),
            wide_table.percent(one.usual),
            wide_table.percent(one.bound),
        )
        for one in found
    ]
    names = ("Stream", "Share of the evidence", "What is more frequent", "Here", "Usual", "At most")
    return wide_table.table("What the streams say", names, rows, numbers=(3, 4, 5), testid="streams")


def comparisons(found: tuple[Comparison, ...]) -> str:
    """The statistics that people know, as an HTML table."""
    rows = [
        (
            wide_table.text(one.stream, STREAMS.get(one.stream, "")),
            wide_table.number(one.stability_index.statistic if one.stability_index else None),
            _test(one.chi_square),
            _test(one.kolmogorov_smirnov),
            wide_table.number(one.wasserstein),
        )
        for one in found
    ]
    names = ("Stream", "PSI", "Chi-square (p)", "Kolmogorov-Smirnov (p)", "Wasserstein")
    return wide_table.table("The statistics that people know", names, rows, numbers=(1, 2, 3, 4), testid="statistics")


def loudest(found: tuple[Loud, ...]) -> str:
    """The new pictures that are least like the reference, as an HTML table."""
    rows = [
        (
            f'<bdi title="{escape(one.item)}">{escape(_end(one.item))}</bdi>',
            wide_table.text(one.label),
            wide_table.text(one.answer) + (f" ({quantities.percent(one.confidence)})" if one.confidence is not None else ""),
            wide_table.text(one.stream, STREAMS.get(one.stream, "")),
            wide_table.number(one.value),
        )
        for one in found
    ]
    names = ("Picture", "Label", "Answer", "Farthest out in", "Its value")
    return wide_table.table("The pictures that speak loudest", names, rows, numbers=(4,), testid="loudest")


def _end(item: str) -> str:
    """The end of an object's name, which tells it from others."""
    parts = item.rsplit("/", 2)
    return "/".join(parts[-2:])[-60:]


def _test(test: Test | None) -> str:
    if test is None:
        return ""
    return quantities.measured(test.statistic) + (f" ({quantities.measured(test.p_value)})" if test.p_value is not None else "")
