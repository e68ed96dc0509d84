"""The fast path of a known exposition: everything but the numbers is where, and what, it was.

A `Layout` remembers the lines of a body that a parser of text has accepted: for each the bytes
before its value, or the whole line where there is no value. A later body whose lines agree is the
same series with other numbers, so only the numbers are read, as strictly as the parser reads them.
A line that the parser left out is one without a value: as long as it stays as it is, the parser
would leave it out again. Exemplars come and go behind the numbers and are read as they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from agent.exposition import (
    decimals,
    grammar,
    lines,
    model,
    numbers,
    openmetrics_grammar,
    prefixes,
)
from common.wire import errors

_HASH, _SPACE = b"# "


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readings:
    """The numbers of one body: entry *i* of each column belongs to the *i*-th sample."""

    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.int64]  # milliseconds since 1970, or `model.UNTIMED`
    exemplars: Mapping[int, model.Exemplar] = field(default_factory=dict)  # by sample
    natives: Mapping[int, model.Native] = field(default_factory=dict)  # by sample


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """The lines of an exposition without their numbers."""

    sizes: prefixes.Indices  # of each line: the bytes before its value, or all of them
    beginnings: prefixes.Prefixes
    fixed_lines: prefixes.Indices  # lines without a value
    remarks: prefixes.Indices  # but for these, which may become any other, see `lines.Lines`
    sample_lines: prefixes.Indices  # lines with one, in order
    timed: prefixes.Indices  # samples that carry a timestamp
    hashes: int
    """How many "#" there are outside of numbers and what follows them; -1 where none may follow."""

    @classmethod
    def learn(cls, body: bytes, exposition: model.Exposition) -> Self:
        """Learn the lines of *body*, which `text.parse` or `openmetrics.parse` read so."""
        return cls.learn_lines(lines.split(body), exposition)

    @classmethod
    def learn_lines(cls, found: lines.Lines, exposition: model.Exposition) -> Self:
        """Do what `learn` does with a body that has been split already."""
        padded, starts, ends = found.padded, found.starts, found.ends
        value_at = exposition.value_at
        sample_lines = np.searchsorted(starts, value_at, side="right") - 1
        fixed = np.ones(len(starts), np.bool_)
        fixed[sample_lines] = False
        sizes = ends - starts
        sizes[sample_lines] = value_at - starts[sample_lines]
        remarks = _remarks(found, fixed, exposition)
        fixed[remarks], sizes[remarks] = False, 0
        return cls(
            sizes=sizes.astype(np.int32),
            beginnings=prefixes.Prefixes.learn(padded, starts, sizes),
            fixed_lines=np.flatnonzero(fixed).astype(np.int32),
            remarks=remarks.astype(np.int32),
            sample_lines=sample_lines.astype(np.int32),
            timed=np.flatnonzero(exposition.times != model.UNTIMED).astype(np.int32),
            hashes=_hashes(padded, exposition, ends[sample_lines]),
        )

    @property
    def held_bytes(self) -> int:
        """Return the memory held."""
        columns = (self.sizes, self.fixed_lines, self.remarks, self.sample_lines, self.timed)
        return self.beginnings.held_bytes + sum(column.nbytes for column in columns)

    def read(self, body: bytes) -> Readings | None:
        """Read the numbers of *body*; None unless the strict parser would find the same series.

        None says nothing about what is wrong, or whether anything is: ask the parser.
        """
        return self.read_lines(lines.split(body))

    def read_lines(self, found: lines.Lines) -> Readings | None:
        """Do what `read` does with a body that has been split already."""
        return self.numbers(found) if self._fits(found) else None

    def _fits(self, found: lines.Lines) -> bool:
        starts, ends = found.starts, found.ends
        if len(starts) != len(self.sizes):
            return False
        # First the lengths: a prefix that ran beyond its line would be compared with the next one.
        sizes = ends - starts
        fixed, samples = self.fixed_lines, self.sample_lines
        longer = sizes - self.sizes
        if longer.take(fixed).any() or (longer.take(samples) <= 0).any():
            return False
        if len(self.remarks) and not found.remarks(self.remarks).all():
            return False
        return self.beginnings.agree(found.padded, starts)

    def numbers(self, found: lines.Lines) -> Readings | None:
        """Read the numbers of lines that are known to be those of this layout."""
        padded, starts, ends = found.padded, found.starts, found.ends
        samples = self.sample_lines
        begin, end = (starts + self.sizes).take(samples), ends.take(samples)
        # Counting a character costs 5 ns per sample; looking for exemplars 40.
        if self.hashes < 0 or _count(padded, _HASH) == self.hashes:
            return self._numbers(padded, begin, end, {})
        try:
            exemplars = _exemplars(padded, begin, end)
        except errors.Malformed:
            return None
        return self._numbers(padded, begin, end, exemplars)

    def _numbers(
        self,
        padded: bytes,
        begin: decimals.Offsets,
        end: decimals.Offsets,
        exemplars: dict[int, model.Exemplar],
    ) -> Readings | None:
        times = np.full(len(begin), model.UNTIMED, np.int64)
        try:
            if len(self.timed):
                end = self._read_times(padded, begin, end, times)
            values = numbers.within(padded, begin, end)
        except ValueError:
            # Not necessarily wrong: blanks may follow the number, or a timestamp has come.
            return None
        return Readings(values=values, times=times, exemplars=exemplars)

    def _read_times(
        self,
        padded: bytes,
        begin: decimals.Offsets,
        end: decimals.Offsets,
        times: npt.NDArray[np.int64],
    ) -> decimals.Offsets:
        # Returns where the values end: at a space where a timestamp follows.
        milliseconds = _milliseconds if self.hashes < 0 else openmetrics_grammar.milliseconds
        first, behind = begin.take(self.timed), end.take(self.timed)
        spaces = np.flatnonzero(np.frombuffer(padded, np.uint8) == _SPACE)
        if not len(spaces):
            raise ValueError("no space before a timestamp")
        stops = spaces.take(np.searchsorted(spaces, first), mode="clip")
        if not ((first < stops) & (stops < behind)).all():
            raise ValueError("no space before a timestamp")
        known: dict[bytes, int] = {}  # targets with timestamps tend to have one for everything
        found = []
        for a, b in zip(stops.tolist(), behind.tolist(), strict=True):
            text = padded[a + 1 : b]
            time = known.get(text)
            if time is None:
                time = known[text] = milliseconds(text)
            found.append(time)
        times[self.timed] = found
        ends = end.copy()
        ends[self.timed] = stops
        return ends


def _milliseconds(text: bytes) -> int:
    # Of the Prometheus text format, where more blanks may stand around it.
    digits = text.strip(b" \t")
    if not digits.isdigit():
        raise ValueError("not a timestamp")
    return grammar.milliseconds(digits)


def spans_lines(exposition: model.Exposition) -> bool:
    """Say whether a comment may span lines: quoted names may."""
    return any(b"\n" in name for name in exposition.families)


def _remarks(
    found: lines.Lines, fixed: lines.Flags, exposition: model.Exposition
) -> prefixes.Offsets:
    # A line that was left out, too, may have begun what another text on the next one would end.
    those = np.flatnonzero(fixed)
    has_comments = exposition.format is model.Format.TEXT and not exposition.skipped
    if not (has_comments and found.are_apart(fixed)) or spans_lines(exposition):
        return those[:0]
    return those[found.remarks(those)]


def _hashes(body: bytes, exposition: model.Exposition, ends: decimals.Offsets) -> int:
    if exposition.format is not model.Format.OPEN_METRICS:
        return -1
    behind = zip(exposition.value_at.tolist(), ends.tolist(), strict=True)
    return _count(body, _HASH) - sum(body.count(b"#", a, b) for a, b in behind)


def _count(body: bytes, byte: int) -> int:
    # bytes.count takes four times as long.
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == byte))


def _exemplars(
    padded: bytes, begin: decimals.Offsets, end: decimals.Offsets
) -> dict[int, model.Exemplar]:
    # Exemplars by sample, each to the end of its line; *end* becomes where the numbers end.
    spots = []
    at = padded.find(openmetrics_grammar.EXEMPLAR)
    while at >= 0:
        spots.append(at)
        at = padded.find(openmetrics_grammar.EXEMPLAR, at + 1)
    found: dict[int, model.Exemplar] = {}
    places = np.array(spots, np.int64)
    samples = np.searchsorted(begin, places) - 1
    behind_value = (samples >= 0) & (places < end.take(samples))
    for sample, at in zip(
        samples[behind_value].tolist(), places[behind_value].tolist(), strict=True
    ):
        if sample not in found:  # else it stands in a label of the exemplar
            found[sample], _ = openmetrics_grammar.exemplar(padded, at)
            end[sample] = at
    return found
