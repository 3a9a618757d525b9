"""A stand-in for the dataset monitor on loopback: a dataset in each state that there is, and one whose texts are hostile.

`python stand_in_monitor.py [PORT]` serves it until it is stopped, for people who work on the page.
"""

import hashlib
import json
import sys
import threading
import time
from email.message import Message

from loopback import Loopback

HOSTILE = "<img src=x onerror=\"document.title='hostile'\">"
SCRIPT = "javascript:document.title='hostile'"
# Turns around what follows it, and would colour it in a terminal.
TURNED = "\u202eturned\x1b[31mred"
STATISTICS = ("mean", "contrast", "sharpness", "offset", "spread", "slant")
DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


class Monitor(Loopback):
    """The stand-in. `clock` gives the seconds since 1970."""

    def __init__(self, port: int = 0, clock=time.time):
        super().__init__(port)
        self.clock = clock
        # The path of each request, and the header with its login.
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []
        # An answer that a test wants instead: a status and a body; with the status 0 there is none.
        self.instead: tuple[int, object] | None = None
        # What a test changes or adds, by the names of datasets; None removes one.
        self.changed: dict[str, dict | None] = {}

    def reply(self, method: str, target: str, headers: Message, content: bytes) -> tuple[int, dict[str, str], bytes] | None:
        self.requests.append(target)
        self.authorizations.append(headers["Authorization"])
        status, answer = self.instead or self.answer(target)
        kind = "application/json" if status < 400 else "application/problem+json"
        return (status, {"Content-Type": kind}, answer if isinstance(answer, bytes) else json.dumps(answer).encode()) if status else None

    def answer(self, path: str) -> tuple[int, object]:
        if path == "/api/v1/datasets":
            return 200, self.datasets()
        return 404, {"title": "There is no such path", "status": 404, "detail": f"nothing is at {path}"}

    def datasets(self) -> dict[str, dict]:
        """The answer, in the form of apps/dataset-monitor/src/watched.rs. What is not known is left out, or null within the evidence."""
        now = int(self.clock())
        found = {
            "asked": known_by_its_requests(now),
            "digits": asked_to_retrain(now),
            "fashion": quiet(now),
            "letters": held_back(now),
            "mail": whose_requests_have_changed(now),
            "notes": whose_requests_cannot_be_read(now),
            "numbers": about_a_version_that_is_silent(now),
            "plates": {"enabled": True, "failure": "reading s3://landing/plates/7/a.png: access denied; let the monitor's user read it"},
            "signs": switched_off(now),
            "zz-hostile": hostile(now),
        }
        for name, changed in self.changed.items():
            found[name] = {**found.get(name, {}), **changed} if changed is not None else None
        return {name: state for name, state in found.items() if state is not None}


def asked_to_retrain(now: int) -> dict:
    """It has changed, that matters, and the pull request is open."""
    seen = {"sharpness": (0.86, "above 0.117", 1.0, 0.02, 0.034), "spread": (0.09, "above 8.412", 0.44, 0.02, 0.034), "confidence": (0.04, "below 0.612", 0.38, 0.02, 0.034)}
    change = changed("digits", 350, alarm={"after": 200, "at": now - 1500, "capital": 4.2e7}, capital=4.4e12, seen=seen, model=True)
    loss = {
        "reference": accuracy(1965, 2000),
        "items": 200,
        "measured": accuracy(138, 200),
        "estimated": {"of": 200, "accuracy": 0.741, "interval": [0.603, 0.879], "learned": True},
        "loss": 0.2925,
        "certain": 0.2269,
        "threshold": 0.02,
        "matters": True,
    }
    why = "the data have changed (after 200 new items), and the version in service loses 29.2 points on them"
    return {
        "enabled": True,
        "evidence": evidence("digits", 350, change, loss, shares=(0.03, 0.05, 0.09, 0.1, 0.1, 0.09, 0.1, 0.28, 0.08, 0.08)),
        "decision": {"action": "opened", "number": 7, "why": f"{why}; pull request #7 of this head was opened, and there is one for a head, ever"},
        "lookedAt": now - 40,
        "opened": "https://github.com/acme/digits/pull/7",
    }


def quiet(now: int) -> dict:
    """Something is new, and it is like the others."""
    change = changed("fashion", 120, capital=4.3e-5, model=True, waiting=20, closes=now + 2400)
    loss = {"reference": accuracy(1822, 2000), "items": 120, "measured": accuracy(109, 120), "estimated": None, "loss": 0.0027, "certain": -0.0433, "threshold": 0.02, "matters": False}
    return {
        "enabled": True,
        "evidence": evidence("fashion", 120, change, loss, labels=CLOTHES, aside=0),
        "decision": {"action": "nothing", "why": "120 items are new, and they are like the others as far as anybody can tell"},
        "lookedAt": now - 12,
    }


def held_back(now: int) -> dict:
    """Enough is new, and the last pull request is too recent."""
    change = changed("letters", 1240, capital=0.031, model=True)
    loss = {"reference": accuracy(1900, 2000), "items": 1240, "measured": None, "estimated": {"of": 1240, "accuracy": 0.934, "interval": [0.9, 0.968], "learned": False}, "loss": 0.016, "certain": -0.018, "threshold": 0.02, "matters": False}
    why = "1240 new labelled items are there, and 1000 were asked for; #6 was opened less than 24h ago"
    return {
        "enabled": True,
        "evidence": evidence("letters", 1240, change, loss, labels=tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
        "decision": {"action": "heldBack", "retrain": True, "by": "cooldown", "until": now + 5 * 3600, "why": why},
        "lookedAt": now - 3 * 3600,
    }


def about_a_version_that_is_silent(now: int) -> dict:
    """It has changed, nobody answers whether that matters, and there is an issue."""
    change = changed("numbers", 80, alarm={"after": 50, "at": now - 7200, "capital": 1.31}, capital=1.31, seen={"mean": (1.0, "below 0.087", 0.9, 0.1, 0.13)}, model=False, untimed=30)
    unknown = ["mnist version 3 at http://server.server.svc:8081 does not answer: connection refused; see whether the model server runs"]
    why = "the data have changed (after 50 new items), and whether that matters is not known; the version in service has not answered for 25 min, so this is without its answers"
    return {
        "enabled": True,
        "evidence": evidence("numbers", 80, change, None, model=False, unknown=unknown, silent=now - 1500),
        "decision": {"action": "issue", "why": why},
        "lookedAt": now - 100,
        "opened": "https://github.com/acme/digits/issues/9",
    }


def switched_off(now: int) -> dict:
    """It was looked at before it was switched off."""
    change = changed("signs", 60, alarm={"after": 50, "at": now - 86400, "capital": 2.2}, capital=2.2, seen={"label": (0.7, "is 3", 0.5, 0.1, 0.13)}, model=True)
    loss = {"reference": accuracy(1900, 2000), "items": 60, "measured": accuracy(56, 60), "estimated": None, "loss": 0.0167, "certain": -0.0319, "threshold": 0.02, "matters": False}
    why = "the data have changed (after 50 new items), but the version in service loses less than would matter; the monitor is switched off (`enabled: false`)"
    return {
        "enabled": False,
        "evidence": evidence("signs", 60, change, loss),
        "decision": {"action": "heldBack", "retrain": False, "by": "switch", "why": why},
        "lookedAt": now - 86400,
    }


def known_by_its_requests(now: int) -> dict:
    """No build has published it, and an hour of the requests of its version was judged."""
    change = hourly(96, 2.4e-4, now)
    loss = {"reference": accuracy(1944, 2000), "items": 96, "measured": None, "estimated": {"of": 96, "accuracy": 0.968, "interval": [0.94, 0.996], "learned": True}, "loss": 0.004, "certain": -0.024, "threshold": 0.02, "matters": False}
    return {
        "enabled": True,
        "requests": {
            "evidence": asked("asked", change, loss, head=False),
            "decision": {"action": "nothing", "why": "the requests are like the reference as far as anybody can tell"},
            "lookedAt": now - 300,
        },
    }


def whose_requests_have_changed(now: int) -> dict:
    """What lands is like the others, and what is asked is not: there is an issue."""
    seen = {"mean": (0.71, "above 0.264", 0.48, 0.02, 0.034), "predicted": (0.2, "is 3", 0.34, 0.1, 0.13), "confidence": (0.05, "below 0.574", 0.31, 0.02, 0.034)}
    change = hourly(700, 61.0, now, alarm={"after": 300, "at": now - 7500, "capital": 9.0}, seen=seen)
    loss = {"reference": accuracy(1822, 2000), "items": 600, "measured": None, "estimated": {"of": 600, "accuracy": 0.782, "interval": [0.71, 0.854], "learned": True}, "loss": 0.129, "certain": 0.057, "threshold": 0.02, "matters": True}
    shares = (0.07, 0.06, 0.1, 0.34, 0.08, 0.07, 0.08, 0.07, 0.07, 0.06)
    requests = {
        "evidence": asked("mail", change, loss, labels=CLOTHES, shares=shares, hours=4, left_out=12),
        "decision": {"action": "issue", "why": "the requests have changed (after 300 of the sample), and by the estimate the version in service loses 12.9 points on them"},
        "lookedAt": now - 300,
        "opened": "https://github.com/acme/digits/issues/31",
    }
    data = quiet(now)
    change = changed("mail", 120, capital=4.3e-5, model=True)
    return data | {"evidence": evidence("mail", 120, change, data["evidence"]["loss"], labels=CLOTHES, aside=0), "requests": requests}


def whose_requests_cannot_be_read(now: int) -> dict:
    """What is known of the requests is of before their sample was away."""
    requests = {
        "evidence": asked("notes", hourly(410, 0.012, now), None, hours=3),
        "decision": {"action": "nothing", "why": "the requests are like the reference as far as anybody can tell"},
        "lookedAt": now - 5 * 3600,
        "failure": "listing s3://requests/mnist/3/: access denied; let the monitor's user list it",
    }
    return quiet(now) | {"requests": requests}


def hostile(now: int) -> dict:
    """Each text is somebody's who means no good."""
    long = "long " * 50_000
    change = changed(HOSTILE, 9, alarm={"after": 9, "at": now, "capital": 1e308}, capital=1e308, seen={}, model=True)
    change |= {"promise": HOSTILE}
    for one in (*change["streams"], *change["comparisons"]):
        one["stream"] = f"{HOSTILE} {TURNED} {long}"
    for one in change["streams"]:
        one["event"] = f"is {HOSTILE}"
    said = f"{HOSTILE} [a link]({SCRIPT}) **bold** `code {HOSTILE}` {TURNED} <script>document.title = 'hostile'</script>"
    found = evidence(HOSTILE, 9, change, None, labels=(HOSTILE, f"x{'y' * 400}", "[a link](javascript:alert)"), unknown=[f"{said} {long}"])
    found |= {"head": HOSTILE, "reference": {"digest": SCRIPT, "items": 9, "heldOut": 9}, "model": {"name": f"{HOSTILE}{long}", "version": 3}}
    found["loudest"] = [{"item": f"s3://landing/{HOSTILE}/{'w' * 400}", "label": HOSTILE, "answer": [HOSTILE, 0.99], "stream": HOSTILE, "value": None}]
    change = hourly(9, 1e308, now, alarm={"after": 9, "at": now, "capital": 1e308})
    change["streams"] = [{**one, "stream": f"{HOSTILE} {TURNED}", "event": f"is {HOSTILE}"} for one in change["streams"]]
    requests = asked(HOSTILE, change, None, labels=(HOSTILE, f"x{'y' * 400}"), unknown=[said])
    requests |= {"head": SCRIPT, "reference": {"digest": HOSTILE, "items": 9, "heldOut": 9}, "model": {"name": f"{HOSTILE}{long}", "version": 3}}
    found["quality"] |= {"reasons": [{"reason": HOSTILE, "count": 3}], "first": [said]}
    return {
        "enabled": True,
        "evidence": found,
        "decision": {"action": "retrain", "reason": "drift", "why": said},
        "lookedAt": now,
        "opened": SCRIPT,
        "failure": f"{said} {'nospace' * 100}",
        "requests": {"evidence": requests, "decision": {"action": "retrain", "reason": "requests", "why": said}, "lookedAt": now, "opened": SCRIPT, "failure": said},
    }


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def accuracy(right: int, of: int) -> dict:
    """A measured accuracy; its interval is a little wider than the exact one."""
    share = right / of
    half = 2 * (share * (1 - share) / of) ** 0.5
    return {"of": of, "right": right, "accuracy": share, "interval": [max(share - half, 0.0), min(share + half, 1.0)]}


def changed(name: str, new: int, capital: float, model: bool, alarm: dict | None = None, seen: dict | None = None, waiting: int = 0, closes: int | None = None, untimed: int = 0) -> dict:
    """The change of a dataset; `seen` has what streams say that say something."""
    streams = [*(["predicted", "confidence", *(f"softmax[{at}]" for at in range(10))] if model else []), "label", *STATISTICS]
    classes = ("predicted", "label")
    said = []
    for stream in streams:
        share, event, here, usual, bound = (seen or {}).get(stream, (0.001, "is 4" if stream in classes else "below 0.021", 0.04, 0.02, 0.034))
        said.append({"stream": stream, "share": share, "event": event, "seen": here, "usual": usual, "bound": bound})
    said.sort(key=lambda one: -one["share"])
    compared = [
        {
            "stream": stream,
            "chiSquare": {"statistic": 11.31, "pValue": 0.255} if stream in classes else None,
            "kolmogorovSmirnov": None if stream in classes else {"statistic": 0.0724, "pValue": 3.1e-12 if stream in (seen or {}) else 0.318},
            "wasserstein": None if stream in classes else 0.00412,
            "stabilityIndex": {"statistic": 0.0881 + 0.7 * (stream in (seen or {})), "pValue": 0.41},
        }
        for stream in streams
    ]
    observations = new - waiting - untimed
    found = {
        "alarm": alarm,
        "capital": capital,
        "windows": -(-observations // 50),
        "observations": observations,
        "waiting": waiting,
        "untimed": untimed,
        "promise": "once in 5 years",
        "streams": said,
        "comparisons": compared,
    }
    return found | ({"closes": closes} if closes is not None else {})


def hourly(rows: int, capital: float, now: int, alarm: dict | None = None, seen: dict | None = None) -> dict:
    """The change of requests: rows, of which none waits, and the time of the next judgement."""
    found = changed("", rows, capital, model=True, alarm=alarm, seen=seen, closes=now + 1500)
    without = {key: [one for one in found[key] if one["stream"] != "label"] for key in ("streams", "comparisons")}
    return found | without


def asked(
    name: str,
    change: dict,
    loss: dict | None,
    labels: tuple[str, ...] = DIGITS,
    shares: tuple[float, ...] | None = None,
    hours: int = 1,
    left_out: int = 0,
    unknown: list[str] | None = None,
    head: bool = True,
) -> dict:
    """The evidence about the requests of a version, in the form of crates/evidence/src/requests/evidence.rs."""
    said = f"{left_out} sampled rows are left out: they are no picture of 28 × 28 with an answer for {len(labels)} classes"
    return {
        "dataset": name,
        "head": digest(f"the head of {name}") if head else None,
        "model": {"name": "mnist", "version": 3},
        "reference": {"digest": digest(f"the reference of {name}"), "items": 10_000, "heldOut": 3000},
        "answers": class_shares(labels, shares),
        "change": change,
        "hours": hours,
        "loss": loss,
        "inARow": 0,
        "leftOut": left_out,
        "unread": 0,
        "late": 0,
        "unknown": [*([said] if left_out else []), *(unknown or [])],
    }


def class_shares(labels: tuple[str, ...], shares: tuple[float, ...] | None) -> list[dict]:
    count = len(labels)
    return [
        {"label": label, "usual": (1 + 0.1 * ((at * 7) % 3 - 1)) / count, "new": shares[at] if shares else (1 + 0.2 * ((at * 5) % 3 - 1)) / count}
        for at, label in enumerate(labels)
    ]


def evidence(
    name: str,
    new: int,
    change: dict,
    loss: dict | None,
    labels: tuple[str, ...] = DIGITS,
    shares: tuple[float, ...] | None = None,
    model: bool = True,
    unknown: list[str] | None = None,
    silent: int | None = None,
    aside: int = 14,
) -> dict:
    """The evidence about a dataset's head."""
    count = len(labels)
    found = {
        "dataset": name,
        "head": digest(f"the head of {name}"),
        "reference": {"digest": digest(f"the reference of {name}"), "items": 10_000, "heldOut": 3000},
        "model": {"name": "mnist", "version": 3} if model else None,
        "quality": {
            "items": 10_000 + new + aside,
            "counts": {"train": 7000 + new - new // 10 * 3, "validation": 1000 + new // 10, "test": 2000 + new // 10 * 2},
            "setAside": aside,
            "reasons": [{"reason": "near-duplicate", "count": aside - 2}, {"reason": "unreadable", "count": 2}] if aside else [],
            "first": [f"s3://landing/{name}/7/{at:04}.png: near-duplicate" for at in range(3)] if aside else [],
        },
        "new": new,
        "unpinned": new,
        "classes": class_shares(labels, shares),
        "change": change,
        "loss": loss,
        "loudest": [
            {
                "item": f"s3://landing/{name}/{at}/img_{at * 7919 % 10_000:05}.png",
                "label": labels[at % count],
                "answer": [labels[(at + 3) % count], 0.41 + 0.06 * at] if model else None,
                "stream": ("sharpness", "spread", "mean")[at % 3],
                "value": 0.1874 - 0.01 * at,
            }
            for at in range(6)
        ],
        "unknown": unknown or [],
    }
    return found | ({"silent": silent} if silent is not None else {})


if __name__ == "__main__":
    with Monitor(int(sys.argv[1]) if sys.argv[1:] else 0) as stand_in:
        print(stand_in.address, flush=True)
        threading.Event().wait()
