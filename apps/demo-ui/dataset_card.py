"""A dataset in short: whether it has changed, whether that matters, what is done, and how near the evidence is to an alarm; and the same about the
requests of its version, if those are watched. As HTML, in which every text is escaped."""

import math
from datetime import UTC, tzinfo
from html import escape

import prose
import quantities
import verdict
from evidence import Change, Evidence, RequestsEvidence
from evidence_tables import sampled
from facts import short_digest
from trial_facts import link
from verdict import Answer
from watched import Requests, Watched

STYLE = """
<style>
.watched { --good: #1d6b41; --warn: #94480f; --bad: #a32a3c; --busy: #1f5f8b; --off: #5d646c; font-size: .9rem; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { .watched { --good: #6cc792; --warn: #f0995c; --bad: #ee8299; --busy: #6cb2e0; --off: #a4abb3; } }
.watched, .watched .part { display: flex; flex-direction: column; gap: .85rem; }
.watched .requests { padding-top: .85rem; border-top: 1px solid color-mix(in srgb, currentColor 12%, transparent); }
.watched .requests .title { font-weight: 600; }
/* The pill has the colour of the worst, and each part its own. */
.watched [data-state] { --colour: var(--off); --loud: var(--warn); --faint: color-mix(in srgb, var(--colour) 12%, transparent); }
.watched [data-state="nothing to do"] { --colour: var(--good); }
.watched :is([data-state="issue"], [data-state="held back"]) { --colour: var(--warn); }
.watched [data-state="failing"] { --colour: var(--bad); }
.watched [data-state="retrain"] { --colour: var(--busy); --loud: var(--busy); }
.watched p { margin: 0; line-height: 1.5; font-size: inherit; }
.watched a { color: inherit; text-decoration: underline; text-decoration-color: color-mix(in srgb, currentColor 35%, transparent); }
.watched .head { display: flex; align-items: center; justify-content: space-between; gap: .75rem; }
.watched .name { min-width: 0; overflow: hidden; font-size: 1.05rem; font-weight: 600; text-overflow: ellipsis; white-space: nowrap; }
.watched .state { flex: none; padding: .1rem .6rem; border-radius: 999px; background: var(--faint); color: var(--colour); font-size: .8rem; font-weight: 600; }
.watched dl.answers { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .8rem 1.2rem; margin: 0; padding: 0; }
.watched.alone .answers { grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr)); }
.watched .answers div { min-width: 0; }
.watched :is(dt, dd) { margin: 0 !important; padding: 0; }
.watched .answers dt { font-size: .78rem; font-weight: 400; opacity: .7; }
.watched .answers b { display: block; font-size: 1.15rem; font-weight: 600; line-height: 1.35; }
.watched .answers b.loud { color: var(--loud); }
.watched .answers span { display: block; font-size: .8rem; line-height: 1.4; opacity: .75; }
.watched [data-state="failing"] .why { --faint: color-mix(in srgb, currentColor 7%, transparent); }
.watched code { font-size: .85em; background: none; color: inherit; padding: 0; }
.watched .why { padding: .5rem .7rem; border-radius: .45rem; background: var(--faint); }
.watched .failed { --colour: var(--bad); padding: .5rem .7rem; border-radius: .45rem; background: color-mix(in srgb, var(--bad) 12%, transparent); }
.watched .failed b { color: var(--bad); }
.watched .notes { font-size: .8rem; opacity: .7; }
.watched .meter { position: relative; height: .5rem; border-radius: 999px; background: color-mix(in srgb, currentColor 10%, transparent); overflow: hidden; }
.watched .meter i { display: block; height: 100%; border-radius: 999px; background: var(--off); }
.watched .meter i.loud { background: var(--loud); }
.watched .scale { display: flex; justify-content: space-between; flex-wrap: wrap; gap: 0 .75rem; margin-top: .3rem; font-size: .8rem; }
.watched .scale span:last-child { opacity: .7; }
</style>
"""
# The capital below which the meter shows nothing. It is logarithmic, as evidence is.
LEAST = 1e-6
LOUD = ' class="loud"'
UNSEEN = (
    "<p>The monitor has not looked at {0} yet, or has nothing to compare {1} with: no build has published {1}, or neither is a digest pinned nor a "
    "version in service that was trained on {1}.</p>"
)
REQUESTS_UNSEEN = "<p>The monitor has not looked at them yet.</p>"


def card(one: Watched, zone: tzinfo = UTC, named: bool = True, forge: bool = False) -> str:
    """A dataset in short. `named`: with its name, where nothing above has it. `forge`: the bare repository of this machine has its pull requests."""
    state = verdict.state(one)
    # of one that is known by its requests alone, their part says when they were looked at
    looked = _looked(one, zone) if one.looked_at or not one.requests else ""
    title = f'<span class="name" title="{escape(one.name)}">{escape(one.name)}</span>' if named else f'<span class="notes">{looked}</span>'
    return (
        f'{STYLE}<div class="watched{"" if named else " alone"}" data-testid="dataset" data-dataset="{escape(one.name)}" data-state="{state.value}">'
        f'<div class="head">{title}<span class="state" data-state="{state.value}" data-testid="state">{state.value}</span></div>'
        f"{_off(one)}{_data(one, zone, named, forge)}{_requests(one.requests, one.enabled, zone, forge)}</div>"
    )


def _data(one: Watched, zone: tzinfo, named: bool, forge: bool) -> str:
    """What is known of the data."""
    notes = _notes(one, zone) if named else ""
    parts = [
        _failed("It could not be built or looked at.", one) if one.enabled else "",
        _answers(one, zone, forge),
        _meter(one.evidence, "Evidence"),
        _why(one),
        f'<p class="notes">{notes}</p>' if notes else "",
    ]
    return _part("data", one, one.enabled, "".join(parts))


def _requests(one: Requests | None, enabled: bool, zone: tzinfo, forge: bool) -> str:
    """What is known of the requests; nothing if they are not watched."""
    if one is None:
        return ""
    rows = (
        ("Have they changed?", verdict.requests_changed(one), ""),
        ("Does it matter?", verdict.requests_matter(one), ""),
        ("What is done?", verdict.done(one, zone), _opened(one, forge)),
    )
    known = one.evidence or one.decision
    parts = [
        '<p class="title">The requests</p>',
        _failed("They could not be looked at.", one) if enabled else "",
        _list(rows) if known else "" if one.failure or not enabled else REQUESTS_UNSEEN,
        _meter(one.evidence, "Evidence about the requests"),
        _why(one),
        f'<p class="notes">{_requests_notes(one, zone)}</p>' if known or one.looked_at else "",
    ]
    return _part("requests", one, enabled, "".join(parts))


def _part(kind: str, one: Watched | Requests, enabled: bool, html: str) -> str:
    state = verdict.standing(one) if enabled else verdict.State.OFF
    return f'<div class="part {kind}" data-testid="{kind}" data-state="{state.value}">{html}</div>' if html else ""


def _why(one: Watched | Requests) -> str:
    return f'<p class="why">{prose.sentence(one.decision.why)}</p>' if one.decision and one.decision.why else ""


def _failed(what: str, one: Watched | Requests) -> str:
    if not one.failure:
        return ""
    before = " What is shown is of the last look." if one.evidence else ""
    return f'<p class="failed"><b>{what}</b> {prose.sentence(one.failure)} The monitor tries again by itself.{before}</p>'


def _off(one: Watched) -> str:
    if one.enabled:
        return ""
    before = "What is shown is of the last look. " if one.evidence or (one.requests and one.requests.evidence) else ""
    return (
        "<p>Its monitor is switched off (<code>enabled: false</code>): nothing is built, looked at or opened. "
        f"{before}<code>slipway drift {escape(one.name)}</code> says what would be done now.</p>"
    )


def _answers(one: Watched, zone: tzinfo, forge: bool) -> str:
    if one.evidence is None and one.decision is None:
        return "" if one.failure or not one.enabled else UNSEEN.format(*("the data", "them") if one.requests else ("it", "it"))
    new = Answer(quantities.grouped(one.evidence.new), "that the reference does not have") if one.evidence else Answer("not known")
    rows = (
        ("New items", new, ""),
        ("Has it changed?", verdict.changed(one), ""),
        ("Does it matter?", verdict.matters(one), ""),
        ("What is done?", verdict.done(one, zone), _opened(one, forge)),
    )
    return _list(rows)


def _opened(one: Watched | Requests, forge: bool) -> str:
    """What was opened, as HTML."""
    words, number = verdict.opened(one)
    found = link(one.opened, escape(words)) if words else ""
    return f"{found} · <code>slipway report {number}</code> shows it" if number and forge and "<a " not in found else found


def _list(rows: tuple[tuple[str, Answer, str], ...]) -> str:
    return f'<dl class="answers">{"".join(_answer(*row) for row in rows)}</dl>'


def _answer(question: str, answer: Answer, html: str) -> str:
    more = f"<span>{escape(answer.more)}</span>" if answer.more else ""
    opened = f"<span>{html}</span>" if html else ""
    return f"<div><dt>{question}</dt><dd><b{LOUD if answer.loud else ''}>{escape(answer.says)}</b>{more}{opened}</dd></div>"


def _meter(evidence: Evidence | RequestsEvidence | None, name: str) -> str:
    """The evidence on its way to an alarm; `name` is what it is called."""
    if evidence is None:
        return ""
    change = evidence.change
    alarm, capital = change.alarm is not None, change.capital
    if not alarm and (capital is None or not change.windows):
        return ""
    share = 1.0 if alarm else min(max(math.log(max(capital, LEAST) / LEAST) / math.log(1 / LEAST), 0.0), 1.0)
    # of more than there are numbers, JSON has none
    says = "beyond all numbers" if capital is None else quantities.measured(capital)
    bar = f'<i{LOUD if alarm else ""} style="width: {100 * share:.1f}%"></i>'
    return (
        f'<div><div class="meter" role="img" aria-label="{name} {says}, and an alarm is 1">{bar}</div>'
        f'<div class="scale"><span>Evidence {says}</span><span>an alarm is 1{_promise(change)}</span></div></div>'
    )


def _promise(change: Change) -> str:
    return f", a false one comes at most {escape(change.promise)}" if change.promise else ""


def _notes(one: Watched, zone: tzinfo) -> str:
    """Head, reference and the last look in one line, as HTML."""
    evidence = one.evidence
    parts = []
    if evidence:
        version = f" ({escape(model(evidence))})" if evidence.model else ""
        parts += [f"head {_digest(evidence.head)}", f"compared with {_digest(evidence.reference)}{version}"]
    if one.looked_at:
        parts.append(_looked(one, zone))
    return " · ".join(parts)


def _requests_notes(one: Requests, zone: tzinfo) -> str:
    """How much was looked at, when, and when more will be, in one line, as HTML."""
    parts = []
    if evidence := one.evidence:
        parts += [sampled(evidence), f"requests to {escape(model(evidence))}"]
        if evidence.change.closes:
            parts.append(f"next hour judged {quantities.ahead(evidence.change.closes)}")
    return " · ".join([*parts, _looked(one, zone)])


def _looked(one: Watched | Requests, zone: tzinfo) -> str:
    if one.looked_at is None:
        return "not looked at yet"
    return f'looked at <span title="{quantities.clock(one.looked_at, zone)}">{quantities.ago(one.looked_at)}</span>'


def model(evidence: Evidence | RequestsEvidence) -> str:
    """The version in service."""
    return evidence.model + (f" version {evidence.version}" if evidence.version is not None else "")


def _digest(digest: str) -> str:
    return short_digest(None, digest) or "nothing"
