"""What a person reads about a dataset first: how it stands, whether it has changed, whether that matters, and what is done. Plain text."""

import re
from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import Enum

import quantities
from evidence import Accuracy, Evidence, Loss, RequestsEvidence
from noun import ITEMS, ROWS, Noun
from watched import Action, Decision, Hold, Requests, Watched

# The page of a pull request or an issue on GitHub, or the place of a pull request in a bare repository.
PULL_REQUEST, ISSUE = re.compile(r"/pull/([1-9][0-9]{0,8})\b"), re.compile(r"/issues/([1-9][0-9]{0,8})\b")
HELD = {
    Hold.COOLDOWN: "the last retrain pull request is too recent",
    Hold.BUDGET: "there were as many as the budget allows",
    Hold.SILENCE: "the version in service does not answer",
}


class State(Enum):
    """How a dataset stands, in a word or two, the worst first."""

    OFF = "switched off"
    FAILING = "failing"
    HELD = "held back"
    RETRAIN = "retrain"
    ISSUE = "issue"
    # What a newer monitor decides.
    UNKNOWN = "decided"
    QUIET = "nothing to do"
    UNSEEN = "not looked at yet"


@dataclass(frozen=True)
class Answer:
    """An answer in a word or two, and what stands below it. `loud`: it is one that somebody should look at."""

    says: str
    more: str = ""
    loud: bool = False


NOT_KNOWN = Answer("not known")


def state(one: Watched) -> State:
    """How the dataset stands: the worst of what is known of its data and of the requests."""
    if not one.enabled:
        return State.OFF
    order = list(State)
    return min((standing(part) for part in (one, one.requests) if part), key=order.index)


def standing(one: Watched | Requests) -> State:
    """How the data stand alone, or the requests alone. What fails comes first, because the rest is of before then."""
    if one.failure:
        return State.FAILING
    if one.decision is None:
        return State.UNSEEN
    known = {
        Action.NOTHING: State.QUIET,
        Action.ISSUE: State.ISSUE,
        Action.RETRAIN: State.RETRAIN,
        Action.OPENED: State.RETRAIN,
        Action.HELD_BACK: State.HELD,
    }
    return known.get(one.decision.action, State.UNKNOWN)


def changed(one: Watched) -> Answer:
    """Has it changed?"""
    if one.evidence and not one.evidence.change.alarm and not one.evidence.new:
        return Answer("no", "nothing is new")
    return _changed(one.evidence, ITEMS)


def requests_changed(one: Requests) -> Answer:
    """Have the requests changed?"""
    return _changed(one.evidence, ROWS)


def _changed(evidence: Evidence | RequestsEvidence | None, noun: Noun) -> Answer:
    if evidence is None:
        return NOT_KNOWN
    change = evidence.change
    if change.alarm:
        spoke = change.streams[0] if change.streams else None
        parts = (f"after {quantities.plural(change.alarm.after, noun.one)}", f"{spoke.name} {spoke.event}" if spoke else "")
        return Answer("yes", " · ".join(part for part in parts if part), loud=True)
    if not change.windows:
        return Answer("not yet known", noun.none)
    return Answer("no", "as far as anybody can tell")


def matters(one: Watched) -> Answer:
    """Does it matter?"""
    loss = one.evidence.loss if one.evidence else None
    if loss is None:
        return NOT_KNOWN
    now, how = (loss.measured, "measured") if loss.measured else (loss.estimated, "estimated")
    accuracy = _accuracy(loss, now)
    return Answer("yes" if loss.matters else "no", f"{accuracy}, {how}" if accuracy else "", loud=loss.matters)


def requests_matter(one: Requests) -> Answer:
    """Does it matter that the requests have changed? Nobody has labelled them, so an estimate is all that there is."""
    loss = one.evidence.loss if one.evidence else None
    if loss is None:
        return NOT_KNOWN
    accuracy = _accuracy(loss, loss.estimated)
    return Answer("yes" if loss.matters else "no", f"by an estimate: {accuracy}" if accuracy else "by an estimate", loud=loss.matters)


def _accuracy(loss: Loss, now: Accuracy | None) -> str:
    return f"accuracy {quantities.percent(loss.reference.share)} → {quantities.percent(now.share)}" if loss.reference and now else ""


def done(one: Watched | Requests, zone: tzinfo = UTC) -> Answer:
    """What is done about it? In the person's time zone."""
    decision = one.decision
    if decision is None:
        return NOT_KNOWN
    match decision.action:
        case Action.NOTHING:
            return Answer("nothing")
        case Action.ISSUE:
            none = "none is open: a bare repository has no issues, or the monitor has no login to open one"
            return Answer("an issue", "a person looks at it" if one.opened else none, loud=True)
        case Action.RETRAIN if not one.opened:
            return Answer("retrain pull request", "none is open yet: it comes in a moment, unless the monitor has no login to open one", loud=True)
        case Action.RETRAIN | Action.OPENED:
            return Answer("retrain pull request", "a person merges it, or closes it", loud=True)
        case Action.HELD_BACK:
            return _held(decision, zone)
    return Answer("something", "which this page does not know")


def _held(decision: Decision, zone: tzinfo) -> Answer:
    what = "the retrain pull request" if decision.retrain else "an issue"
    if decision.by is Hold.SWITCH:
        return Answer("nothing", f"it would have opened {what}")
    until = f"until {quantities.clock(decision.until, zone)}, {quantities.ahead(decision.until)}" if decision.until else "for now"
    return Answer("held back", f"{what} waits {until}: {HELD.get(decision.by, 'something holds it back')}", loud=True)


def opened(one: Watched | Requests) -> tuple[str, int | None]:
    """What was opened in words, with its number if that is known; empty if nothing was."""
    for kind, pattern in (("Pull request", PULL_REQUEST), ("Issue", ISSUE)):
        if found := pattern.search(one.opened):
            return f"{kind} #{found[1]}", int(found[1])
    if one.decision and one.decision.number is not None:
        return f"Pull request #{one.decision.number}", one.decision.number
    if not one.opened:
        return "", None
    return ("Issue" if one.decision and one.decision.action is Action.ISSUE else "Pull request"), None
