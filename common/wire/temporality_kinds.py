"""The kinds of points whose temporality can be changed, and what each of their values takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from common.wire import temporality_exponential, temporality_values
from common.wire.temporality_values import Algebra, Number

# Measured, in bytes: a count in a tuple, and what is around the counts.
_COUNT_BYTES: Final = 40
_HISTOGRAM_BYTES: Final = 260
_EXPONENTIAL_BYTES: Final = 310


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How points of one kind are read, calculated with, remembered and written."""

    algebra: Algebra
    read: Callable[[Any], Any]
    """Returns the value of a point, ``None`` if it has none that could be."""
    write: Callable[[Any, Any], None]
    cost: Callable[[Any], int]
    """Returns about how many bytes a value takes beside its series."""
    varies: bool
    """Whether that changes from value to value."""


def _cost_of_histogram(value: temporality_values.Histogram) -> int:
    return _HISTOGRAM_BYTES + len(value.bounds) + _COUNT_BYTES * len(value.counts)


def _cost_of_exponential(value: temporality_exponential.Exponential) -> int:
    counts = len(value.positive[1]) + len(value.negative[1])
    return _EXPONENTIAL_BYTES + _COUNT_BYTES * counts


def _free(_: Number) -> int:
    return 0


def _never(*_: object) -> None:
    raise RuntimeError("BUG: numbers are read and written by position")


NUMBERS: Final = Kind(
    algebra=temporality_values.NUMBERS, read=_never, write=_never, cost=_free, varies=False
)
HISTOGRAMS: Final = Kind(
    algebra=temporality_values.HISTOGRAMS,
    read=temporality_values.read_histogram,
    write=temporality_values.write_histogram,
    cost=_cost_of_histogram,
    varies=True,
)
EXPONENTIALS: Final = Kind(
    algebra=temporality_exponential.EXPONENTIALS,
    read=temporality_exponential.read,
    write=temporality_exponential.write,
    cost=_cost_of_exponential,
    varies=True,
)
