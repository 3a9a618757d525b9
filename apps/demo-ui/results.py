"""Trials that ended as a table, and hyperparameters against metrics as a plot: what is in them. trainings.py shows it."""

import math
from dataclasses import dataclass, field

import quantities
from curves import CLOSE
from live import ordered, title
from trial import Trial, Value
from untrusted import clean

# Columns of each kind; a program may log any number of metrics.
MOST_PARAMETERS = 12
MOST_METRICS = 12
# An axis whose numbers span at least this factor is a logarithmic one, as for learning rates.
SPAN = 10
# With at most so many values, each is marked on the axis, and each has a colour of its own.
MOST_MARKS = 8
LONGEST_TEXT = 200
# Of a name at a plot, beside which there is no more room on a telephone.
LONGEST_TITLE = 60
# Of a trial's parameters, when it is named by them.
MOST_SAID = 4
LONGEST_POINT = 30
UNITS = ((quantities.HOUR, "h"), (quantities.MINUTE, "min"), (1, "s"))


@dataclass(frozen=True)
class Column:
    """A column of the table: a value for each trial, None where it has none."""

    title: str
    values: list = field(hash=False)
    # What its numbers look like; None for texts and times.
    format: str | None = None

    @property
    def numeric(self) -> bool:
        return self.format is not None


def parameters(trials: list[Trial]) -> dict[str, Column]:
    """The parameters that differ between the trials that have them, by name. One that is equal everywhere says nothing."""
    found = [trial.trained_with for trial in trials]
    # what was swept comes before what only differs between experiments
    names = dict.fromkeys([*(name for trial in trials for name in trial.parameters), *(name for one in found for name in one)])
    columns = {}
    for name in names:
        values = [one.get(name) for one in found]
        if len({(type(value) is bool, value) for value in values if value is not None}) > 1:
            columns[name] = column(title(name), values)
    return dict(list(columns.items())[:MOST_PARAMETERS])


def points(trials: list[Trial]) -> dict[str, str]:
    """What tells each trial from the others, by name: `Learning rate 0.003, Dropout 0.1`."""
    columns = parameters(trials)
    said = {}
    for trial in trials:
        known = trial.trained_with
        own = [f"{column.title} {quantities.value(known[name])[:LONGEST_POINT]}" for name, column in columns.items() if name in known]
        said[trial.name] = ", ".join(own[:MOST_SAID])
    return said


def metrics(trials: list[Trial]) -> dict[str, Column]:
    """The metrics that any of the trials has, by name, the most telling ones first."""
    names = ordered({name: 0.0 for trial in trials for name in trial.metrics})[:MOST_METRICS]
    return {name: measured(name.replace("_", " "), [trial.metrics.get(name) for trial in trials]) for name in names}


def costs(trials: list[Trial]) -> dict[str, Column]:
    """What the trials took: time, hours of CPUs and GPUs, and money, as far as any of them has it."""
    longest = max((trial.seconds for trial in trials if trial.seconds is not None), default=0)
    seconds, unit = next((found for found in UNITS if longest >= 2 * found[0]), UNITS[-1])
    took = [None if trial.seconds is None else trial.seconds / seconds for trial in trials]
    found = {
        "duration": Column(f"Duration, {unit}", took, "%.1f"),
        "cpu hours": Column("CPU-hours", [trial.cpu_hours for trial in trials], "%.3f"),
        "gpu hours": Column("GPU-hours", [trial.gpu_hours for trial in trials], "%.3f"),
    }
    currencies = sorted({trial.cost.currency for trial in trials if trial.cost})
    for currency in currencies[:3]:
        paid = [trial.cost.amount if trial.cost and trial.cost.currency == currency else None for trial in trials]
        found[f"cost {currency}"] = Column(f"Cost, {currency[:8]}" if currency else "Cost", paid, "%.3f")
    return {name: column for name, column in found.items() if any(value is not None for value in column.values)}


def measured(title: str, values: list[float | None]) -> Column:
    """A column of measurements, of which a few digits say enough."""
    found = [abs(value) for value in values if value]
    exact = "%.0f" if min(found, default=0) >= 100 else "%.6g"
    return Column(title, [None if value is None else float(value) for value in values], exact if max(found, default=0) >= quantities.SHORT else "%.4g")


def column(title: str, values: list[Value | None]) -> Column:
    """A column of numbers if all values are; otherwise all are texts."""
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
        return Column(title, [None if value is None else float(value) for value in values], "%.6g")
    return Column(title, [None if value is None else quantities.value(value)[:LONGEST_TEXT] for value in values])


def table(trials: list[Trial]) -> dict[str, Column]:
    """The columns of the table, by keys that no text from elsewhere can collide with."""
    several = len({trial.experiment for trial in trials}) > 1
    columns = {
        "trial": Column("Trial", [trial.name for trial in trials]),
        **({"experiment": Column("Experiment", [trial.experiment for trial in trials])} if several else {}),
        "state": Column("State", [trial.says for trial in trials]),
        "ended": Column("Ended", [trial.ended or trial.created for trial in trials]),
        **{f"parameter {name}": column for name, column in parameters(trials).items()},
        **{f"metric {name}": column for name, column in metrics(trials).items()},
        **costs(trials),
    }
    versions = [f"{trial.model} {trial.version}" if trial.version is not None else None for trial in trials]
    if any(versions):
        columns["version"] = Column("Version", versions)
    return columns


def most_drawn(columns: dict[str, Column], other: Column) -> str:
    """The key of the column that most trials have together with another one: the first of these."""
    both = {key: sum(None not in pair for pair in zip(column.values, other.values, strict=True)) for key, column in columns.items()}
    return max(both, key=both.get)


def plot(trials: list[Trial], x: Column, y: Column, colour: Column | None) -> tuple[dict[str, list], dict] | None:
    """The data and the specification of Vega-Lite for a plot of one column against another; None if no trial has both.

    Fields have names of their own here: a dot or a bracket in one would mean something to Vega.
    """
    rows = [at for at in range(len(trials)) if x.values[at] is not None and y.values[at] is not None]
    if not rows:
        return None
    data = {
        "x": [x.values[at] for at in rows],
        "y": [y.values[at] for at in rows],
        "trial": [trials[at].name for at in rows],
        "state": [trials[at].says for at in rows],
    }
    across, up = (clean(column.title, LONGEST_TITLE) for column in (x, y))
    encoding = {
        "x": {"field": "x", "title": across, **axis(x, data["x"])},
        "y": {"field": "y", "title": up, **axis(y, data["y"], marks=False)},
        "tooltip": [
            {"field": "trial", "title": "Trial"},
            {"field": "x", "title": across},
            {"field": "y", "title": up},
            {"field": "state", "title": "State"},
        ],
    }
    if colour:
        few = len(set(colour.values)) <= MOST_MARKS
        numbers = colour.numeric and not few
        data["colour"] = [value if numbers or value is None else _text(value) for value in (colour.values[at] for at in rows)]
        kind, legend = "quantitative" if numbers else "nominal", {"orient": "bottom", "offset": 8} if numbers or few else None
        told = {"field": "colour", "type": kind, "title": clean(colour.title, LONGEST_TITLE), "legend": legend}
        encoding["color"] = told
        if few:
            # for whoever does not see the colours
            encoding["shape"] = told
        encoding["tooltip"].append({"field": "colour", "title": told["title"]})
    spec = {
        "mark": {"type": "point", "filled": True, "size": 110, "opacity": 0.85, "cursor": "pointer"},
        "encoding": encoding,
        "params": [{"name": "picked", "select": {"type": "point", "fields": ["trial"], "toggle": False}}],
        "height": 380,
    }
    return data, spec


def axis(column: Column, values: list, marks: bool = True) -> dict:
    """How Vega-Lite draws the axis of a column; `marks`: each value has one, if there are few."""
    if not column.numeric:
        return {"type": "nominal", "axis": {"labelAngle": 0, "labelLimit": 120, **CLOSE}}
    found = sorted(set(values))
    wide = marks and found[0] > 0 and found[-1] / found[0] >= SPAN and math.isfinite(found[-1] / found[0])
    scale = {"type": "log"} if wide else {"type": "linear", "zero": False}
    scale |= {"nice": False, "padding": 40 if marks else 20}
    few = {"values": found} if marks and len(found) <= MOST_MARKS else {}
    return {"type": "quantitative", "scale": scale, "axis": {"format": "~g", "labelOverlap": True, **few, **CLOSE, **({} if marks else {"titlePadding": 12})}}


def _text(value: object) -> str:
    return quantities.value(value) if isinstance(value, bool | int | float) else str(value)
