"""A copy of an experiment's file: another name and other values, the rest as it was written. It is text that changes, so comments stay.

Only what is usual is found: a name in `metadata`, and lists in one line in `sweep`. Anything else a person changes in the text.
"""

import re
from collections.abc import Collection, Iterator

from manager import Finding

METADATA = re.compile(r"metadata:[ \t]*(?:#.*)?")
NAME = re.compile(r"(?P<before>[ \t]+name:[ \t]*)(?P<name>[^\s#]+)(?P<after>.*)")
FLOW = re.compile(r"(?P<before>metadata:[ \t]*\{(?:.*[ \t,{])?name:[ \t]*)(?P<name>[^\s,}]+)(?P<after>.*)")
SWEEP = re.compile(r"[ \t]+sweep:[ \t]*(?:#.*)?")
SWEPT = re.compile(r"(?P<before>[ \t]+(?P<name>[^\s:#][^:#]*):[ \t]*\[)(?P<values>[^\[\]#]*)(?P<after>\][ \t]*(?:#.*)?)")
# The trials of the original that are not to run: they have names of their own.
CANCELLED = re.compile(r"[ \t]+cancelled:(?P<rest>.*)")
# What is left of a name for the number of a copy; a TrainJob's name has a hash at its end.
LONGEST_NAME = 48
# Characters of a line around a mistake.
WIDTH = 100


def begin(source: str, name: str, taken: Collection[str]) -> str:
    """The first text of a copy."""
    return renamed(_without_cancelled(source), free(name, taken))


def free(name: str, taken: Collection[str]) -> str:
    """The name with the next number that no experiment has."""
    stem = re.sub(r"-[0-9]{1,3}$", "", name)[:LONGEST_NAME].rstrip("-")
    return next(found for number in range(2, 2 + len(taken) + 1) if (found := f"{stem}-{number}") not in taken)


def name(source: str) -> str:
    """The experiment's name; empty if it is not found."""
    _, found = _named(source)
    return found["name"].strip("\"'") if found else ""


def renamed(source: str, name: str) -> str:
    """The text with another name."""
    at, found = _named(source)
    return _with_line(source, at, found["before"] + name + found["after"]) if found else source


def swept(source: str) -> dict[str, str]:
    """The swept parameters with their values, as they are written between the brackets."""
    return {found["name"].strip(): found["values"].strip() for _, found in _sweep(source)}


def with_values(source: str, parameter: str, values: str) -> str:
    """The text with other values of a swept parameter."""
    for at, found in _sweep(source):
        if found["name"].strip() == parameter:
            return _with_line(source, at, found["before"] + values.strip() + found["after"])
    return source


def excerpt(source: str, finding: Finding) -> str | None:
    """The line of a mistake with the one before it, and a mark below; None if the text has no such line."""
    lines = source.split("\n")
    if not 1 <= finding.line <= len(lines):
        return None
    # of a long line, what is around the mark
    start = max(0, finding.column - WIDTH + 20)
    shown = range(max(1, finding.line - 1), finding.line + 1)
    numbered = [f"{number:>4} | {lines[number - 1][start : start + WIDTH]}" for number in shown]
    mark = [f"     | {' ' * (finding.column - 1 - start)}^"] if finding.column else []
    return "\n".join(numbered + mark)


def _with_line(source: str, at: int, line: str) -> str:
    lines = source.split("\n")
    return "\n".join([*lines[:at], line, *lines[at + 1 :]])


def _named(source: str) -> tuple[int, re.Match | None]:
    """The line that has the experiment's name, and its place."""
    inside = False
    for at, line in enumerate(source.split("\n")):
        if inside and (found := NAME.fullmatch(line)):
            return at, found
        if found := FLOW.fullmatch(line):
            return at, found
        if METADATA.fullmatch(line):
            inside = True
        elif _indent(line) == 0:
            inside = False
    return 0, None


def _sweep(source: str) -> Iterator[tuple[int, re.Match]]:
    """The lines of the sweep whose values are a list in one line, with their places."""
    outside = None
    for at, line in enumerate(source.split("\n")):
        indent = _indent(line)
        if SWEEP.fullmatch(line):
            outside = indent
        elif outside is not None and indent is not None:
            if indent <= outside:
                outside = None
            elif found := SWEPT.fullmatch(line):
                yield at, found


def _without_cancelled(source: str) -> str:
    kept, outside, unclosed = [], None, False
    for line in source.split("\n"):
        indent = _indent(line)
        deeper = outside is not None and indent is not None and (indent > outside or (indent == outside and line.lstrip().startswith("-")))
        if unclosed or deeper:
            unclosed = unclosed and "]" not in line
        elif found := CANCELLED.fullmatch(line):
            outside, unclosed = indent, "[" in found["rest"] and "]" not in found["rest"]
        else:
            outside = outside if indent is None else None
            kept.append(line)
    return "\n".join(kept)


def _indent(line: str) -> int | None:
    """How far a line is indented; None if it says nothing."""
    text = line.lstrip(" \t")
    return None if not text or text.startswith("#") else len(line) - len(text)
