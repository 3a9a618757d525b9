"""The facts about a dataset: what is compared with what, what the build says of its data, and what could not be found out. As HTML, in which every
text is escaped."""

from collections.abc import Iterable
from datetime import UTC, tzinfo
from html import escape

import prose
import quantities
from dataset_card import model
from evidence_tables import sampled
from facts import STYLE, code, section
from trial_facts import BELOW_STYLE
from watched import Requests, Watched


def facts(one: Watched, zone: tzinfo = UTC) -> str:
    """What is compared with what, and what the build says of its data, as HTML."""
    evidence = one.evidence
    if evidence is None:
        return ""
    compared = [
        ("Head", code(evidence.head, evidence.head.removeprefix("sha256:")[:10])),
        ("Compared with", code(evidence.reference, evidence.reference.removeprefix("sha256:")[:10])),
        ("Version in service", escape(model(evidence)) if evidence.model else "none that answers"),
        ("Items compared with", quantities.grouped(evidence.reference_items)),
        ("Held out of training", quantities.grouped(evidence.held_out)),
        ("New items", quantities.grouped(evidence.new)),
        ("Not in git's digest", quantities.grouped(evidence.unpinned)),
    ]
    if evidence.silent:
        compared.append(("Has not answered since", quantities.clock(evidence.silent, zone)))
    if one.looked_at:
        compared.append(("Looked at", quantities.clock(one.looked_at, zone)))
    built = []
    if quality := evidence.quality:
        built = [
            ("Items read", quantities.grouped(quality.items)),
            ("To train", quantities.grouped(quality.train)),
            ("To validate", quantities.grouped(quality.validation)),
            ("To test", quantities.grouped(quality.test)),
            ("Set aside", quantities.grouped(quality.set_aside)),
            *((f"– {escape(reason)}", quantities.grouped(count)) for reason, count in quality.reasons),
        ]
    sections = section("Compared", compared) + section("The build", built)
    return f'{STYLE}{BELOW_STYLE}<div class="facts below" data-testid="dataset-facts">{sections}</div>'


def requests_facts(one: Requests, zone: tzinfo = UTC) -> str:
    """Which requests are compared with what, and when more will be, as HTML."""
    evidence = one.evidence
    if evidence is None:
        return ""
    rows = [
        ("Version in service", escape(model(evidence))),
        ("Compared with", code(evidence.reference, evidence.reference.removeprefix("sha256:")[:10])),
        ("Held out of training", quantities.grouped(evidence.held_out)),
        ("Head to train on", code(evidence.head, evidence.head.removeprefix("sha256:")[:10]) if evidence.head else "none is published"),
        ("Sampled", sampled(evidence)),
        ("Left out", quantities.grouped(evidence.left_out)),
    ]
    if evidence.change.closes:
        rows.append(("Next hour judged", quantities.ahead(evidence.change.closes)))
    if one.looked_at:
        rows.append(("Looked at", quantities.clock(one.looked_at, zone)))
    return f'{STYLE}{BELOW_STYLE}<div class="facts below" data-testid="requests-facts">{section("The requests", rows)}</div>'


def unknown(reasons: Iterable[str]) -> str:
    """What could not be found out, as HTML: in Markdown an address would become a link."""
    return "".join(prose.paragraph(f"Not known: {prose.sentence(reason, capital=False)}") for reason in reasons)


def aside(first: Iterable[str]) -> str:
    """The first items that were set aside, as HTML."""
    return "".join(prose.paragraph(escape(item)) for item in first)
