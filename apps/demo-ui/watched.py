"""What the dataset monitor tells about the datasets that it watches, as it is sent: JSON with names in camelCase (crates/evidence says what they mean).

A value of another kind than it should be counts as one that is not known. So a newer monitor does not break this page.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import fields
import untrusted
from evidence import Evidence, RequestsEvidence, evidence_of, requests_evidence_of


class Action(Enum):
    """What is done about a head."""

    NOTHING = "nothing"
    ISSUE = "issue"
    RETRAIN = "retrain"
    # Its retrain pull request is there, or was.
    OPENED = "opened"
    HELD_BACK = "heldBack"
    # One that a newer monitor has.
    UNKNOWN = "unknown"


class Hold(Enum):
    """What holds it back."""

    SWITCH = "switch"
    COOLDOWN = "cooldown"
    BUDGET = "budget"
    SILENCE = "silence"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Decision:
    """What is done, and why. `number` is that of a pull request that is there; `retrain` and what follows are of what is held back."""

    action: Action
    why: str
    number: int | None = None
    # Whether it would be the retrain pull request; otherwise it would be an issue.
    retrain: bool = False
    by: Hold | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Requests:
    """What is known of the requests of the version that was trained on a dataset."""

    # As of the last look; None if there was none, or nothing to compare.
    evidence: RequestsEvidence | None
    decision: Decision | None
    looked_at: datetime | None
    # Where the pull request or the issue is.
    opened: str
    # Why the last attempt to look failed; empty if it did not.
    failure: str


@dataclass(frozen=True)
class Watched:
    """What is known of a dataset."""

    name: str
    enabled: bool
    # As of the last look; None if there was none.
    evidence: Evidence | None
    decision: Decision | None
    looked_at: datetime | None
    # Where the pull request or the issue is: an address, or a place in a bare repository.
    opened: str
    # Why the last attempt to build it or to look at it failed; empty if it did not.
    failure: str
    # None if they are not watched.
    requests: Requests | None = None


def watched(name: str, sent: object) -> Watched:
    """A dataset as it was sent."""
    found = fields.mapping(sent)
    evidence = found.get("evidence")
    return Watched(
        name=untrusted.name(name),
        enabled=found.get("enabled") is True,
        evidence=evidence_of(evidence) if isinstance(evidence, dict) else None,
        decision=_decision(found.get("decision")),
        looked_at=fields.moment(found.get("lookedAt")),
        opened=fields.text(found.get("opened")),
        failure=fields.text(found.get("failure")),
        requests=_requests(found.get("requests")),
    )


def _requests(found: object) -> Requests | None:
    if not isinstance(found, dict):
        return None
    evidence = found.get("evidence")
    return Requests(
        evidence=requests_evidence_of(evidence) if isinstance(evidence, dict) else None,
        decision=_decision(found.get("decision")),
        looked_at=fields.moment(found.get("lookedAt")),
        opened=fields.text(found.get("opened")),
        failure=fields.text(found.get("failure")),
    )


def _decision(sent: object) -> Decision | None:
    if not isinstance(sent, dict):
        return None
    return Decision(
        action=_one_of(Action, sent.get("action")),
        why=fields.text(sent.get("why")),
        number=fields.whole(sent.get("number")),
        retrain=sent.get("retrain") is True,
        by=_one_of(Hold, sent["by"]) if "by" in sent else None,
        until=fields.moment(sent.get("until")),
    )


def _one_of(kinds: type[Enum], value: object) -> Enum:
    try:
        return kinds(value)
    except ValueError:
        return kinds.UNKNOWN
