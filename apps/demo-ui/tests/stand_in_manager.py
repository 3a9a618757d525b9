"""A stand-in for the training manager on loopback: experiments that ran, that run, that wait, and one whose texts are hostile.

`python stand_in_manager.py [PORT]` serves it until it is stopped, for people who work on the page.
"""

import json
import math
import random
import re
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.message import Message
from urllib.parse import parse_qs, unquote, urlparse

from loopback import Loopback

TOKEN = "right-token"
SOURCE = """# yaml-language-server: $schema=schema.json
apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata:
  name: mnist-cnn        # also the name of the file
spec:
  dataset: mnist-10k
  model: {architecture: cnn, dropout: 0.25}
  training: {epochs: 3, batchSize: 64, optimizer: {name: adam, learningRate: 0.001}, seed: 7}
  sweep:
    training.optimizer.learningRate: [0.001, 0.003, 0.01]
    model.dropout: [0.1, 0.25, 0.5]
  workers: {count: 2, cpu: "1", memory: 512Mi}
  budget: {cpuHours: 4, deadline: 30m}
  cancelled: [mnist-cnn-0badcafe]
  register: {model: mnist, require: {accuracy: ">= 0.95"}}
"""
HOSTILE = "<img src=x onerror=\"document.title='hostile'\">"
SCRIPT = "javascript:document.title='hostile'"
# Turns around what follows it, and would colour it in a terminal.
TURNED = "\u202eturned\x1b[31mred"
EPOCHS = 3
LEARNING_RATE, DROPOUT = "training.optimizer.learningRate", "model.dropout"
# The trial that is in the history.
ARCHIVED = "mnist-cnn-d159e268"
COMMIT = "6d45ac09fbd5e2ba0f0a7a4f3a8b5c1d2e3f4051"


def history(seed: int, until: float, accuracy: float) -> dict[str, list]:
    """The metrics of a training of which a share is done."""
    chance, begin = random.Random(seed), 1_790_000_000_000
    steps = int(120 * until)
    loss = [[10 * at, 2.3 * math.exp(-at / 14) + 0.06 + 0.25 * (1 - accuracy) + 0.05 * chance.random(), begin + at * 400] for at in range(1, steps + 1)]
    epochs = range(1, int(EPOCHS * until) + 1)
    checked = [[epoch, accuracy - 0.09 * 0.35**epoch - (1 - accuracy) * 0.2, begin + epoch * 15_000] for epoch in epochs]
    speed = [[epoch, 3000 + 200 * chance.random(), begin + epoch * 15_000] for epoch in epochs]
    found = {"loss": loss, "validation_accuracy": checked, "images_per_second": speed}
    if until >= 1:
        found["test_accuracy"] = [[EPOCHS, accuracy, begin + 50_000]]
    return {name: points for name, points in found.items() if points}


def lineage(experiment: str, pull_request: int) -> dict:
    return {
        "dataset": "mnist-10k",
        "datasetDigest": "sha256:19108cfc70a1f0c5a6ad0d0b0e3b6f9d5a4c1f27",
        "experimentFile": f"experiments/{experiment}.yaml",
        "experimentBlob": "0009fd89e8c63caa5b7a4f3a8b5c1d2e3f405162",
        "commit": COMMIT,
        "pullRequest": {"number": pull_request, "url": f"https://github.com/acme/digits/pull/{pull_request}"},
        "image": "ghcr.io/slipway-dev/slipway/trainer@sha256:7e1a9f0c5a6ad0d0b0e3b6f9d5a4c1f2719108cfc70a1f0c5a6ad0d0b0e3b6f9",
    }


class Manager(Loopback):
    """The stand-in. `clock` gives the seconds since 1970; each training takes `seconds`, again and again."""

    def __init__(self, port: int = 0, clock=time.time, seconds: float = 45):
        super().__init__(port)
        self.seconds = seconds
        self.clock = clock
        self.began = clock()
        # Method, path, query and body of each request, and the header with its login.
        self.requests: list[tuple[str, str, dict, dict | None]] = []
        self.authorizations: list[str | None] = []
        # Answers that a test wants instead, by path: a status and a body; with the status 0 there is none.
        self.instead: dict[str, tuple[int, object]] = {}
        # What a test changes or adds, by the names of trials.
        self.changed: dict[str, dict] = {}
        self.without_trials = False
        # The environments of all experiments, and the pull requests that cancel something, by its name.
        self.environments = ["local"]
        self.cancellations: dict[str, dict] = {}

    def reply(self, method: str, target: str, headers: Message, content: bytes) -> tuple[int, dict[str, str], bytes] | None:
        url = urlparse(target)
        query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        path, body = url.path.removeprefix("/api/v1"), None if method == "GET" else json.loads(content)
        self.requests.append((method, path, query, body))
        self.authorizations.append(headers["Authorization"])
        status, answer = self.instead.get(path) or self.answer(method, path, query, body, headers["Authorization"])
        kind = "text/plain" if isinstance(answer, str | bytes) else "application/json" if status < 400 else "application/problem+json"
        text = answer.encode() if isinstance(answer, str) else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return (status, {"Content-Type": kind}, text) if status else None

    def answer(self, method: str, path: str, query: dict, body: dict | None, authorization: str | None) -> tuple[int, object]:
        trials = self.trials()
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match method, *parts:
            case "GET", "trials":
                return self.listed(trials, query)
            case "GET", "trials", name if name in trials:
                return 200, trials[name]
            case "GET", "trials", name, "metrics" if name in trials:
                metrics = self.metrics(name)
                wanted = query.get("metric")
                return 200, {"metrics": {key: points for key, points in metrics.items() if wanted in (None, key)}}
            case "GET", "trials", name, "confusion" if name in trials and trials[name]["state"] in ("finished", "refused"):
                return 200, confusion(hostile=name.startswith("hostile"))
            case "GET", "trials", name, "workers", rank, "log" if name in trials:
                return self.log(trials[name], int(rank), int(query.get("tailLines", 100)))
            case "GET", "experiments":
                return 200, {"experiments": [{"name": name, "file": f"experiments/{name}.yaml"} for name in ("mnist-cnn", "mnist-mlp", "mnist-resnet", "hostile")]}
            case "GET", "experiments", name if name in ("mnist-cnn", "mnist-resnet", "hostile"):
                source = SOURCE.replace("name: mnist-cnn", f"name: {name}")
                mine = [one for one in trials.values() if one["experiment"] == name]
                took = {"cpuHours": sum(one["cpuHours"] or 0 for one in mine), "cost": {"amount": sum((one["cost"] or {"amount": 0})["amount"] for one in mine), "currency": "USD"}}
                known = {"name": name, "file": f"experiments/{name}.yaml", "dataset": "mnist-10k", "environments": self.environments}
                return 200, {**known, **took, "source": source, "trials": mine}
            case "POST", *_ if authorization != f"Bearer {TOKEN}":
                return 401, {"title": "This needs a token", "status": 401, "detail": "GitHub does not know this token"}
            case "POST", "experiments":
                return self.proposed(body)
            case "POST", "trials", name, "cancel" if name in trials:
                return self.cancelled(name, 1)
            case "POST", "experiments", name, "cancel":
                return self.cancelled(name, sum(one["experiment"] == name for one in trials.values()))
        return 404, {"type": "about:blank", "title": "Not found", "status": 404, "detail": f"there is nothing at {path}"}

    def listed(self, trials: dict[str, dict], query: dict) -> tuple[int, object]:
        found = [one for one in trials.values() if all(query.get(key) in (None, one[key]) for key in ("state", "experiment", "environment"))]
        found.sort(key=lambda one: (one["created"] or one["started"] or one["ended"], one["name"]), reverse=True)
        begin, limit = int(query.get("after") or 0), int(query.get("limit") or 200)
        more = begin + limit < len(found)
        return 200, {"trials": found[begin : begin + limit], "next": str(begin + limit) if more else None}

    def share(self, name: str) -> float:
        """How much of a running training is done."""
        began = {"mnist-resnet-3f9a1c20": 0.3}.get(name, 0.1)
        return (began + (self.clock() - self.began) / self.seconds) % 1

    def metrics(self, name: str) -> dict:
        trial = self.trials()[name]
        if trial["state"] == "waiting":
            return {}
        seed, until = sum(map(ord, name)), self.share(name) if trial["state"] == "running" else 0.4 if trial["state"] == "failed" else 1.0
        found = history(seed, until, trial["metrics"].get("test_accuracy", 0.975))
        if name.startswith("hostile"):
            found[HOSTILE] = [[1, 1, 0], [2, 3, 0]]
        return found

    def log(self, trial: dict, rank: int, lines: int) -> tuple[int, object]:
        if rank >= trial["workers"] or trial["state"] == "waiting":
            return 404, {"title": "Not found", "status": 404, "detail": f"{trial['name']} has no log of worker {rank} yet"}
        begin = datetime.fromtimestamp(1_790_000_000, UTC)
        count = int(120 * self.share(trial["name"])) if trial["state"] == "running" else 120

        def line(at: int, level: str, message: str, **more) -> str:
            fields = {"timestamp": f"{begin + timedelta(seconds=at * 0.4):%Y-%m-%dT%H:%M:%S.%fZ}", "level": level, "message": message}
            return json.dumps({**fields, **more, "target": "slipway_trainer::run"})

        text = [line(0, "INFO", "meeting the other workers", rank=rank, workers=trial["workers"]), line(1, "INFO", "loading the dataset", dataset="mnist-10k")]
        text += [line(at, "INFO", "step", step=at * 10, loss=round(2.3 * math.exp(-at / 14) + 0.1, 4)) for at in range(2, count)]
        if trial["name"].startswith("hostile"):
            text += ["long " * 200_000, "\x1b[31mred\x1b[0m \x07bell </pre><script>document.title = 'hostile'</script> " + HOSTILE, "over\rwritten \u202e right to left"]
        if trial["state"] == "failed":
            text += [line(count, "ERROR", "worker 1 was lost", rank=1), "killed"]
        return 200, "\n".join(text[-lines:]) + "\n"

    def cancelled(self, name: str, jobs: int) -> tuple[int, object]:
        existed, url = name in self.cancellations, f"https://github.com/acme/digits/pull/{43 + len(self.cancellations)}"
        opened = {"number": 43 + len(self.cancellations), "url": url, "branch": f"slipway/cancel-{name}", "title": f"Cancel {name} ({jobs} TrainJob{'s' if jobs != 1 else ''})"}
        found = self.cancellations.setdefault(name, opened)
        return 200 if existed else 201, {**found, "existed": existed}

    def proposed(self, body: dict) -> tuple[int, object]:
        name, source = body["name"], body["source"]
        findings = []
        for number, line in enumerate(source.splitlines(), 1):
            if (at := line.find("fast")) >= 0:
                help = f"write a number, such as 0.001, not {HOSTILE}"
                findings.append({"file": f"experiments/{name}.yaml", "line": number, "column": at + 1, "code": "type", "message": "`fast` is not a number", "help": help})
        if not re.search(rf"^  name: {re.escape(name)}\b", source, re.MULTILINE):
            findings.append({"file": f"experiments/{name}.yaml", "line": 5, "column": 9, "code": "name", "message": "the name is not that of the file", "help": ""})
        if findings:
            return 422, {"title": "The experiment has mistakes", "status": 422, "detail": f"{len(findings)} to mend", "findings": findings}
        opened = {"number": 42, "url": "https://github.com/acme/digits/pull/42", "branch": f"slipway/{name}", "title": f"Train {name}"}
        return 201, {**opened, "existed": False}

    def trials(self) -> dict[str, dict]:
        now = datetime.fromtimestamp(self.clock(), UTC)
        found = {} if self.without_trials else {one["name"]: one for one in (*ended(now), *self.live(now))}
        for name, changed in self.changed.items():
            found[name] = {**found.get(name, trial(name, "mnist-cnn", "finished", now)), **changed}
        return found

    def live(self, now: datetime) -> list[dict]:
        found = []
        begun = datetime.fromtimestamp(self.began, UTC)
        for place, (name, rate) in enumerate((("mnist-resnet-3f9a1c20", 0.05), ("mnist-resnet-81b7d4e6", 0.1))):
            share = self.share(name)
            seed = sum(map(ord, name))
            newest = {key: points[-1][1] for key, points in history(seed, share, 0.975).items()}
            found.append(
                trial(
                    name,
                    "mnist-resnet",
                    "running",
                    begun - timedelta(seconds=60 - place),
                    started=now - timedelta(seconds=share * self.seconds),
                    parameters={LEARNING_RATE: rate, "training.optimizer.momentum": 0.9},
                    progress={"percent": int(share * 100), "remainingSeconds": int((1 - share) * self.seconds)},
                    metrics=newest,
                    seconds=share * self.seconds,
                )
            )
        found.append(
            trial(
                "mnist-resnet-c01d5a77",
                "mnist-resnet",
                "waiting",
                now - timedelta(seconds=70),
                parameters={LEARNING_RATE: 0.2, "training.optimizer.momentum": 0.9},
                reason="No node has room: 2 workers of 4 CPUs and 8 GiB each wait, and the nodes have 3 CPUs left.",
                advice="Wait until another training ends, or lower `workers.cpu` in experiments/mnist-resnet.yaml.",
                workers=4,
                workerStates=[{"rank": rank, "pod": f"mnist-resnet-c01d5a77-node-0-{rank}-x7k2p", "node": "", "phase": "Pending", "restarts": 0} for rank in range(4)],
            )
        )
        return found


def trial(name: str, experiment: str, state: str, created: datetime, **more) -> dict:
    """A trial in the manager's form."""
    workers = more.get("workers", 2)
    phase = "Running" if state == "running" else "Succeeded"
    known = {
        "name": name,
        "experiment": experiment,
        "environment": "local",
        "state": state,
        "reason": None,
        "advice": None,
        "parameters": {LEARNING_RATE: 0.001, DROPOUT: 0.25},
        "created": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "started": None,
        "ended": None,
        "seconds": None,
        "progress": None,
        "metrics": {},
        "workers": workers,
        "workerStates": [{"rank": rank, "pod": f"{name}-node-0-{rank}-x7k2p", "node": f"worker-{rank}", "phase": phase, "restarts": 0} for rank in range(workers)],
        "cpuHours": None,
        "gpuHours": None,
        "cost": None,
        "run": {"id": "0a1b2c3d4e5f", "url": "https://mlflow.example/#/experiments/5/runs/0a1b2c3d4e5f"} if state != "waiting" else None,
        "model": "mnist",
        "version": None,
        "lineage": lineage(experiment, 17),
        "archived": False,
        "fixed": {},
        "removed": None,
    }
    known |= {key: value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value for key, value in more.items()}
    if known["seconds"] is not None and known["cpuHours"] is None:
        known["cpuHours"] = known["seconds"] * workers / 3600
        known["cost"] = {"amount": known["cpuHours"] * 0.05, "currency": "USD"}
    return known


def ended(now: datetime) -> list[dict]:
    """Trials that ended: a sweep of nine, one that failed, one that was cancelled, and one whose texts are hostile."""
    found, version = [], 0
    for place, (rate, dropout) in enumerate((rate, dropout) for rate in (0.001, 0.003, 0.01) for dropout in (0.1, 0.25, 0.5)):
        accuracy = 0.977 - 0.9 * (rate - 0.003) ** 2 * 600 - 0.06 * (dropout - 0.2) ** 2
        refused, end = accuracy < 0.95, now - timedelta(hours=30 - place * 2, minutes=place)
        version += not refused
        seconds = 132.0 + 7 * place
        found.append(
            trial(
                f"mnist-cnn-{(place + 7) * 0x1A2B3C4D % 2**32:08x}",
                "mnist-cnn",
                "refused" if refused else "finished",
                end - timedelta(seconds=seconds + 9),
                started=end - timedelta(seconds=seconds),
                ended=end,
                seconds=seconds,
                parameters={LEARNING_RATE: rate, DROPOUT: dropout, "training.seed": 7},
                metrics={"loss": 0.06 + 3 * (0.98 - accuracy), "validation_accuracy": accuracy - 0.004, "test_accuracy": accuracy, "images_per_second": 3054.0 + place * 11},
                reason=f"accuracy is {accuracy:.3f}, and the gate asks for >= 0.95" if refused else None,
                advice="Change the experiment, or its gate." if refused else None,
                version=None if refused else version,
            )
        )
        if place == 1:
            # what a record of the history does not know: when its TrainJob was made, its pods, what to do about its end
            found[-1] |= {"name": ARCHIVED, "created": None, "workerStates": [], "advice": None, "archived": True}
    found.append(
        trial(
            "mnist-resnet-5e0c7b19",
            "mnist-resnet",
            "failed",
            now - timedelta(minutes=12),
            started=now - timedelta(minutes=11),
            ended=now - timedelta(minutes=9),
            seconds=120.0,
            parameters={LEARNING_RATE: 0.5, "training.optimizer.momentum": 0.9},
            metrics={"loss": 4.2},
            reason="Worker 1 ran out of memory three times: it may use 512 MiB.",
            advice="Raise `workers.memory`, or lower the batch size.",
        )
    )
    found.append(trial("mnist-mlp-77aa10ff", "mnist-mlp", "cancelled", now - timedelta(hours=50), ended=now - timedelta(hours=49), parameters={}))
    bad = trial(
        "hostile-00000001",
        "hostile",
        "finished",
        now - timedelta(hours=60),
        started=now - timedelta(hours=59),
        ended=now - timedelta(hours=58),
        seconds=3600.0,
        environment=HOSTILE,
        parameters={f"a.b[0] {HOSTILE}": HOSTILE, LEARNING_RATE: 0.003},
        metrics={HOSTILE: 0.5, "test_accuracy": 0.9, f"{TURNED} {'long ' * 200_000}": 1.0},
        reason=f"{HOSTILE} [a link]({SCRIPT}) **bold** `code {HOSTILE}` {TURNED}",
        advice=f"<script>document.title = 'hostile'</script> {HOSTILE}",
        run={"id": HOSTILE, "url": SCRIPT},
        model=HOSTILE,
        version=3,
    )
    made = {key: HOSTILE for key in ("dataset", "datasetDigest", "experimentFile", "experimentBlob", "commit", "image")}
    found.append({**bad, "lineage": {**made, "pullRequest": {"number": 9, "url": SCRIPT}}})
    return found


def confusion(hostile: bool = False) -> dict:
    """Ten digits, of which some look alike."""
    chance = random.Random(3)
    alike = {(4, 9): 14, (9, 4): 11, (3, 5): 9, (5, 3): 7, (7, 2): 8, (3, 8): 6, (7, 9): 5}
    counts = [[188 + chance.randrange(9) if row == column else alike.get((row, column), chance.randrange(3)) for column in range(10)] for row in range(10)]
    return {"labels": [HOSTILE if hostile and digit == 3 else str(digit) for digit in range(10)], "counts": counts}


if __name__ == "__main__":
    with Manager(int(sys.argv[1]) if sys.argv[1:] else 0) as stand_in:
        print(stand_in.address, flush=True)
        threading.Event().wait()
