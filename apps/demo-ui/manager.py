"""The page's client of the training manager's REST interface."""

from dataclasses import dataclass, replace
from enum import Enum
from urllib.parse import quote

import requests

import fields
import trial
import untrusted
from rest import Rest, RestError, good, parsed
from signature import plain
from trial import Experiment, NotATrial, Trial

# Seconds to connect, and between two parts of an answer. Before a pull request is open, the manager asks GitHub many things: it takes 150 s at most.
TIMEOUT_OF_WRITES = (3, 160)
# Bytes of a log's end, which is what is asked for.
LONGEST_LOG = 512 << 10
# Trials of one answer, and of all answers together: nobody reads a longer table, and each session needs memory for it.
PAGE = 1000
MOST_TRIALS = 1000
# Problems of one file that are shown.
MOST_FINDINGS = 50


@dataclass(frozen=True)
class Finding:
    """A mistake in a file, and what to do. Lines and columns count from 1; 0 if there is none."""

    line: int
    column: int
    message: str
    help: str


class ManagerError(RestError):
    """The manager did not answer, or answered with an error; `findings` are the mistakes in the file that it was sent."""

    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Confusion:
    """How often each class (a row) was answered with each class (a column)."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


# Step and value of each point, in the order of the steps.
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Proposal:
    """A pull request that was opened, or one with the same content that was open already."""

    number: int
    url: str
    branch: str
    title: str
    existed: bool


class Kind(Enum):
    """What can be cancelled; its value is the part of the path."""

    TRIAL = "trials"
    EXPERIMENT = "experiments"


class Manager(Rest):
    """The training manager, as the page reaches it."""

    name, short = "training manager", "manager"
    error = ManagerError

    def trials(self, most: int = MOST_TRIALS, **which: str) -> tuple[list[Trial], bool]:
        """So many trials, the newest first, and whether there are more; `which` narrows them down, such as `state="running"`."""
        found, after = [], None
        while len(found) < most:
            limit = str(min(PAGE, most - len(found)))
            answer = self._get("trials", **which, limit=limit, **({"after": after} if after else {}))
            some = self._trials(answer.get("trials"))
            found += some
            after = answer.get("next")
            if not some or not isinstance(after, str) or not after:
                return found, False
        return found[:most], True

    def trial(self, name: str) -> Trial:
        """One trial."""
        return self._read(trial.trial, self._get(f"trials/{_quoted(name)}"))

    def experiments(self) -> frozenset[str]:
        """The names of all experiments."""
        found = self._get("experiments").get("experiments")
        if not isinstance(found, list):
            raise ManagerError("The manager's answer has no experiments")
        return frozenset(self._read(trial.experiment, one).name for one in found)

    def experiment(self, name: str) -> Experiment:
        """One experiment with its source and its trials."""
        return self._read(trial.experiment, self._get(f"experiments/{_quoted(name)}"))

    def curves(self, name: str, metric: str | None = None) -> dict[str, Curve]:
        """The histories of a trial's metrics, or of one of them."""
        answer = self._get(f"trials/{_quoted(name)}/metrics", **({} if metric is None else {"metric": metric}))
        metrics = answer.get("metrics")
        return {untrusted.name(key): _curve(points) for key, points in metrics.items()} if isinstance(metrics, dict) else {}

    def confusion(self, name: str) -> Confusion | None:
        """What the trained model took for what; None if that is not known."""
        try:
            answer = self._get(f"trials/{_quoted(name)}/confusion")
        except ManagerError as error:
            if error.status == 404:
                return None
            raise
        match answer:
            case {"labels": [*labels], "counts": [*counts]} if labels and len(counts) == len(labels):
                if all(isinstance(row, list) and len(row) == len(labels) and all(_is_count(count) for count in row) for row in counts):
                    return Confusion(tuple(untrusted.name(str(label)) for label in labels), tuple(map(tuple, counts)))
        raise ManagerError("The manager's answer has no confusion matrix")

    def log(self, name: str, rank: int, lines: int) -> str:
        """The last lines of a worker's log, as it was written."""
        path = f"trials/{_quoted(name)}/workers/{rank}/log"
        answer = self._ask("GET", path, params={"tailLines": str(lines)})
        content = self._content(answer, LONGEST_LOG, cut=True)
        if not good(answer):
            raise self._problem(answer, content)
        return content.decode(errors="replace")

    def propose(self, name: str, source: str, token: str) -> Proposal:
        """Opens a pull request that adds an experiment, on behalf of the person that the token belongs to."""
        return self._write("experiments", {"name": name, "source": source}, token)

    def cancel(self, kind: Kind, name: str, environment: str | None, token: str) -> Proposal:
        """Opens a pull request that cancels something, in one environment or in all of them."""
        body = {} if environment is None else {"environment": environment}
        return self._write(f"{kind.value}/{_quoted(name)}/cancel", body, token)

    def _write(self, path: str, body: dict, token: str) -> Proposal:
        access = replace(self.access, authorization=f"Bearer {token}")
        answer = self._ask("POST", path, access, json=body, timeout=TIMEOUT_OF_WRITES)
        match self._json(answer):
            case {"number": int(number), "url": str(url), "branch": str(branch), "title": str(title), **others}:
                return Proposal(number, plain(url), untrusted.clean(branch), untrusted.clean(title), others.get("existed") is True)
        raise ManagerError("The manager's answer does not name the pull request")

    def _trials(self, sent: object) -> list[Trial]:
        if not isinstance(sent, list):
            raise ManagerError("The manager's answer has no trials")
        return [self._read(trial.trial, one) for one in sent]

    def _read(self, read, sent: object):
        try:
            return read(sent)
        except NotATrial as error:
            raise ManagerError(f"The manager's answer cannot be read: {error}") from error

    def _problem(self, answer: requests.Response, content: bytes) -> ManagerError:
        error, body = super()._problem(answer, content), parsed(content)
        findings = fields.sequence(fields.mapping(body).get("findings"))
        error.findings = tuple(_finding(one) for one in findings[:MOST_FINDINGS] if isinstance(one, dict))
        return error


def _quoted(name: str) -> str:
    if name in ("", ".", ".."):
        # such a part of a path would lead to another one
        raise ManagerError("The training manager knows no such name", status=404)
    return quote(name, safe="")


def _finding(found: dict) -> Finding:
    line, column = (value if type(value := found.get(key)) is int and value > 0 else 0 for key in ("line", "column"))
    message, help = (untrusted.clean(value) if isinstance(value := found.get(key), str) else "" for key in ("message", "help"))
    return Finding(line, column, message, help)


def _curve(points: object) -> Curve:
    """The points that are numbers; a step that was logged twice has its last value."""
    found = {}
    for point in points if isinstance(points, list) else ():
        match point:
            case [step, value, *_] if (step := fields.number(step)) is not None and (value := fields.number(value)) is not None:
                found[step] = value
    return sorted(found.items())


def _is_count(count: object) -> bool:
    return type(count) is int and count >= 0
