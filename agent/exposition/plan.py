"""Where the points of a request lie, and which samples their numbers come from: as columns.

A request is one resource, or several where series claim to be of another one; its scopes, metrics
and points follow one another in a fixed order, so sizes are all that is needed to find everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from agent.exposition import metrics, points, translate

Indices: TypeAlias = npt.NDArray[np.int32]
Offsets: TypeAlias = npt.NDArray[np.int64]
Column = TypeVar("Column", npt.NDArray[np.uint8], npt.NDArray[np.int32])
Piece: TypeAlias = bytes | memoryview

NONE = -1
"""Stands for no sample."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The columns; metrics of one scope are adjacent, and so are points of one metric."""

    wrappings: tuple[metrics.Wrapping, ...]  # of each metric
    counts: Indices  # of each metric: its points
    heads: npt.NDArray[np.uint8]  # of each point: the bytes before its payload
    sizes: Indices  # of each point: the bytes of its payload
    leaders: Indices  # of each point: the sample with its value or count
    started: Indices  # of each point: the sample that says since when, or `NONE`
    sums: Indices  # of points with a sum: point, sample
    quantiles: Indices  # of each quantile: point, offset in it, sample
    buckets: Indices  # of each bucket: point, offset in it, sample, sample of the bucket before

    @property
    def metric_of(self) -> Offsets:
        """Return the metric of each point."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def lone(self) -> npt.NDArray[np.bool_]:
        """Return which points are single series."""
        kinds = [wrapping.kind in points.LONE for wrapping in self.wrappings]
        return np.repeat(np.array(kinds, np.bool_), self.counts)

    @property
    def held_bytes(self) -> int:
        """Return the memory held, names and descriptions of metrics not counted twice."""
        columns = (self.counts, self.heads, self.sizes, self.leaders, self.started)
        rows = (self.sums, self.quantiles, self.buckets)
        return sum(column.nbytes for column in (*columns, *rows))

    def starts(self, firsts: Offsets) -> Offsets:
        """Return where the payload of each point begins; *firsts* as `assemble` returns them."""
        totals = self.heads + self.sizes
        ends = np.cumsum(totals)
        counts = self.counts
        before = np.concatenate(([0], ends))[np.cumsum(counts) - counts]
        found: Offsets = ends - self.sizes + np.repeat(firsts - before, counts)
        return found


def assemble(
    origin: metrics.Origin,
    wrappings: Sequence[metrics.Wrapping],
    groups: Sequence[Sequence[Piece]],
) -> tuple[bytes, Offsets]:
    """Write a request of all metrics; *groups* has the points of each, heads included, in pieces.

    Returns it, and where the first point of each metric begins. A metric without pieces is left
    out, and so is a scope without metrics.
    """
    runs: list[_Run] = []
    for i, (wrapping, pieces) in enumerate(zip(wrappings, groups, strict=True)):
        if pieces:
            if not runs or runs[-1].scope != wrapping.scope:
                runs.append(_Run(wrapping.scope))
            runs[-1].add(i, wrapping, pieces)
    parts: list[Piece] = []
    at = 0
    firsts = np.zeros(len(wrappings), np.int64)
    for whose, those in groupby(runs, lambda run: run.scope.whose):
        claiming = [(run, origin.before_scope(run.scope, run.size)) for run in those]
        head = origin.before_scopes(sum(len(scope) + run.size for run, scope in claiming), whose)
        parts.append(head)
        at += len(head)
        for run, scope in claiming:
            at += len(scope)
            firsts[run.numbers] = np.array(run.firsts) + at
            at += run.size
            parts.append(scope)
            parts += run.parts
    return b"".join(parts), firsts


class _Run:
    # The metrics of one scope: their numbers, where the first point of each begins, all bytes.
    __slots__ = ("firsts", "numbers", "parts", "scope", "size")

    def __init__(self, scope: translate.Scope) -> None:
        self.scope = scope
        self.numbers: list[int] = []
        self.firsts: list[int] = []
        self.parts: list[Piece] = []
        self.size = 0

    def add(self, number: int, wrapping: metrics.Wrapping, pieces: Sequence[Piece]) -> None:
        length = sum(map(len, pieces))
        before, behind = wrapping.around(length)
        first = self.size + len(before)
        self.numbers.append(number)
        self.firsts.append(first)
        self.parts.append(before)
        self.parts += pieces
        self.parts.append(behind)
        self.size = first + length + len(behind)
