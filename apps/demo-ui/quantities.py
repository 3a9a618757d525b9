"""Numbers, durations and prices in words for a person."""

from datetime import UTC, datetime, tzinfo

from trial import Cost, Value

MINUTE, HOUR, DAY = 60, 3600, 86400
# What stands between the thousands of a number: narrow, and no place for a line to break.
THIN = "\u202f"
# Whole numbers below this are written without it.
SHORT = 10_000
# Digits of an exponent.
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """Four significant digits; whole numbers in full."""
    if float(value).is_integer() and abs(value) < 1e15:
        return grouped(int(value))
    if abs(value) >= SHORT:
        return f"{value:.3e}" if abs(value) >= 1e15 else grouped(round(value))
    return f"{value:.4g}"


def measured(value: float) -> str:
    """Three digits of a number that may be very small or very large, as p-values and capitals are: 0.0314, 4.3 × 10⁻⁵."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return number(float(f"{value:.3g}"))
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(RAISED)}"


def percent(share: float) -> str:
    """A share from 0 to 1."""
    return f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of two shares, in percentage points."""
    return f"{100 * difference:.1f}".replace("-", "−")


def grouped(value: int) -> str:
    """A whole number, with its thousands apart if it is long."""
    return str(value) if abs(value) < SHORT else f"{value:,}".replace(",", THIN)


def value(parameter: Value) -> str:
    """A parameter, as an experiment's file has it."""
    if isinstance(parameter, bool):
        return "true" if parameter else "false"
    return parameter if isinstance(parameter, str) else f"{parameter:.6g}" if isinstance(parameter, float) else str(parameter)


def duration(seconds: float) -> str:
    """How long something took, in its two largest units."""
    whole = max(0, round(seconds))
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def remaining(seconds: float) -> str:
    """How long something will still take; nobody can know that exactly."""
    if seconds < 5:
        return "a few seconds left"
    if seconds < 90:
        step = 5 if seconds < 30 else 10
        return f"about {max(5, round(seconds / step) * step)} s left"
    if seconds < 90 * MINUTE:
        return f"about {round(seconds / MINUTE)} min left"
    if seconds < 36 * HOUR:
        return f"about {round(seconds / HOUR)} h left"
    return f"about {round(seconds / DAY)} days left"


def ago(time: datetime, now: datetime | None = None) -> str:
    """How long ago something was. A clock that is ahead of this one makes nothing lie in the future."""
    seconds = ((now or datetime.now(UTC)) - time).total_seconds()
    for unit, name in ((DAY, "day"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count} {name}{'s' if name == 'day' and count > 1 else ''} ago"
    return f"{int(seconds)} s ago" if seconds >= 5 else "just now"


def ahead(time: datetime, now: datetime | None = None) -> str:
    """In how long something will be. What should have been by now is about to be."""
    return f"in {remaining((time - (now or datetime.now(UTC))).total_seconds()).removesuffix(' left')}"


def clock(time: datetime, zone: tzinfo = UTC) -> str:
    """A day and a time of day, where the person is."""
    time = time.astimezone(zone)
    return f"{time.day} {time:%b}, {time:%H:%M}{' UTC' if zone is UTC else ''}"


def price(cost: Cost) -> str:
    """An amount with its currency. What is not nothing is never shown as nothing."""
    currency = cost.currency[:8]
    if 0 < cost.amount < 0.01:
        return f"< 0.01 {currency}".rstrip()
    return f"{cost.amount:,.2f} {currency}".replace(",", THIN).rstrip()


def hours(count: float) -> str:
    """CPU-hours or GPU-hours."""
    return "< 0.01" if 0 < count < 0.01 else f"{count:,.2f}".replace(",", THIN) if count < 100 else grouped(round(count))


def plural(count: int, one: str) -> str:
    """A count with its noun."""
    return f"{grouped(count)} {one}{'' if count == 1 else 's'}"
