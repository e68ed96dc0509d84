"""The fast path of a known exposition: everything but the numbers is where, and what, it was.

A `Layout` remembers the lines of a body that the strict parser has accepted: for each the bytes
before its value, or the whole line where there is no value. A later body whose lines agree is the
same series with other numbers, so only the numbers are read, as strictly as the parser reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from agent.exposition import decimals, grammar, model, numbers, prefixes

_NEWLINE = ord("\n")
_AFTER = b"\n" * max(prefixes.MARGIN, decimals.MARGIN)

_TIMED = re.compile(rb"([^{ \t\n]++)[ \t]++([0-9]++)[ \t]*+")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readings:
    """The numbers of one body: entry *i* of each column belongs to the *i*-th sample."""

    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.int64]  # milliseconds since 1970, or `model.UNTIMED`
    exemplars: Mapping[int, model.Exemplar] = field(default_factory=dict)  # by sample


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """The lines of an exposition without their numbers."""

    sizes: prefixes.Indices  # of each line: the bytes before its value, or all of them
    beginnings: prefixes.Prefixes
    fixed_lines: prefixes.Indices  # lines without a value
    sample_lines: prefixes.Indices  # lines with one, in order
    timed: prefixes.Indices  # samples that carry a timestamp

    @classmethod
    def learn(cls, body: bytes, exposition: model.Exposition) -> Self:
        """Learn the lines of *body*, which `text.parse` has read as *exposition*."""
        padded, starts, ends = _lines(body)
        value_at = exposition.value_at
        sample_lines = np.searchsorted(starts, value_at, side="right") - 1
        fixed = np.ones(len(starts), np.bool_)
        fixed[sample_lines] = False
        sizes = ends - starts
        sizes[sample_lines] = value_at - starts[sample_lines]
        return cls(
            sizes=sizes.astype(np.int32),
            beginnings=prefixes.Prefixes.learn(padded, starts, sizes),
            fixed_lines=np.flatnonzero(fixed).astype(np.int32),
            sample_lines=sample_lines.astype(np.int32),
            timed=np.flatnonzero(exposition.times != model.UNTIMED).astype(np.int32),
        )

    @property
    def held_bytes(self) -> int:
        """Return the memory held."""
        columns = (self.sizes, self.fixed_lines, self.sample_lines, self.timed)
        return self.beginnings.held_bytes + sum(column.nbytes for column in columns)

    def read(self, body: bytes) -> Readings | None:
        """Read the numbers of *body*; None unless the strict parser would find the same series.

        None says nothing about what is wrong, or whether anything is: ask `text.parse`.
        """
        padded, starts, ends = _lines(body)
        if len(starts) != len(self.sizes):
            return None
        # First the lengths: a prefix that ran beyond its line would be compared with the next one.
        sizes = ends - starts
        fixed, samples = self.fixed_lines, self.sample_lines
        longer = sizes - self.sizes
        if longer.take(fixed).any() or (longer.take(samples) <= 0).any():
            return None
        if not self.beginnings.agree(padded, starts):
            return None
        return self._numbers(padded, (starts + self.sizes).take(samples), ends.take(samples))

    def _numbers(
        self, padded: bytes, begin: decimals.Offsets, end: decimals.Offsets
    ) -> Readings | None:
        times = np.full(len(begin), model.UNTIMED, np.int64)
        if len(self.timed):
            values = np.empty(len(begin))
            plain = np.delete(np.arange(len(begin)), self.timed)
            values[plain], certain = decimals.read(padded, begin[plain], end[plain])
            rest = plain[~certain]
        else:
            values, certain = decimals.read(padded, begin, end)
            rest = np.flatnonzero(~certain)
        try:
            if len(rest):
                spans = zip(begin[rest].tolist(), end[rest].tolist(), strict=True)
                values[rest] = numbers.numbers([padded[a:b] for a, b in spans])
            for i in self.timed.tolist():
                found = _TIMED.fullmatch(padded, begin[i], end[i])
                if found is None:
                    return None
                values[i] = numbers.number(found[1])
                times[i] = grammar.milliseconds(found[2])
        except ValueError:
            # Not necessarily wrong: blanks may follow the number, or a timestamp has come.
            return None
        return Readings(values=values, times=times)


def _lines(body: bytes) -> tuple[bytes, decimals.Offsets, decimals.Offsets]:
    # The body with a margin, and where each of its lines begins and ends.
    padded = body + _AFTER
    newlines = np.flatnonzero(np.frombuffer(body, np.uint8) == _NEWLINE)
    starts = np.concatenate(([0], newlines + 1))
    ends = np.concatenate((newlines, [len(body)]))
    return padded, starts, ends
