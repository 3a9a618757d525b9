"""The numbers that the dataset monitor tells, about what is new in a dataset and about the requests of its version, as they are sent: JSON with names in
camelCase (crates/evidence says what they mean)."""

import re
from dataclasses import dataclass
from datetime import datetime

import fields
import untrusted

# Of longer lists, the first ones are read: nobody reads more, and an answer may be anything.
MOST_STREAMS, MOST_CLASSES, MOST_LOUD, MOST_SAID = 200, 1000, 50, 20
# Streams whose values are classes, and what is said of one, by its number (crates/evidence/src/change.rs).
OF_CLASSES = ("label", "predicted")
CLASS = re.compile(r"(is|is not) ([0-9]{1,4})")


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
class RequestsEvidence:
    """All that is said about the requests of a version; what is counted are rows of the sample."""

    # The dataset's head; empty if no build has published one.
    head: str
    # What the requests are compared with.
    reference: str
    reference_items: int
    held_out: int
    model: str
    version: int | None
    # The shares of its answers: those in the newest hour are `new`.
    answers: tuple[ClassShare, ...]
    change: Change
    # Those that had requests.
    hours: int
    # By an estimate, because requests have no labels.
    loss: Loss | None
    # Rows that could not be compared.
    left_out: int
    unknown: tuple[str, ...]


def evidence_of(found: dict) -> Evidence:
    """Evidence as it was sent."""
    reference, model = (fields.mapping(found.get(key)) for key in ("reference", "model"))
    quality = found.get("quality")
    classes = _classes(found, "classes")
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
        classes=classes,
        change=_change(fields.mapping(found.get("change")), classes),
        loss=_loss(found.get("loss")),
        loudest=tuple(_loud(one) for one in _objects(found, "loudest", MOST_LOUD)),
        unknown=_texts(found, "unknown"),
        silent=fields.moment(found.get("silent")),
    )


def requests_evidence_of(found: dict) -> RequestsEvidence:
    """Evidence about requests as it was sent."""
    reference, model = (fields.mapping(found.get(key)) for key in ("reference", "model"))
    answers = _classes(found, "answers")
    return RequestsEvidence(
        head=_name(found, "head"),
        reference=_name(reference, "digest"),
        reference_items=_count(reference, "items"),
        held_out=_count(reference, "heldOut"),
        model=_name(model, "name"),
        version=fields.whole(model.get("version")),
        answers=answers,
        change=_change(fields.mapping(found.get("change")), answers),
        hours=_count(found, "hours"),
        loss=_loss(found.get("loss")),
        left_out=_count(found, "leftOut"),
        unknown=_texts(found, "unknown"),
    )


def _change(found: dict, classes: tuple[ClassShare, ...]) -> Change:
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
        streams=tuple(_stream(one, classes) for one in _objects(found, "streams", MOST_STREAMS)),
        comparisons=tuple(_comparison(one) for one in _objects(found, "comparisons", MOST_STREAMS)),
    )


def _stream(found: dict, classes: tuple[ClassShare, ...]) -> Stream:
    seen, usual, bound = (fields.number(found.get(key)) for key in ("seen", "usual", "bound"))
    name, event = _name(found, "stream"), _name(found, "event")
    if name in OF_CLASSES and (said := CLASS.fullmatch(event)) and (number := int(said[2])) < len(classes) and classes[number].label:
        event = untrusted.name(f"{said[1]} {classes[number].label}")
    return Stream(name, _share(found, "share"), event, seen, usual, bound)


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


def _loss(found: object) -> Loss | None:
    if not isinstance(found, dict):
        return None
    loss, certain, threshold = (fields.number(found.get(key)) for key in ("loss", "certain", "threshold"))
    reference, measured, estimated = (_accuracy(found.get(key)) for key in ("reference", "measured", "estimated"))
    return Loss(reference, _count(found, "items"), measured, estimated, loss, certain, threshold, found.get("matters") is True)


def _accuracy(sent: object) -> Accuracy | None:
    found = fields.mapping(sent)
    match fields.number(found.get("accuracy")), found.get("interval"):
        case float() | int() as share, [low, high] if (low := fields.number(low)) is not None and (high := fields.number(high)) is not None:
            return Accuracy(_count(found, "of"), share, low, high)
    return None


def _classes(found: dict, key: str) -> tuple[ClassShare, ...]:
    return tuple(ClassShare(_name(one, "label"), _share(one, "usual"), _share(one, "new")) for one in _objects(found, key, MOST_CLASSES))


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
