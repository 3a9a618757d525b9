"""The histories of metrics as line charts: what Vega-Lite gets."""

from html import escape

from live import thinned
from manager import Curve
from untrusted import clean

LEGEND_STYLE = """
<style>
.legend { margin: 0 !important; padding: 0 !important; list-style: none; font-size: .875rem; line-height: 1.7; }
.legend li { margin: 0 !important; padding: 0; overflow-wrap: anywhere; }
.legend i { display: inline-block; width: 28px; height: 3px; margin-right: .5rem; vertical-align: middle; }
.legend b { margin-right: .3rem; font-weight: 600; }
.legend span { opacity: .7; }
</style>
"""
# Points of one line that are drawn; more would not be seen.
POINTS = 500
# Lines of so many points have marks.
FEW = 20
HEIGHT = 210
# Of a metric's name at the pointer.
LONGEST_TITLE = 60
# What is written on an axis stands close to it.
CLOSE = {"labelPadding": 6, "titlePadding": 6}
STEPS = {"grid": False, "tickCount": 6, "tickMinStep": 1, "format": ",d", **CLOSE}
VALUES = {"tickCount": 5, "format": "~g", **CLOSE}
# Of the lines of several trials, on light and on dark.
COLOURS = ("#2b7ab0", "#d0692a", "#38995f", "#9a6bd0")
# Their dashes, for whoever does not see the colours.
DASHES = ([1, 0], [7, 3], [2, 3], [9, 3, 2, 3])


def legend(trials: dict[str, str]) -> str:
    """Each trial's name, with what is said about it, beside the colour of its lines, as HTML."""
    rows = "".join(
        f'<li>{_sample(colour, dashes)}<b>{escape(name)}</b> <span>{escape(said)}</span></li>'
        for colour, dashes, (name, said) in zip(COLOURS, DASHES, trials.items(), strict=False)
    )
    return f'{LEGEND_STYLE}<ul class="legend" data-testid="legend">{rows}</ul>'


def _sample(colour: str, dashes: list[int]) -> str:
    """A piece of a trial's line, as HTML. Streamlit lets no SVG through."""
    ends = [sum(dashes[: at + 1]) for at in range(len(dashes))]
    parts = [f"{colour if at % 2 == 0 else 'transparent'} {end - dashes[at]}px {end}px" for at, end in enumerate(ends)]
    return f'<i style="background: repeating-linear-gradient(90deg, {", ".join(parts)})"></i>'


def names(curves: dict[str, dict[str, Curve]]) -> list[str]:
    """The metrics that any of the trials has with two points or more: one point makes no curve."""
    return list(dict.fromkeys(metric for of in curves.values() for metric, curve in of.items() if len(curve) > 1))


def chart(metric: str, curves: dict[str, dict[str, Curve]], live: bool = False) -> tuple[dict[str, list], dict]:
    """The data and the specification for one metric of some trials, each a line. That of a live one stays the same, so that it is drawn in place."""
    data = {"step": [], "value": [], "trial": []}
    for trial, of in curves.items():
        for step, value in thinned(of.get(metric, []), POINTS):
            data["step"].append(step)
            data["value"].append(value)
            data["trial"].append(trial)
    several = len(curves) > 1
    # points that are not seen are there for the pointer
    few = len(data["step"]) <= FEW * len(curves)
    encoding = {
        "x": {"field": "step", "type": "quantitative", "title": "step", "scale": {"nice": False, "zero": False}, "axis": STEPS},
        "y": {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}, "axis": VALUES},
        "tooltip": [
            *([{"field": "trial", "title": "Trial"}] if several else []),
            {"field": "step", "title": "step", "format": ","},
            {"field": "value", "title": clean(metric, LONGEST_TITLE), "format": ".5~g"},
        ],
    }
    if several:
        # a trial has the same colour in all charts, and one legend is above them
        told = {"field": "trial", "type": "nominal", "title": None, "legend": None}
        for channel, marks in (("color", COLOURS), ("strokeDash", DASHES)):
            encoding[channel] = {**told, "scale": {"domain": list(curves), "range": list(marks)}}
    spec = {
        "mark": {"type": "line", "strokeWidth": 2, "strokeJoin": "round", "point": {"size": 40} if few and not live else {"size": 60, "opacity": 0}},
        "encoding": encoding,
        "height": HEIGHT,
    }
    return data, spec

