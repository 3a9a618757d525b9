"""Cards of trials: how far each is, a small curve, and why one waits or failed. They are changed in place, once a second."""

import re
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

import quantities
from facts import SETTINGS
from manager import Curve
from trial import Removal, State, Trial, Value

HERE = Path(__file__).parent
HTML = '<ul class="cards" data-testid="cards"></ul>'
# Metrics that say how well a training goes, the first ones before the others: those of the built-in trainer, and what programs mostly call theirs.
FIRST = ("loss", "train_loss", "validation_loss", "val_loss", "validation_accuracy", "val_accuracy", "accuracy", "test_accuracy")
# What a card shows of each; the trial's page shows more.
MOST_PARAMETERS = 6
MOST_METRICS = 2
# Points of a small curve.
POINTS = 120
LONGEST = 600
# What the names of the built-in trainer's parameters begin with.
OF_THE_TRAINER = ("model.", "training.")
# How a trial's file left the default branch, for a person.
REMOVED = {Removal.REPLACED: "replaced by a later change", Removal.CANCELLED: "no longer asked for"}


def show(cards: list[dict], key: str, alone: bool = False) -> str | None:
    """Shows the cards; `alone`: one card, as wide as the page, whose name is above it. Returns the name of the trial whose card was pressed."""
    # See canvas.py about registering on every run.
    mount = st.components.v2.component("slipway_trials", html=HTML, css=(HERE / "live.css").read_text(), js=(HERE / "live.js").read_text())
    return mount(key=key, data={"cards": cards, "alone": alone}, on_opened_change=lambda: None).opened


def card(trial: Trial, curve: tuple[str, Curve] | None = None) -> dict:
    """A trial as the component takes it, with a link to its page. `curve` is the name of a metric with its history."""
    parameters = [(title(name), quantities.value(value)) for name, value in list(trial.parameters.items())[:MOST_PARAMETERS]]
    drawn = small(*curve) if curve else None
    return {**head(trial, MOST_METRICS), "link": address(trial.name), "parameters": parameters, "curve": drawn}


def head(trial: Trial, most: int) -> dict:
    """A trial as the component takes it for the trial's own page, which has all else below."""
    metrics = ordered(trial.metrics)[:most]
    progress = trial.progress if trial.state is State.RUNNING else None
    return {
        "name": trial.name,
        "link": None,
        "state": trial.state.value,
        "parameters": [],
        "reason": trial.reason[:LONGEST],
        "advice": trial.advice[:LONGEST],
        "curve": None,
        "metrics": [(name.replace("_", " "), quantities.number(trial.metrics[name])) for name in metrics],
        "percent": progress.percent if progress else None,
        "remaining": quantities.remaining(progress.remaining) if progress and progress.remaining is not None else "",
        "notes": notes(trial),
    }


def address(name: str) -> str:
    """The link to a trial's page."""
    return "?" + urlencode({"view": "trainings", "trial": name})


def title(parameter: str) -> str:
    """A parameter's name for a person. That of a program's own parameter stays as it is."""
    if parameter in SETTINGS:
        return SETTINGS[parameter]
    if parameter.startswith(OF_THE_TRAINER):
        # a field that is newer than this page
        words = re.sub(r"([A-Z])", r" \1", parameter.partition(".")[2]).lower().split(".")
        return ": ".join(words).capitalize()
    return parameter.removeprefix("parameters.")


def ordered(metrics: dict[str, Value]) -> list[str]:
    """The names of metrics, the most telling ones first."""
    return sorted(metrics, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def notes(trial: Trial) -> str:
    """Where and when a trial runs, and on how many workers."""
    running = sum(worker.phase == "Running" for worker in trial.worker_states)
    workers = quantities.plural(trial.workers, "worker")
    if trial.state is State.RUNNING and trial.worker_states and running < trial.workers:
        workers = f"{running} of {workers} run"
    if trial.state is State.WAITING and trial.created:
        when = f"created {quantities.ago(trial.created)}"
    elif trial.ended:
        when = f"ended {quantities.ago(trial.ended)}"
    else:
        when = f"started {quantities.ago(trial.started)}" if trial.started else ""
    parts = (trial.experiment if not trial.name.startswith(f"{trial.experiment}-") else "", workers if trial.workers else "", trial.environment, when, REMOVED.get(trial.removed, ""))
    return " · ".join(part for part in parts if part)


def small(metric: str, curve: Curve) -> dict | None:
    """A curve whose sides go from 0 to 1; None while it has no two points."""
    points = thinned(curve, POINTS)
    if len(points) < 2:
        return None
    (left, _), (right, last) = points[0], points[-1]
    low, high = min(value for _, value in points), max(value for _, value in points)
    height = (high - low) or 1.0
    return {
        "name": metric.replace("_", " "),
        "points": [(round((step - left) / (right - left), 4), round((value - low) / height, 4)) for step, value in points],
        "says": f"{metric.replace('_', ' ')} from {quantities.number(points[0][1])} to {quantities.number(last)}",
    }


def thinned(curve: Curve, most: int) -> Curve:
    """At most so many points of a curve, evenly chosen, the first and the last one included."""
    if len(curve) <= most:
        return curve
    return [curve[at * (len(curve) - 1) // (most - 1)] for at in range(most)]
