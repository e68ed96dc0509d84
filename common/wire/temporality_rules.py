"""The two rules: deltas are added up to totals, and totals are set against the ones before.

Source: the OpenTelemetry metrics data model, "Sums: Delta-to-Cumulative" and "Resets and Gaps".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from common.wire.temporality_state import Series
from common.wire.temporality_values import Algebra, Odd


class Reason(StrEnum):
    """Why a point was left out."""

    BASELINE = "baseline"
    """The first total of a series: differences are counted from it."""
    OUT_OF_ORDER = "out_of_order"
    """Not younger than what its series was last seen with."""
    INVALID_POINT = "invalid_point"
    """No value, no finite one, a monotonic sum below 0, or buckets that contradict themselves."""


Times: TypeAlias = tuple[int, int]
"""Start and time of a point, in nanoseconds since the Unix epoch; a start of 0 is not known."""

Step: TypeAlias = tuple[int, Any, int, Any, bool]
"""Start and value of the point that is sent, those that are remembered, and whether it is a reset.

The first value is `Reason.BASELINE` where nothing is sent.
"""


class Rule(Protocol):
    """What becomes of a point that is younger than the ones of its series before.

    The horizon is in nanoseconds, too: a series that began later cannot have been forgotten.
    """

    def __call__(  # noqa: D102 - the class says it
        self,
        series: Series[Any] | None,
        value: Any,
        times: Times,
        algebra: Algebra,
        horizon: int,
        /,
    ) -> Step: ...


def accumulate(
    series: Series[Any] | None,
    value: Any,
    times: Times,
    algebra: Algebra,
    horizon: int,  # noqa: ARG001 - of the other rule
    /,
) -> Step:
    """Add a delta to the total of its *series*.

    A new one starts where its first delta does. Where a delta cannot be added, because it counts by
    other bounds or the total would not fit, the total begins anew with it: a reset, which whoever
    reads totals knows how to take.
    """
    if series is not None:
        total = algebra.plus(series.value, value)
        if total is not None:
            return series.start, total, series.start, total, False
    start, time = times
    begin = start if 0 < start <= time else time
    return begin, value, begin, value, series is not None


def difference(
    series: Series[Any] | None, value: Any, times: Times, algebra: Algebra, horizon: int, /
) -> Step:
    """Take the total before from a total of its *series*.

    A total that is smaller than the one before, in whatever part, or that began later, was reset:
    all of it came since. The first one of a series is what later ones are set against, and sent
    only if it began later than everything that is, or was, remembered here: then it is all new.
    """
    start, time = times
    if start > time:
        start = 0  # a clock that we cannot believe
    if series is None:
        return start, value if start > horizon else Reason.BASELINE, start, value, False
    if not start > series.start > 0:
        delta = algebra.minus(value, series.value)
        if delta is Odd.INCOMPARABLE:
            return start, Reason.BASELINE, start, value, True
        if delta is not Odd.RESET:
            return series.last, delta, start, value, False
    return max(start, series.last), value, start, value, True
