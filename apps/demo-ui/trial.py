"""What the training manager tells about trials and experiments, as it is sent: JSON with names in camelCase.

A value of another kind than it should be counts as one that is not known. So a newer manager does not break this page.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

import untrusted
from signature import plain


class NotATrial(ValueError):
    """What was sent has no name."""


class State(Enum):
    """How far a trial is."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    # One that a newer manager has.
    UNKNOWN = "unknown"

    @property
    def live(self) -> bool:
        """Whether it may still change by itself."""
        return self in (State.WAITING, State.RUNNING)


# What a parameter can be.
Value = bool | int | float | str


@dataclass(frozen=True)
class Progress:
    """How far a training is."""

    # From 0 to 100.
    percent: float
    # How long the rest will take, in seconds.
    remaining: float | None


@dataclass(frozen=True)
class Worker:
    """A worker that is in the cluster."""

    rank: int
    pod: str
    node: str
    # As Kubernetes calls it, such as `Running`.
    phase: str
    restarts: int


@dataclass(frozen=True)
class Cost:
    """A sum of money."""

    amount: float
    currency: str


@dataclass(frozen=True)
class Lineage:
    """What a trial was made from. What is not known is empty."""

    dataset: str = ""
    dataset_digest: str = ""
    experiment_file: str = ""
    experiment_blob: str = ""
    commit: str = ""
    # The number of the pull request that brought it, and its page.
    pull_request: int | None = None
    pull_request_url: str = ""
    image: str = ""


@dataclass(frozen=True)
class Trial:
    """One point of an experiment's sweep."""

    name: str
    experiment: str
    environment: str
    state: State
    # Why it waits, was refused or failed, and what to do about that.
    reason: str
    advice: str
    parameters: dict[str, Value] = field(hash=False)
    created: datetime | None
    started: datetime | None
    ended: datetime | None
    # How long it has run.
    seconds: float | None
    progress: Progress | None
    # The newest value of each metric.
    metrics: dict[str, float] = field(hash=False)
    workers: int
    worker_states: tuple[Worker, ...]
    cpu_hours: float | None
    gpu_hours: float | None
    cost: Cost | None
    # Its run in MLflow, and the page of that.
    run: str
    run_url: str
    model: str
    version: int | None
    lineage: Lineage
    archived: bool


@dataclass(frozen=True)
class Experiment:
    """An experiment of the project."""

    name: str
    file: str
    # The content of that file as it is, because a person changes it; empty if there is none, or if it was not asked for.
    source: str
    dataset: str
    # Those that its file names.
    environments: tuple[str, ...]
    trials: tuple[Trial, ...]
    # What all of its trials took so far.
    cpu_hours: float | None
    cost: Cost | None


def experiment(sent: object) -> Experiment:
    """An experiment as it was sent."""
    found = _object(sent)
    source = found.get("source")
    return Experiment(
        name=_name(found),
        file=_text(found.get("file")),
        source=plain(source) if isinstance(source, str) else "",
        dataset=_text(found.get("dataset")),
        environments=tuple(name for one in _list(found.get("environments")) if (name := _text(one))),
        trials=tuple(trial(one) for one in _list(found.get("trials"))),
        cpu_hours=number(found.get("cpuHours")),
        cost=_cost(found),
    )


def trial(sent: object) -> Trial:
    """A trial as it was sent."""
    found = _object(sent)
    progress, run, made = (_object(found.get(key)) for key in ("progress", "run", "lineage"))
    percent = number(progress.get("percent"))
    asked = _object(made.get("pullRequest"))
    return Trial(
        name=_name(found),
        experiment=_text(found.get("experiment")),
        environment=_text(found.get("environment")),
        state=_state(found.get("state")),
        reason=_text(found.get("reason")),
        advice=_text(found.get("advice")),
        parameters={untrusted.name(key): _value(value) for key, value in _object(found.get("parameters")).items()},
        created=_time(found.get("created")),
        started=_time(found.get("started")),
        ended=_time(found.get("ended")),
        seconds=number(found.get("seconds")),
        progress=None if percent is None else Progress(min(max(percent, 0), 100), number(progress.get("remainingSeconds"))),
        metrics={untrusted.name(key): known for key, value in _object(found.get("metrics")).items() if (known := number(value)) is not None},
        workers=_whole(found.get("workers")) or 0,
        worker_states=tuple(_worker(_object(one)) for one in _list(found.get("workerStates"))),
        cpu_hours=number(found.get("cpuHours")),
        gpu_hours=number(found.get("gpuHours")),
        cost=_cost(found),
        run=_text(run.get("id")),
        run_url=_text(run.get("url")),
        model=_text(found.get("model")),
        version=_whole(found.get("version")),
        lineage=Lineage(
            dataset=_text(made.get("dataset")),
            dataset_digest=_text(made.get("datasetDigest")),
            experiment_file=_text(made.get("experimentFile")),
            experiment_blob=_text(made.get("experimentBlob")),
            commit=_text(made.get("commit")),
            pull_request=_whole(asked.get("number")),
            pull_request_url=_text(asked.get("url")),
            image=_text(made.get("image")),
        ),
        archived=found.get("archived") is True,
    )


def _cost(found: dict) -> Cost | None:
    cost = _object(found.get("cost"))
    amount = number(cost.get("amount"))
    return None if amount is None else Cost(amount, _text(cost.get("currency")))


def _worker(found: dict) -> Worker:
    rank, restarts = (_whole(found.get(key)) or 0 for key in ("rank", "restarts"))
    pod, node, phase = (_text(found.get(key)) for key in ("pod", "node", "phase"))
    return Worker(rank, pod, node, phase, restarts)


def _name(found: dict) -> str:
    if name := _text(found.get("name")):
        return name
    raise NotATrial(f"there is no name in {str(found)[:100]}")


def _state(value: object) -> State:
    try:
        return State(value)
    except ValueError:
        return State.UNKNOWN


def _value(value: object) -> Value:
    if isinstance(value, bool) or (isinstance(value, int | float) and number(value) is not None):
        return value
    return untrusted.clean(value if isinstance(value, str) else str(value))


def number(value: object) -> float | None:
    """A finite number; a whole one that no float can hold is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(float(value)) else None
    except OverflowError:
        return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: object) -> str:
    return untrusted.clean(value) if isinstance(value, str) else ""


def _object(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list:
    return value if isinstance(value, list) else []


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time if time and time.tzinfo else None
