"""What the dataset monitor tells about the datasets that it watches, as it is sent: JSON with names in camelCase (crates/evidence says what they mean).

A value of another kind than it should be counts as one that is not known. So a newer monitor does not break this page.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import fields
import untrusted

# Of longer lists, the first ones are read: nobody reads more, and an answer may be anything.
MOST_STREAMS, MOST_CLASSES, MOST_LOUD, MOST_SAID = 200, 1000, 50, 20


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
class Alarm:
    """The first alarm, after so many new items; an alarm is a capital of 1 or more."""

    after: int
    at: datetime | None
    capital: float | None


@dataclass(frozen=True)
class Stream:
    """What one value of each picture says. Shares are from 0 to 1."""

    name: str
    # Of the capital.
    share: float
    # What has become more frequent, such as `above 0.117`.
    event: str
    # How often that is in the window, was in the reference, and can be by it.
    seen: float | None
    usual: float | None
    bound: float | None


@dataclass(frozen=True)
class Test:
    """A statistic with its p-value."""

    statistic: float
    p_value: float | None


@dataclass(frozen=True)
class Comparison:
    """A stream of all that is new against the reference, by the statistics that people know."""

    stream: str
    chi_square: Test | None
    kolmogorov_smirnov: Test | None
    # In the stream's unit.
    wasserstein: float | None
    stability_index: Test | None


@dataclass(frozen=True)
class Change:
    """Whether what is new is like the reference."""

    alarm: Alarm | None
    # The largest of all bets together; an alarm is 1.
    capital: float | None
    windows: int
    observations: int
    # Items that wait for their window, and when that closes.
    waiting: int
    closes: datetime | None
    # Items of which nobody knows when they arrived.
    untimed: int
    # How rarely an alarm is false.
    promise: str
    # The one that contributes most first.
    streams: tuple[Stream, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class Accuracy:
    """The share of right answers from 0 to 1, on so many pictures, with the ends of its interval."""

    of: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Loss:
    """What the version in service loses. Differences of shares, from -1 to 1."""

    reference: Accuracy | None
    # New items that it is about.
    items: int
    measured: Accuracy | None
    estimated: Accuracy | None
    loss: float | None
    # What of it is certain, and from which certain loss on it matters.
    certain: float | None
    threshold: float | None
    matters: bool


@dataclass(frozen=True)
class ClassShare:
    """The share of a class in the reference and in what is new, from 0 to 1."""

    label: str
    usual: float
    new: float


@dataclass(frozen=True)
class Loud:
    """A new picture that is unlike the reference, and the stream in which it is farthest out. What is not known is empty."""

    item: str
    label: str
    answer: str
    confidence: float | None
    stream: str
    value: float | None


@dataclass(frozen=True)
class Quality:
    """What the build read, published and set aside: numbers of items, with the reasons and the first of them."""

    items: int
    train: int
    validation: int
    test: int
    set_aside: int
    reasons: tuple[tuple[str, int], ...]
    first: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """All that is said about a dataset's head."""

    head: str
    # What the head is compared with: its digest, its items, and those of them that nothing was trained on.
    reference: str
    reference_items: int
    held_out: int
    # The version in service that was asked; empty and None without one.
    model: str
    version: int | None
    quality: Quality | None
    # Items that the reference dataset does not have, and those that git's digest does not have.
    new: int
    unpinned: int
    classes: tuple[ClassShare, ...]
    change: Change
    loss: Loss | None
    loudest: tuple[Loud, ...]
    # What could not be found out, and why.
    unknown: tuple[str, ...]
    # Since when the version in service has not answered.
    silent: datetime | None


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


def watched(name: str, sent: object) -> Watched:
    """A dataset as it was sent."""
    found = fields.mapping(sent)
    evidence = found.get("evidence")
    return Watched(
        name=untrusted.name(name),
        enabled=found.get("enabled") is True,
        evidence=_evidence(evidence) if isinstance(evidence, dict) else None,
        decision=_decision(found.get("decision")),
        looked_at=fields.moment(found.get("lookedAt")),
        opened=fields.text(found.get("opened")),
        failure=fields.text(found.get("failure")),
    )


def _evidence(found: dict) -> Evidence:
    reference, model = (fields.mapping(found.get(key)) for key in ("reference", "model"))
    quality = found.get("quality")
    loss = found.get("loss")
    return Evidence(
        head=_name(found, "head"),
        reference=_name(reference, "digest"),
        reference_items=_count(reference, "items"),
        held_out=_count(reference, "heldOut"),
        model=_name(model, "name"),
        version=fields.whole(model.get("version")),
        quality=_quality(quality) if isinstance(quality, dict) else None,
        new=_count(found, "new"),
        unpinned=_count(found, "unpinned"),
        classes=tuple(_class(one) for one in _objects(found, "classes", MOST_CLASSES)),
        change=_change(fields.mapping(found.get("change"))),
        loss=_loss(loss) if isinstance(loss, dict) else None,
        loudest=tuple(_loud(one) for one in _objects(found, "loudest", MOST_LOUD)),
        unknown=_texts(found, "unknown"),
        silent=fields.moment(found.get("silent")),
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


def _change(found: dict) -> Change:
    alarm = found.get("alarm")
    return Change(
        alarm=Alarm(_count(alarm, "after"), fields.moment(alarm.get("at")), fields.number(alarm.get("capital"))) if isinstance(alarm, dict) else None,
        capital=fields.number(found.get("capital")),
        windows=_count(found, "windows"),
        observations=_count(found, "observations"),
        waiting=_count(found, "waiting"),
        closes=fields.moment(found.get("closes")),
        untimed=_count(found, "untimed"),
        promise=_name(found, "promise"),
        streams=tuple(_stream(one) for one in _objects(found, "streams", MOST_STREAMS)),
        comparisons=tuple(_comparison(one) for one in _objects(found, "comparisons", MOST_STREAMS)),
    )


def _stream(found: dict) -> Stream:
    seen, usual, bound = (fields.number(found.get(key)) for key in ("seen", "usual", "bound"))
    return Stream(_name(found, "stream"), _share(found, "share"), _name(found, "event"), seen, usual, bound)


def _comparison(found: dict) -> Comparison:
    return Comparison(
        stream=_name(found, "stream"),
        chi_square=_test(found.get("chiSquare")),
        kolmogorov_smirnov=_test(found.get("kolmogorovSmirnov")),
        wasserstein=fields.number(found.get("wasserstein")),
        stability_index=_test(found.get("stabilityIndex")),
    )


def _test(sent: object) -> Test | None:
    found = fields.mapping(sent)
    statistic = fields.number(found.get("statistic"))
    return None if statistic is None else Test(statistic, fields.number(found.get("pValue")))


def _loss(found: dict) -> Loss:
    loss, certain, threshold = (fields.number(found.get(key)) for key in ("loss", "certain", "threshold"))
    reference, measured, estimated = (_accuracy(found.get(key)) for key in ("reference", "measured", "estimated"))
    return Loss(reference, _count(found, "items"), measured, estimated, loss, certain, threshold, found.get("matters") is True)


def _accuracy(sent: object) -> Accuracy | None:
    found = fields.mapping(sent)
    match fields.number(found.get("accuracy")), found.get("interval"):
        case float() | int() as share, [low, high] if (low := fields.number(low)) is not None and (high := fields.number(high)) is not None:
            return Accuracy(_count(found, "of"), share, low, high)
    return None


def _class(found: dict) -> ClassShare:
    return ClassShare(_name(found, "label"), _share(found, "usual"), _share(found, "new"))


def _loud(found: dict) -> Loud:
    answer, confidence = "", None
    match found.get("answer"):
        case [str(said), sure]:
            answer, confidence = untrusted.name(said), fields.number(sure)
    item, label, stream = (_name(found, key) for key in ("item", "label", "stream"))
    return Loud(item, label, answer, confidence, stream, fields.number(found.get("value")))


def _quality(found: dict) -> Quality:
    counts = fields.mapping(found.get("counts"))
    reasons = tuple((_name(one, "reason"), _count(one, "count")) for one in _objects(found, "reasons", MOST_SAID))
    train, validation, test = (_count(counts, key) for key in ("train", "validation", "test"))
    return Quality(_count(found, "items"), train, validation, test, _count(found, "setAside"), reasons, _texts(found, "first"))


def _count(found: dict, key: str) -> int:
    return fields.whole(found.get(key)) or 0


def _name(found: dict, key: str) -> str:
    return untrusted.name(fields.text(found.get(key)))


def _share(found: dict, key: str) -> float:
    return min(max(fields.number(found.get(key)) or 0.0, 0.0), 1.0)


def _objects(found: dict, key: str, most: int) -> list[dict]:
    return [one for one in fields.sequence(found.get(key))[:most] if isinstance(one, dict)]


def _texts(found: dict, key: str) -> tuple[str, ...]:
    return tuple(text for one in fields.sequence(found.get(key))[:MOST_SAID] if (text := fields.text(one)))


def _one_of(kinds: type[Enum], value: object) -> Enum:
    try:
        return kinds(value)
    except ValueError:
        return kinds.UNKNOWN
