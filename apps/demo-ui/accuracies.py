"""The accuracy of the version in service on what is new beside that on the reference, with intervals, and what is lost. As HTML."""

import math

import prose
import quantities
from evidence import Accuracy, Loss
from noun import ITEMS, Noun

STYLE = """
<style>
.accuracy { display: flex; flex-direction: column; gap: .7rem; font-size: .875rem; font-variant-numeric: tabular-nums; }
.accuracy .line { display: flex; justify-content: space-between; flex-wrap: wrap; gap: 0 .75rem; }
.accuracy .line span:last-child { opacity: .75; }
.accuracy .range { position: relative; height: .5rem; margin-top: .25rem; border-radius: 999px; background: color-mix(in srgb, currentColor 10%, transparent); }
.accuracy .range i { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: 999px; }
.accuracy .range i { background: color-mix(in srgb, currentColor 40%, transparent); }
.accuracy .range u { position: absolute; top: -.15rem; width: .8rem; height: .8rem; margin-left: -.4rem; border-radius: 999px; background: currentColor; }
.accuracy .ends { display: flex; justify-content: space-between; font-size: .75rem; opacity: .7; }
</style>
"""


def accuracies(loss: Loss, alarm: bool, noun: Noun = ITEMS) -> str:
    """The accuracies of the version in service with their intervals, and what is lost, as HTML."""
    rows = [
        ("On the reference", loss.reference),
        (f"On {noun.all}, by its labels", loss.measured),
        (f"On {noun.all}, estimated without labels", loss.estimated),
    ]
    known = [(name, one) for name, one in rows if one]
    low = math.floor(10 * min((one.low for _, one in known), default=0.0)) / 10
    low = min(max(low, 0.0), 0.9)
    lines = "".join(_accuracy(name, one, low) for name, one in known)
    ends = f'<div class="ends"><span>{100 * low:.0f} %</span><span>100 %</span></div>' if known else ""
    which = f"{quantities.plural(loss.items, noun.one)} from the {noun.window} of the alarm on" if alarm else quantities.plural(loss.items, noun.newest)
    said = []
    if loss.loss is not None:
        lost = f"{quantities.points(loss.loss)} points are lost" if loss.loss > 0 else "nothing is lost"
        certain = f", of which {quantities.points(max(loss.certain, 0.0))} are certain" if loss.certain is not None and loss.loss > 0 else ""
        said.append(f"On the {which}, {lost}{certain}.")
    if loss.threshold is not None:
        said.append(f"It matters from {quantities.points(loss.threshold)} certain points on.")
    return f'{STYLE}<div class="accuracy" data-testid="accuracies">{lines}{ends}{prose.paragraph(" ".join(said))}</div>'


def _accuracy(name: str, one: Accuracy, low: float) -> str:
    def place(share: float) -> float:
        return 100 * min(max((share - low) / (1 - low), 0.0), 1.0)

    begin, end = place(one.low), place(one.high)
    says = f"{quantities.percent(one.share)} ({100 * one.low:.1f} to {100 * one.high:.1f})"
    return (
        f'<div><div class="line"><span>{name}</span><span>{says}, of {quantities.grouped(one.of)}</span></div>'
        f'<div class="range" role="img" aria-label="{name}: {says}"><i style="left: {begin:.1f}%; width: {max(end - begin, 0):.1f}%"></i>'
        f'<u style="left: {place(one.share):.1f}%"></u></div></div>'
    )
