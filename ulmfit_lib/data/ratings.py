"""Ratings: labels that are numbers, sorted into classes; a text's rating is the classes' mean by probability."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError

MOST_CLASSES = 10
FEWEST_ROWS = 5  # of each class, where there are more different numbers than that


def with_ratings(table: TextTable) -> TextTable:
    """The same rows with labels read as numbers: each number a class, or, where they are many, each of some ranges.

    Raises:
        DataError: a label that is no number.
    """
    numbers = [None if label is None else _number(table, row, label) for row, label in enumerate(table.labels)]
    known = np.array([number for number in numbers if number is not None])
    if not len(known):
        return replace(table, numbers=numbers)
    distinct, counts = np.unique(known, return_counts=True)
    edges = distinct[1:]
    if len(distinct) > MOST_CLASSES or counts.min() < 2:
        edges = _even_edges(known)
    places = np.searchsorted(edges, known, side="right")
    names = {int(place): _name(known[places == place]) for place in np.unique(places)}
    sorted_in = iter(places.tolist())
    labels = [None if number is None else names[next(sorted_in)] for number in numbers]
    return replace(table, labels=labels, numbers=numbers)


def class_means(table: TextTable) -> tuple[float, ...] | None:
    """What each of a labelled table's classes stands for, in their order; None if its labels are no ratings."""
    if table.numbers is None:
        return None
    numbers, targets = np.array(table.numbers, np.float64), table.class_numbers()
    return tuple(float(numbers[targets == number].mean()) for number in range(len(table.classes)))


def _number(table: TextTable, place: int, label: str) -> float:
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{table.source}: row {table.rows[place]} has the label {label!r}, and a rating is a number")
    return number


def _even_edges(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Between ranges of about as many rows each, as many ranges as still have two rows each."""
    for count in range(min(MOST_CLASSES, len(numbers) // FEWEST_ROWS), 1, -1):
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, count + 1)[1:-1], method="higher"))
        sizes = np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1)
        if sizes[sizes > 0].min() > 1:
            return edges
    return np.zeros(0)


def _name(numbers: npt.NDArray[np.float64]) -> str:
    low, high = float(numbers.min()), float(numbers.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
