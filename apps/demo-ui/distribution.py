"""How the classes are distributed in what is new and in the reference, as a chart: what Vega-Lite gets."""

from curves import CLOSE
from evidence import ClassShare
from untrusted import clean

# More classes are not told apart in a chart; those that differ most are drawn.
MOST = 40
LONGEST = 40
HEIGHT = 230


def chart(classes: tuple[ClassShare, ...], new: str = "What is new") -> tuple[dict[str, list], dict]:
    """The data and the specification: a bar for what is new, which is called `new`, and a mark for the reference."""
    drawn = classes
    if len(classes) > MOST:
        most = sorted(classes, key=lambda one: -abs(one.new - one.usual))[:MOST]
        drawn = tuple(one for one in classes if one in most)
    # labels that are cut alike are still two classes
    names = [clean(one.label, LONGEST) for one in drawn]
    names = [name if names.count(name) == 1 else f"{name[: LONGEST - 4]} {at}" for at, name in enumerate(names)]
    data = {"class": names, "new": [one.new for one in drawn], "usual": [one.usual for one in drawn]}
    shares = {"type": "quantitative", "axis": {"format": "~%", "tickCount": 5, **CLOSE}, "title": None}
    across = {"field": "class", "type": "nominal", "sort": None, "title": None, "axis": {"labelAngle": 0 if _short(names) else -45, "labelLimit": 90, **CLOSE}}
    tooltip = [
        {"field": "class", "title": "Class"},
        {"field": "new", "title": new, "format": ".1%"},
        {"field": "usual", "title": "Reference", "format": ".1%"},
    ]
    spec = {
        "encoding": {"x": across, "tooltip": tooltip},
        "layer": [
            {"mark": {"type": "bar", "opacity": 0.75, "cornerRadiusEnd": 2}, "encoding": {"y": {"field": "new", **shares}}},
            {"mark": {"type": "tick", "thickness": 3, "color": "#d0692a", "bandSize": 16}, "encoding": {"y": {"field": "usual", **shares}}},
        ],
        "height": HEIGHT,
    }
    return data, spec


def _short(names: list[str]) -> bool:
    return max(map(len, names), default=0) <= 2 and len(names) <= 26
