"""A body as lines: where each begins and ends, and where what is not its last word ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Offsets: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]

MARGIN: Final = 32
"""How many newlines follow the body, so that blocks can be loaded, and numbers delimited, there."""

_AFTER = b"\n" * MARGIN
_NEWLINE, _BLANK = 10, 32  # white space is up to the latter
_WORD, _BLOCK = 8, 32
_PARTS = 3  # of a line, between the four blocks that are looked at
# Odd numbers without a pattern: the fractions of the golden ratio and of some square roots.
_FACTORS = tuple(
    np.uint64(n)
    for n in (0x9E3779B97F4A7C15, 0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """The lines of a body; what follows the last newline is one more, however short."""

    padded: bytes  # the body, with a margin
    starts: Offsets
    ends: Offsets  # where the newline lies
    blanks: Offsets  # all white space, the newlines included
    newlines: Offsets  # which of `blanks` end a line

    def fingerprints(self) -> Words:
        """Return a number for each line, equal for lines that differ only behind their last blank.

        It covers the length and a few words of what lies before: of lines that differ elsewhere
        only, one may be taken for the other.
        """
        starts = self.starts
        # The blank before the newline lies within the line, unless it ends the one before.
        last = np.full(len(starts), -1, np.int64)
        earlier = self.newlines - 1
        last[: len(earlier)] = self.blanks[earlier]  # -1 is a late one: beyond the line
        if len(earlier):
            last[0] = -1 if earlier[0] < 0 else last[0]
        if len(self.blanks) and self.newlines[-1:].tolist() != [len(self.blanks) - 1]:
            last[-1] = self.blanks[-1]
        sizes = np.where(last >= starts, last + 1, self.ends) - starts
        found = sizes.astype(np.uint64)
        long = np.flatnonzero(sizes >= _BLOCK)
        every = len(long) == len(sizes)
        some, room = (starts, sizes) if every else (starts[long], sizes[long])
        mixed = self._mixed(some, room - _BLOCK, _BLOCK)
        # Four words side by side, each folded in with a factor of its own.
        lanes = mixed.reshape(-1, _BLOCK // _WORD)
        folded = lanes[:, 0] * _FACTORS[0]
        for lane in range(1, _BLOCK // _WORD):
            folded ^= lanes[:, lane] * _FACTORS[lane]
        found[... if every else long] ^= folded
        short = np.flatnonzero(sizes < _BLOCK)
        if len(short):
            few = sizes[short]
            found[short] ^= self._mixed(starts[short], np.maximum(few - _WORD, 0), _WORD)
            shortest = short[few < _WORD]
            # What follows within the word does not count.
            bits = (8 * sizes[shortest]).astype(np.uint64)
            masks = (np.uint64(1) << bits) - np.uint64(1)
            words = np.ndarray((len(self.padded) - _WORD + 1,), "<u8", self.padded, strides=(1,))
            found[shortest] = (words[starts[shortest]] & masks) * _FACTORS[0] ^ bits
        return found

    def _mixed(self, starts: Offsets, room: Offsets, size: int) -> Words:
        # Blocks of so many bytes at the beginning, at the end, and between.
        blocks = np.ndarray((len(self.padded) - size + 1,), f"V{size}", self.padded, strides=(1,))
        found = blocks[starts].view(np.uint64)
        for part in range(1, _PARTS + 1):
            found = found * _FACTORS[part]
            found ^= blocks[starts + room * part // _PARTS].view(np.uint64)
        return found


def split(body: bytes) -> Lines:
    """Find the lines of *body*."""
    padded = body + _AFTER
    characters = np.frombuffer(body, np.uint8)
    blanks = np.flatnonzero(characters <= _BLANK)
    newlines = np.flatnonzero(characters[blanks] == _NEWLINE)
    stops = blanks[newlines]
    return Lines(
        padded=padded,
        starts=np.concatenate(([0], stops + 1)),
        ends=np.concatenate((stops, [len(body)])),
        blanks=blanks,
        newlines=newlines,
    )
