"""From an answer's numbers to classes with names and probabilities."""

from dataclasses import dataclass

import numpy as np

from server import Answer, Output
from signature import FLOATS

# How far from 1 the probabilities of a row may add up, since half precision rounds.
TOLERANCE = 0.01


@dataclass(frozen=True)
class Classes:
    """Probabilities of classes, one row for each thing that was asked about."""

    names: tuple[str, ...]
    probabilities: np.ndarray
    # Where the probabilities come from.
    note: str


def classes(answer: Answer, labels: tuple[str, ...]) -> Classes | None:
    """The answer as classes. None if it has not exactly one output that can be read so, or numbers that are not finite.

    Such an output has a row of two or more floats for each thing asked about, and as many of them as there are labels. Of several, the one
    that is called `probabilities` counts.
    """
    found = [output for output in answer.outputs if _fits(output, labels)]
    if len(found) > 1:
        found = [output for output in found if output.name == "probabilities"]
    if len(found) != 1:
        return None
    (output,) = found
    numbers = values(output)
    if numbers is None or not np.isfinite(numbers).all():
        return None
    names = labels or tuple(str(number) for number in range(output.shape[1]))
    if _are_probabilities(numbers):
        return Classes(names, numbers, f"Probabilities as the model gives them: `{output.name}`.")
    return Classes(names, _softmax(numbers), f"Probabilities by softmax of `{output.name}`, whose numbers are not probabilities.")


def values(output: Output) -> np.ndarray | None:
    """An output's numbers in its shape; null is not a number. None if they are not numbers, or too many or too few."""
    try:
        return np.array(output.data, dtype=np.float64).reshape(output.shape)
    except (TypeError, ValueError, OverflowError):
        return None


def _fits(output: Output, labels: tuple[str, ...]) -> bool:
    if output.datatype not in FLOATS or len(output.shape) != 2:
        return False
    rows, columns = output.shape
    return rows >= 1 and columns >= 2 and (not labels or columns == len(labels))


def _are_probabilities(numbers: np.ndarray) -> bool:
    return bool((numbers >= -1e-6).all() and (np.abs(numbers.sum(axis=1) - 1) <= TOLERANCE).all())


def _softmax(numbers: np.ndarray) -> np.ndarray:
    powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
