"""Fields of answers from elsewhere. A value of another kind than it should be counts as one that is not known, so a newer service breaks nothing."""

import math
from datetime import UTC, datetime

import untrusted

# Seconds since 1970.
LATEST = 2**33


def number(value: object) -> float | None:
    """A finite number; a whole one that no float can hold is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(float(value)) else None
    except OverflowError:
        return None


def whole(value: object) -> int | None:
    """A whole number from 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def text(value: object) -> str:
    """A text that is fit to be shown; empty if there is none."""
    return untrusted.clean(value) if isinstance(value, str) else ""


def mapping(value: object) -> dict:
    """An object; empty if there is none."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list:
    """A list; empty if there is none."""
    return value if isinstance(value, list) else []


def time(value: object) -> datetime | None:
    """A time with its zone, written as ISO 8601 says."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time if time and time.tzinfo else None


def moment(value: object) -> datetime | None:
    """A time in seconds since 1970. One before it or after 2242 is none: at the edges of what a calendar holds there is not every time zone."""
    seconds = number(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 <= seconds < LATEST else None
