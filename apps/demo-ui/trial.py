"""What the training manager tells about trials and experiments, as it is sent: JSON with names in camelCase.

A value of another kind than it should be counts as one that is not known. So a newer manager does not break this page.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

import fields
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


class Removal(Enum):
    """How a trial's file left the default branch without being moved to the history."""

    REPLACED = "replaced"
    CANCELLED = "cancelled"


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
    # What a trial of a sweep is trained with besides; empty without a sweep, where `parameters` has everything.
    fixed: dict[str, Value] = field(hash=False)
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
    # None as long as its file is there, or in the history.
    removed: Removal | None

    @property
    def trained_with(self) -> dict[str, Value]:
        """All that is known of what it is trained with, the swept parameters first."""
        return {**self.parameters, **{name: value for name, value in self.fixed.items() if name not in self.parameters}}

    @property
    def says(self) -> str:
        """The state in a word, and how its file went."""
        removed = "" if self.removed is None or self.removed.value == self.state.value else f", {self.removed.value}"
        return f"{self.state.value}{removed}"


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
    found = fields.mapping(sent)
    source = found.get("source")
    return Experiment(
        name=_name(found),
        file=fields.text(found.get("file")),
        source=plain(source) if isinstance(source, str) else "",
        dataset=fields.text(found.get("dataset")),
        environments=tuple(name for one in fields.sequence(found.get("environments")) if (name := fields.text(one))),
        trials=tuple(trial(one) for one in fields.sequence(found.get("trials"))),
        cpu_hours=fields.number(found.get("cpuHours")),
        cost=_cost(found),
    )


def trial(sent: object) -> Trial:
    """A trial as it was sent."""
    found = fields.mapping(sent)
    progress, run, made = (fields.mapping(found.get(key)) for key in ("progress", "run", "lineage"))
    percent = fields.number(progress.get("percent"))
    asked = fields.mapping(made.get("pullRequest"))
    return Trial(
        name=_name(found),
        experiment=fields.text(found.get("experiment")),
        environment=fields.text(found.get("environment")),
        state=_state(found.get("state")),
        reason=fields.text(found.get("reason")),
        advice=fields.text(found.get("advice")),
        parameters=_values(found.get("parameters")),
        fixed=_values(found.get("fixed")),
        created=fields.time(found.get("created")),
        started=fields.time(found.get("started")),
        ended=fields.time(found.get("ended")),
        seconds=fields.number(found.get("seconds")),
        progress=None if percent is None else Progress(min(max(percent, 0), 100), fields.number(progress.get("remainingSeconds"))),
        metrics={untrusted.name(key): known for key, value in fields.mapping(found.get("metrics")).items() if (known := fields.number(value)) is not None},
        workers=fields.whole(found.get("workers")) or 0,
        worker_states=tuple(_worker(fields.mapping(one)) for one in fields.sequence(found.get("workerStates"))),
        cpu_hours=fields.number(found.get("cpuHours")),
        gpu_hours=fields.number(found.get("gpuHours")),
        cost=_cost(found),
        run=fields.text(run.get("id")),
        run_url=fields.text(run.get("url")),
        model=fields.text(found.get("model")),
        version=fields.whole(found.get("version")),
        lineage=Lineage(
            dataset=fields.text(made.get("dataset")),
            dataset_digest=fields.text(made.get("datasetDigest")),
            experiment_file=fields.text(made.get("experimentFile")),
            experiment_blob=fields.text(made.get("experimentBlob")),
            commit=fields.text(made.get("commit")),
            pull_request=fields.whole(asked.get("number")),
            pull_request_url=fields.text(asked.get("url")),
            image=fields.text(made.get("image")),
        ),
        archived=found.get("archived") is True,
        removed=next((one for one in Removal if one.value == found.get("removed")), None),
    )


def _cost(found: dict) -> Cost | None:
    cost = fields.mapping(found.get("cost"))
    amount = fields.number(cost.get("amount"))
    return None if amount is None else Cost(amount, fields.text(cost.get("currency")))


def _worker(found: dict) -> Worker:
    rank, restarts = (fields.whole(found.get(key)) or 0 for key in ("rank", "restarts"))
    pod, node, phase = (fields.text(found.get(key)) for key in ("pod", "node", "phase"))
    return Worker(rank, pod, node, phase, restarts)


def _name(found: dict) -> str:
    if name := fields.text(found.get("name")):
        return name
    raise NotATrial(f"there is no name in {str(found)[:100]}")


def _state(value: object) -> State:
    try:
        return State(value)
    except ValueError:
        return State.UNKNOWN


def _values(sent: object) -> dict[str, Value]:
    return {untrusted.name(key): _value(value) for key, value in fields.mapping(sent).items()}


def _value(value: object) -> Value:
    if isinstance(value, bool) or (isinstance(value, int | float) and fields.number(value) is not None):
        return value
    return untrusted.clean(value if isinstance(value, str) else str(value))
