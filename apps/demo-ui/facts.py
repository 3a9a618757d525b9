"""The facts about a version, as a short list beside the answer: its accuracy, its speed, its settings and its origin."""

from html import escape

from registry import Run, Version

STYLE = """
<style>
.facts h4 { margin: 1.1rem 0 .4rem; padding: 0; font-size: .8rem; font-weight: 600; opacity: .7; letter-spacing: .02em; }
.facts dl { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .2rem .9rem; margin: 0; padding: 0; font-size: .9rem; }
.facts dt, .facts dd { margin: 0 !important; padding: 0; }
.facts dt { opacity: .7; max-width: 11rem; overflow-wrap: anywhere; }
.facts dd { text-align: right; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-variant-numeric: tabular-nums; }
.facts .figures { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; }
.facts .figures b { display: block; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.facts .figures span { font-size: .75rem; opacity: .7; }
.facts code { font-size: .85em; background: none; color: inherit; padding: 0; }
.facts a { color: inherit; text-decoration: underline; text-decoration-color: color-mix(in srgb, currentColor 35%, transparent); }
</style>
"""
# The parameters that describe how a version was trained, in the order of the list.
SETTINGS = {
    "model.architecture": "Architecture",
    "model.dropout": "Dropout",
    "training.optimizer.name": "Optimizer",
    "training.optimizer.learningRate": "Learning rate",
    "training.optimizer.momentum": "Momentum",
    "training.optimizer.weightDecay": "Weight decay",
    "training.schedule.name": "Schedule",
    "training.schedule.warmupEpochs": "Warm-up epochs",
    "training.schedule.every": "Schedule: every",
    "training.schedule.factor": "Schedule: factor",
    "training.augmentation.shift": "Shift",
    "training.augmentation.rotation": "Rotation",
    "training.earlyStopping.patience": "Patience",
    "training.batchSize": "Batch size",
    "training.epochs": "Epochs",
    "training.seed": "Seed",
    "workers": "Workers",
}
# Parameters of a program, which may log any number of them.
MOST_SETTINGS = 12


def facts(version: Version, run: Run | None, run_page: str | None) -> str:
    """The list as HTML. `run` is None when MLflow has no run for the version."""
    return (
        f'{STYLE}<div class="facts" data-testid="facts" data-version="{escape(version.number)}">'
        f"{_figures(version)}{section('Trained with', settings(version, run))}{section('Comes from', origin(version, run_page))}</div>"
    )


def settings(version: Version, run: Run | None) -> list[tuple[str, str]]:
    """Name and value of each hyperparameter that is known, as HTML."""
    parameters = run.parameters if run else {}
    rows = [(title, escape(parameters[key])) for key, title in SETTINGS.items() if key in parameters]
    if not any(key.startswith(("model.", "training.")) for key in parameters):
        others = sorted(key for key in parameters if key not in SETTINGS)
        rows += [(escape(key.removeprefix("parameters.")), escape(parameters[key])) for key in others[:MOST_SETTINGS]]
        if len(others) > MOST_SETTINGS:
            rows.append((f"and {len(others) - MOST_SETTINGS} more", "in MLflow"))
    if not rows and version.tag("architecture"):
        rows = [("Architecture", escape(version.tag("architecture")))]
    return rows


def origin(version: Version, run_page: str | None) -> list[tuple[str, str]]:
    """Name and value of what a version can be traced back to, as HTML."""
    rows = []
    if version.tag("dataset") or version.tag("dataset-digest"):
        rows.append(("Dataset", short_digest(version.tag("dataset"), version.tag("dataset-digest"))))
    if version.tag("experiment-file"):
        rows.append(("Experiment", code(version.tag("experiment-file"))))
    if version.tag("commit"):
        rows.append(("Commit", code(version.tag("commit"), version.tag("commit")[:10])))
    if version.tag("trainjob"):
        rows.append(("TrainJob", code(version.tag("trainjob"))))
    if version.tag("digest"):
        rows.append(("Content", short_digest(None, version.tag("digest"))))
    if run_page:
        rows.append(("Run", f'<a href="{escape(run_page)}" target="_blank" rel="noopener" data-testid="run">open in MLflow</a>'))
    return rows


def figures(parts: list[tuple[str, str | None]]) -> str:
    """Names, which are HTML, with values, which are texts, as large figures; one without a value is left out."""
    shown = [(name, value) for name, value in parts if value]
    if not shown:
        return ""
    return '<div class="figures">' + "".join(f"<div><b>{escape(value)}</b><span>{name}</span></div>" for name, value in shown) + "</div>"


def _figures(version: Version) -> str:
    accuracy, speed, seconds = (version.figure(name) for name in ("accuracy", "images-per-second", "seconds"))
    return figures([
        ("test accuracy", f"{accuracy * 100:.1f} %" if accuracy is not None else None),
        ("images/s", f"{speed:,.0f}".replace(",", "\u202f") if speed is not None else None),
        ("to train", f"{seconds:.1f} s" if seconds is not None else None),
    ])


def section(title: str, rows: list[tuple[str, str]]) -> str:
    """A title with names and values, all as HTML; nothing if there are none."""
    if not rows:
        return ""
    return f"<h4>{title}</h4><dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def code(whole: str, short: str | None = None) -> str:
    """A text in code, which need not be shown whole, as HTML."""
    return f'<code title="{escape(whole)}">{escape(short or whole)}</code>'


def short_digest(name: str | None, digest: str | None) -> str:
    """A name with the beginning of a digest, as HTML."""
    parts = [escape(name)] if name else []
    if digest:
        parts.append(code(digest, digest.removeprefix("sha256:")[:10]))
    return " ".join(parts)
