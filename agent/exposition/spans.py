"""The buckets of a native histogram, one after the other, from the spans that leave out gaps."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from agent.exposition import families, model
from common.wire import errors


class Side(NamedTuple):
    """The buckets on one side of zero: the index of the first, and the count of each."""

    offset: int
    counts: tuple[int, ...]


NONE = Side(0, ())
"""A side without buckets."""


class Room:
    """How much more one body may hold: two bytes may announce thousands of empty buckets.

    Exemplars have a limit besides that of samples, since a native histogram may have any number.
    """

    __slots__ = ("_all", "_each", "_exemplars", "_exemplars_left", "_left")

    def __init__(self, limits: model.Limits) -> None:
        self._each = limits.buckets
        self._all = self._left = limits.buckets * model.NATIVE_FACTOR
        self._exemplars = self._exemplars_left = limits.samples * model.NATIVE_FACTOR

    def take(self, buckets: int) -> None:
        """Take room for those of one histogram; raises `errors.TooLarge` where there is none."""
        if buckets > self._each:
            raise errors.TooLarge(
                f"a native histogram of {buckets} buckets over the limit of {self._each}; "
                "choose a coarser resolution"
            )
        self._left -= buckets
        if self._left < 0:
            raise errors.TooLarge(
                f"native histograms of more than {self._all} buckets in one body; "
                "choose a coarser resolution"
            )

    def take_exemplars(self, count: int) -> None:
        """Take room for those of one histogram; raises `errors.TooLarge` where there is none."""
        if self._exemplars:
            self._exemplars_left -= count
            if self._exemplars_left < 0:
                raise errors.TooLarge(
                    f"native histograms with more than {self._exemplars} exemplars in one body; "
                    "keep fewer of them or raise the sample limit"
                )


def width(side: families.Repeated[families.Span], counts: int) -> int:
    """Return how many buckets *side* spans, gaps included, for *counts* bucket counts.

    Raises `errors.Malformed`, without a position, where spans and counts differ or spans overlap.
    """
    told = gaps = 0
    for i, span in enumerate(side):
        told += span.length
        if i:
            if span.offset < 0:
                raise errors.Malformed(
                    f"span {i} of a native histogram begins {-span.offset} buckets before the end "
                    "of the one before; spans must not overlap"
                )
            gaps += span.offset
    if told != counts:
        raise errors.Malformed(
            f"spans of a native histogram have {told} buckets, with counts of {counts}; "
            "send one for each"
        )
    return told + gaps


def dense(side: families.Repeated[families.Span], deltas: families.Repeated[int]) -> Side:
    """Return the buckets of *side*, gaps included.

    *deltas* are from each bucket to the next; `width` has said that there are enough of them, and
    `Room` that there are not too many.
    """
    counts = list(accumulate(deltas))
    first = at = 0
    found: list[int] = []
    for i, span in enumerate(side):
        if i:
            found += [0] * span.offset
        else:
            first = span.offset
        found += counts[at : at + span.length]
        at += span.length
    return Side(first, tuple(found))
