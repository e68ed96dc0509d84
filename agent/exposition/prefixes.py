"""The beginnings of lines, compared with what they were, many bytes at a time.

numpy gathers unaligned blocks of 32 bytes at 5 ns each, words of eight at the same price; splitting
a body into lines, and lines into key and value, costs 160 ns a line before anything is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

Indices: TypeAlias = npt.NDArray[np.int32]
Offsets: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]

MARGIN = 8
"""How many bytes must follow the last line, so that the last word of a short line can be loaded."""

_WIDE, _WORD = 32, 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prefixes:
    """The first bytes of each line of a text: any number of bytes per line, none included."""

    long: _Blocks  # of lines with at least 32 bytes to compare
    short: _Blocks  # of the others
    partial: Indices  # words of `short` that belong to the prefix only in part
    masks: Words  # which bits of them do

    @classmethod
    def learn(cls, padded: bytes, starts: Offsets, sizes: Offsets) -> Self:
        """Learn the bytes ``padded[starts:starts + sizes]`` of each line."""
        is_long = sizes >= _WIDE
        short = _Blocks.cut(padded, _WORD, starts, sizes, np.flatnonzero(~is_long & (sizes > 0)))
        size_of = sizes[short.lines]
        partial = np.flatnonzero(size_of < _WORD)  # lines this short have one word each
        masks = (np.uint64(1) << (8 * size_of[partial]).astype(np.uint64)) - np.uint64(1)
        short.expected[partial] &= masks
        return cls(
            long=_Blocks.cut(padded, _WIDE, starts, sizes, np.flatnonzero(is_long)),
            short=short,
            partial=partial.astype(np.int32),
            masks=masks,
        )

    @property
    def held_bytes(self) -> int:
        """Return the memory held."""
        return (
            self.long.held_bytes + self.short.held_bytes + self.partial.nbytes + self.masks.nbytes
        )

    def agree(self, padded: bytes, starts: Offsets) -> bool:
        """Say whether the lines that begin at *starts* begin as they did.

        The caller has made sure that there are as many lines, each at least as long as its prefix,
        and `MARGIN` bytes behind the last.
        """
        found = self.short.gather(padded, starts)
        found[self.partial] &= self.masks
        if not (found == self.short.expected).all():
            return False
        return bool((self.long.gather(padded, starts) == self.long.expected).all())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Blocks:
    # Blocks of one size that cover the prefixes of some lines: one after the other from the start
    # of the line, the last one ending where the prefix ends and overlapping the one before.
    size: int
    lines: Indices  # of each block: its line
    at: Indices  # and its offset there
    expected: Words

    @classmethod
    def cut(cls, padded: bytes, size: int, starts: Offsets, sizes: Offsets, lines: Offsets) -> Self:
        lengths = sizes[lines]
        counts = -(-lengths // size)
        line_of = np.repeat(np.arange(len(lines)), counts)
        nth = np.arange(len(line_of)) - (np.cumsum(counts) - counts)[line_of]
        at = np.minimum(nth * size, np.maximum(lengths[line_of] - size, 0))
        return cls(
            size=size,
            lines=lines[line_of].astype(np.int32),
            at=at.astype(np.int32),
            expected=_load(padded, size, starts[lines][line_of] + at),
        )

    @property
    def held_bytes(self) -> int:
        return self.lines.nbytes + self.at.nbytes + self.expected.nbytes

    def gather(self, padded: bytes, starts: Offsets) -> Words:
        return _load(padded, self.size, starts.take(self.lines) + self.at)


def _load(padded: bytes, size: int, at: Offsets) -> Words:
    # The blocks of *size* bytes that begin at the offsets *at*, as words.
    count = max(0, len(padded) - size + 1)
    blocks = np.ndarray((count,), dtype=f"V{size}", buffer=padded, strides=(1,))
    return blocks[at].view(np.uint64)
