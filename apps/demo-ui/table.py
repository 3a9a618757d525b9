"""Rows of numbers for a model of tables, from pasted CSV."""

import csv
import io
import math
from dataclasses import dataclass, field

import numpy as np

from signature import FLOATS, NUMPY, Tensor

MOST_ROWS = 1000
SEPARATORS = "\t;,"


class CsvError(ValueError):
    """The text is not the table that the model takes. The message says where and why."""


@dataclass(frozen=True)
class Rows:
    """Rows for the model."""

    # `[rows, columns]`; the tensor's own datatype.
    values: np.ndarray = field(repr=False)
    # Columns of the text that the model does not take.
    ignored: tuple[str, ...] = ()


def columns(tensor: Tensor) -> tuple[str, ...]:
    """The names of the columns; numbers from 1 if they have none."""
    return tensor.columns or tuple(f"{tensor.name} {number}" for number in range(1, tensor.shape[1] + 1))


def whole(tensor: Tensor) -> bool:
    """Whether the numbers are whole."""
    return tensor.datatype not in FLOATS


def bounds(tensor: Tensor) -> tuple[float, float]:
    """The lowest and the highest number."""
    found = np.finfo(NUMPY[tensor.datatype]) if not whole(tensor) else np.iinfo(NUMPY[tensor.datatype])
    return (int(found.min), int(found.max)) if whole(tensor) else (float(found.min), float(found.max))


def rows(text: str, tensor: Tensor) -> Rows:
    """Reads CSV, separated by commas, semicolons or tabs.

    A first line without any number names the columns: then their order does not matter, and others are ignored.
    """
    lines = _lines(text)
    if not lines:
        raise CsvError("There is no row; paste at least one")
    names = columns(tensor)
    places, ignored = list(range(len(names))), ()
    expected = len(names)
    if not any(_is_number(cell) for cell in lines[0][1]):
        number, header = lines.pop(0)
        expected = len(header)
        if tensor.columns:
            places, ignored = _by_name(number, header, names)
        elif expected != len(names):
            raise CsvError(f"Line {number} names {expected} columns, and the model takes {len(names)}")
        if not lines:
            raise CsvError(f"There is no row after the names of the columns in line {number}; add at least one")
    if len(lines) > MOST_ROWS:
        raise CsvError(f"Line {lines[MOST_ROWS][0]}: there are {len(lines)} rows, and at most {MOST_ROWS} are allowed")
    values = np.empty((len(lines), len(names)), NUMPY[tensor.datatype])
    for row, (number, cells) in enumerate(lines):
        if len(cells) != expected:
            raise CsvError(f"Line {number} has {len(cells)} columns, and there must be {expected}")
        for column, place in enumerate(places):
            try:
                values[row, column] = _number(cells[place], tensor)
            except ValueError as error:
                raise CsvError(f"Line {number}, column {place + 1} ({names[column]}): {error}") from None
    return Rows(values, ignored)


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """The lines that are not empty with their numbers, as cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = next((sign for sign in SEPARATORS if sign in first), ",")
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    found = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                found.append((reader.line_num, cells))
    except csv.Error as error:
        raise CsvError(f"Line {reader.line_num}: {error}") from None
    return found


def _by_name(number: int, header: list[str], names: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
    missing = [name for name in names if name not in header]
    if missing:
        raise CsvError(f"Line {number} does not name {', '.join(f'`{name}`' for name in missing[:5])}; the model's columns are {', '.join(names)}")
    twice = next((name for name in names if header.count(name) > 1), None)
    if twice is not None:
        raise CsvError(f"Line {number} names `{twice}` twice")
    return [header.index(name) for name in names], tuple(name for name in header if name not in names)


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace("_", "x"))
    except ValueError:
        return False
    return True


def _number(cell: str, tensor: Tensor) -> float | int:
    shown = cell[:40]
    if not cell:
        raise ValueError("the cell is empty")
    if not _is_number(cell):
        raise ValueError(f"`{shown}` is not a number" + ("; write a point before the decimals" if _is_number(cell.replace(",", ".")) else ""))
    low, high = bounds(tensor)
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"`{shown}` is not a finite number")
    if whole(tensor):
        if not number.is_integer():
            raise ValueError(f"`{shown}` is not a whole number")
        # not by way of a float, which is not exact above 2^53
        number = int(cell) if cell.lstrip("+-").isdecimal() else int(number)
    if not low <= number <= high:
        raise ValueError(f"`{shown}` does not fit into {tensor.datatype}, which goes from {low:g} to {high:g}")
    return number
