"""The facts about a trial: what it took, what it was made from, and its workers. As HTML, in which every text is escaped."""

import re
from html import escape
from urllib.parse import quote, urlsplit

import quantities
from facts import STYLE, code, figures, section, short_digest
from live import title
from trial import Lineage, Trial, Worker

FIGURES_STYLE = "<style>.facts.trial .figures { display: flex; flex-wrap: wrap; gap: .5rem 1.4rem; }</style>"
# Streamlit puts them below the figures, with a space.
BELOW_STYLE = "<style>.facts.below h4:first-of-type { margin-top: 0; }</style>"
WORKERS_STYLE = """
<style>
.workers { max-height: 16rem; overflow: auto; }
.workers table { width: 100%; border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
.workers th { font-size: .75rem; font-weight: 500; opacity: .7; text-align: left; }
.workers th, .workers td { padding: .2rem .6rem .2rem 0; white-space: nowrap; border: 0; }
.workers td:nth-child(3) { max-width: 9rem; overflow: hidden; text-overflow: ellipsis; }
.workers :is(th, td):last-child { padding-right: 0; text-align: right; }
</style>
"""
# Of more workers or parameters, the first ones are shown.
MOST_WORKERS = 64
MOST_PARAMETERS = 40
# The page of a pull request, in which the repository's page is found.
PULL_REQUEST = re.compile(r"(https?://[^/?#\s]+/[^/?#\s]+/[^/?#\s]+)/pull/[0-9]+")
COMMIT = re.compile(r"[0-9a-f]{7,64}")


def took(trial: Trial) -> str:
    """What the trial took so far, as HTML; empty if it has not begun."""
    seconds, cpu, gpu = trial.seconds, trial.cpu_hours, trial.gpu_hours
    large = figures([
        ("duration", None if seconds is None else quantities.duration(seconds)),
        ("CPU-hours", None if cpu is None else quantities.hours(cpu)),
        ("GPU-hours", quantities.hours(gpu) if gpu else None),
        ("cost", quantities.price(trial.cost) if trial.cost else None),
    ])
    return large and f'{STYLE}{FIGURES_STYLE}<div class="facts trial">{large}</div>'


def facts(trial: Trial) -> str:
    """The parameters, what the trial was made from, and what it became, as HTML."""
    trained = [(escape(title(name)), escape(quantities.value(value))) for name, value in trial.trained_with.items()]
    return (
        f'{STYLE}{BELOW_STYLE}<div class="facts below" data-testid="trial-facts">{section("Parameters", trained[:MOST_PARAMETERS])}'
        f"{section('Comes from', origin(trial.lineage))}{section('Became', became(trial))}</div>"
    )


def origin(lineage: Lineage) -> list[tuple[str, str]]:
    """Name and value of what the trial was made from, as HTML."""
    rows, repository = [], PULL_REQUEST.fullmatch(lineage.pull_request_url)
    at = f"{repository[1]}/blob/{lineage.commit}/{quote(lineage.experiment_file)}" if repository and COMMIT.fullmatch(lineage.commit) else ""
    if lineage.dataset or lineage.dataset_digest:
        rows.append(("Dataset", short_digest(lineage.dataset, lineage.dataset_digest)))
    if lineage.experiment_file:
        rows.append(("Experiment", link(at, code(lineage.experiment_file))))
    elif lineage.experiment_blob:
        rows.append(("Experiment", code(lineage.experiment_blob, lineage.experiment_blob[:10])))
    if lineage.pull_request is not None:
        rows.append(("Pull request", link(lineage.pull_request_url, f"#{lineage.pull_request}")))
    if lineage.commit:
        rows.append(("Commit", link(f"{repository[1]}/commit/{lineage.commit}" if at else "", code(lineage.commit, lineage.commit[:10]))))
    if lineage.image:
        rows.append(("Image", code(lineage.image, image(lineage.image))))
    return rows


def became(trial: Trial) -> list[tuple[str, str]]:
    """What there is of the trial in MLflow, as HTML."""
    rows = []
    if trial.run_url or trial.run:
        rows.append(("Run", link(trial.run_url, "open in MLflow", code(trial.run or trial.run_url, (trial.run or trial.run_url)[:10]))))
    if trial.version is not None:
        rows.append(("Version", f"{escape(trial.model)} {trial.version}"))
    return rows


def link(url: str, html: str, otherwise: str | None = None) -> str:
    """A link, if the address is one of the web; otherwise the text alone, or another one."""
    if not is_web(url):
        return html if otherwise is None else otherwise
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{html}</a>'


def is_web(url: str) -> bool:
    """Whether an address is one that a browser may be led to."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def image(reference: str) -> str:
    """The end of an image's name, with the beginning of its digest."""
    name, _, digest = reference.partition("@")
    return name.rpartition("/")[2] + (f"@{digest.removeprefix('sha256:')[:10]}" if digest else "")


def workers(found: tuple[Worker, ...]) -> str:
    """The workers as a table, as HTML."""
    rows = "".join(
        f'<tr><td>{worker.rank}</td><td>{escape(worker.phase)}</td><td title="{escape(worker.pod)}">{escape(worker.node or "no node yet")}</td>'
        f"<td>{quantities.grouped(worker.restarts)}</td></tr>"
        for worker in sorted(found, key=lambda worker: worker.rank)[:MOST_WORKERS]
    )
    head = "<tr><th>Worker</th><th>State</th><th>Node</th><th>Restarts</th></tr>"
    return (
        f'{WORKERS_STYLE}<div class="workers" data-testid="workers" tabindex="0" role="region" aria-label="Workers">'
        f"<table><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
    )
