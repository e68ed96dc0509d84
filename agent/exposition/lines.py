"""A body as lines: where each begins and ends, and where what precedes its last word ends."""

from __future__ import annotations

from typing import Final, TypeAlias, final

import numpy as np
import numpy.typing as npt

Offsets: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]

MARGIN: Final = 32
"""How many newlines follow the body, so that blocks can be loaded, and numbers delimited, there."""

_AFTER = b"\n" * MARGIN
_NEWLINE, _BLANK = 10, 32  # white space is up to the latter
_WORD, _BLOCK = 8, 32
_LANES = _BLOCK // _WORD
# Odd numbers without a pattern: the fractions of the golden ratio and of some square roots.
_FACTORS = tuple(
    np.uint64(n)
    for n in (0x9E3779B97F4A7C15, 0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B)
)


@final
class Lines:
    """The lines of *body*; what follows the last newline is one more, however short."""

    __slots__ = ("_blanks", "_keys", "_newlines", "_words", "ends", "padded", "starts")

    def __init__(self, body: bytes) -> None:
        self.padded = body + _AFTER
        characters = np.frombuffer(body, np.uint8)
        self._blanks = np.flatnonzero(characters <= _BLANK)
        self._newlines = np.flatnonzero(characters[self._blanks] == _NEWLINE)
        stops = self._blanks[self._newlines]
        self.starts: Offsets = np.concatenate(([0], stops + 1))
        self.ends: Offsets = np.concatenate((stops, [len(body)]))
        self._keys: Offsets | None = None
        self._words: Words | None = None

    def keys(self) -> Offsets:
        """Return where the last word of each line begins; where there is none, the line ends."""
        if self._keys is None:
            self._keys = self._last_words()
        return self._keys

    def _last_words(self) -> Offsets:
        blanks, newlines = self._blanks, self._newlines
        # The blank before the newline lies within the line, unless it ends the one before.
        before = np.concatenate((newlines, [len(blanks)])) - 1
        last = np.where(before < 0, -1, blanks[before]) if len(blanks) else before
        found: Offsets = np.where(last >= self.starts, last + 1, self.ends)
        return found

    def fingerprints(self) -> Words:
        """Return a number for each line that stands for all of it but its last word.

        64 bits of a hash without a key: who makes two lines of one number on purpose deceives
        itself about its own series.
        """
        if self._words is None:
            self._words = self._hash(self.keys() - self.starts)
        return self._words

    def _hash(self, sizes: Offsets) -> Words:
        found = sizes.astype(np.uint64) * _FACTORS[1]
        long = np.flatnonzero(sizes >= _BLOCK)
        if len(long) == len(sizes):
            found ^= self._of_blocks(self.starts, sizes)
        else:
            found[long] ^= self._of_blocks(self.starts[long], sizes[long])
            short = np.flatnonzero(sizes < _BLOCK)
            found[short] ^= self._of_words(self.starts[short], sizes[short])
        return found

    def _of_blocks(self, starts: Offsets, sizes: Offsets) -> Words:
        # Four lanes of words, block after block; the last one ends where the line does.
        blocks = np.ndarray(
            (len(self.padded) - _BLOCK + 1,), f"V{_BLOCK}", self.padded, strides=(1,)
        )
        if not len(starts):
            return np.empty(0, np.uint64)
        lanes = blocks[starts].view(np.uint64).reshape(-1, _LANES)
        last = starts + (sizes - _BLOCK)
        for at in range(_BLOCK, int(sizes.max()), _BLOCK):
            longer = sizes > at
            some = np.flatnonzero(longer)
            if 2 * len(some) > len(sizes):  # cheaper for all, and for few to be put back
                over = np.flatnonzero(~longer)
                ended = lanes[over]
                lanes *= _FACTORS[0]
                offsets = np.minimum(starts + at, last)
                lanes ^= blocks[offsets].view(np.uint64).reshape(-1, _LANES)
                lanes[over] = ended
            else:
                offsets = np.minimum(starts[some] + at, last[some])
                more = blocks[offsets].view(np.uint64).reshape(-1, _LANES)
                lanes[some] = lanes[some] * _FACTORS[0] ^ more
        found: Words = lanes[:, 0] * _FACTORS[0]
        for lane in range(1, _LANES):
            found ^= lanes[:, lane] * _FACTORS[lane]
            found ^= found >> np.uint64(29)
        return found

    def _of_words(self, starts: Offsets, sizes: Offsets) -> Words:
        # Of the last word only those bytes count that belong to the line.
        words = np.ndarray((len(self.padded) - _WORD + 1,), "<u8", self.padded, strides=(1,))
        found = np.zeros(len(starts), np.uint64)
        for at in range(0, _BLOCK, _WORD):
            some = np.flatnonzero(sizes > at)
            left = np.minimum(sizes[some] - at, _WORD)
            unused = (8 * (_WORD - left)).astype(np.uint64)
            found[some] = found[some] * _FACTORS[0] ^ words[starts[some] + at] << unused
        return found * _FACTORS[2]


def split(body: bytes) -> Lines:
    """Find the lines of *body*."""
    return Lines(body)
