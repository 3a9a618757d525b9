"""The end of a worker's log, made fit to be read: bounded, without control characters, and lines of JSON as sentences."""

import json
import re
from pathlib import Path

import streamlit as st

from untrusted import SEQUENCE, clean

HERE = Path(__file__).parent
HTML = '<div class="log" data-testid="log" tabindex="0" role="log" aria-live="off" aria-label="The end of the log"></div>'
# Lines that are asked for, and characters of one.
LINES = 400
LONGEST = 2000
# Fields of a line of JSON that are not said after its message.
TOLD = ("timestamp", "level", "message", "target", "span", "spans", "fields")
SEVERE = {"ERROR": "error", "WARN": "warning", "WARNING": "warning"}


def lines(text: str) -> list[tuple[str, str]]:
    """Each line with its kind: `error`, `warning`, or nothing."""
    return [_line(line) for line in text.removesuffix("\n").split("\n")] if text else []


def show(text: str, follow: bool) -> None:
    """Shows a log; `follow`: the newest lines stay in sight unless a person has scrolled away from them."""
    # See canvas.py about registering on every run.
    mount = st.components.v2.component("slipway_log", html=HTML, css=(HERE / "worker_log.css").read_text(), js=(HERE / "worker_log.js").read_text())
    mount(key="log", data={"lines": lines(text), "follow": follow})


def _line(line: str) -> tuple[str, str]:
    # what was written over, as a bar of progress does, is gone
    line = line.rstrip("\r").rsplit("\r", 1)[-1]
    kind, line = _sentence(SEQUENCE.sub("", line))
    return kind, clean(line, LONGEST)


def _sentence(line: str) -> tuple[str, str]:
    """What a line of JSON, as the built-in programs write it, says: the time, the message and what belongs to it."""
    if not line.startswith("{"):
        return "", line
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "", line
    if not isinstance(found, dict):
        return "", line
    # a logger may put what it says below `fields`, and an event need not have a message
    fields = found.get("fields")
    found = {**found, **fields} if isinstance(fields, dict) else found
    said = next((found[name] for name in ("message", "event") if isinstance(found.get(name), str)), None)
    if said is None:
        return "", line
    level = str(found.get("level", ""))
    time = re.search(r"T(\d\d:\d\d:\d\d)", str(found.get("timestamp", "")))
    parts = [time[1] if time else "", level if level in SEVERE else "", said]
    also = {name: value for name, value in found.items() if name not in TOLD and not (name == "event" and value == said)}
    parts += [f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}" for name, value in also.items()]
    return SEVERE.get(level, ""), "  ".join(part for part in parts if part).replace("\n", " ")
