"""A body as lines: where each begins and ends, and where what precedes its last word ends."""

from __future__ import annotations

from typing import Final, TypeAlias, final

import numpy as np
import numpy.typing as npt

Flags: TypeAlias = npt.NDArray[np.bool_]
Offsets: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]

MARGIN: Final = 32
"""How many newlines follow the body, so that blocks can be loaded, and numbers delimited, there."""

_AFTER = b"\n" * MARGIN
_NEWLINE, _BLANK, _COMMENT = 10, 32, ord("#")  # white space is up to the second
_NUL = b"\0"
# The first bytes of a line, the lowest first: "# ", and words that say something about a family.
_OPENING, _LETTER = (np.uint64(int.from_bytes(text, "little")) for text in (b"# ", b"\xff"))
_OPENS, _BEHIND, _FOUR = np.uint64(0xFFFF), np.uint64(16), np.uint64(0xFFFFFFFF)
_SAYING = [np.uint64(int.from_bytes(word, "little")) for word in (b"HELP", b"TYPE")]
_WORD, _BLOCK = 8, 32
_LANES = _BLOCK // _WORD
# Odd and without a pattern: the fractions of the golden ratio and of a square root.
_FACTOR, _FACTOR_OF_SIZES = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x6A09E667F3BCC909)
_SHIFTS = np.uint64(29), np.uint64(32)


@final
class Lines:
    """The lines of *body*; what follows the last newline is one more, however short.

    *commented* says that it is of a format with comments, see `remarks`.
    """

    __slots__ = (
        "_blanks", "_commented", "_keys", "_newlines", "_words", "ends", "padded", "starts",
    )  # fmt: skip

    def __init__(self, body: bytes, *, commented: bool = False) -> None:
        self.padded = body + _AFTER
        self._commented = commented
        characters = np.frombuffer(body, np.uint8)
        # As methods: small targets are many, and functions of numpy cost a microsecond more each.
        self._blanks = (characters <= _BLANK).nonzero()[0]
        self._newlines = (characters[self._blanks] == _NEWLINE).nonzero()[0]
        stops = self._blanks[self._newlines]
        self.starts: Offsets = np.concatenate(([0], stops + 1))
        self.ends: Offsets = np.concatenate((stops, [len(body)]))
        self._keys: Offsets | None = None
        self._words: Words | None = None

    def keys(self) -> Offsets:
        """Return where the word behind the last blank of each line begins, or where the line ends.

        That is so where it has no blank: such a line has a last word, but nothing before it.
        """
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

        Comments count to their end: the last word of ``# TYPE`` is no number. Where the format has
        them, all `remarks` are alike. 64 bits of a hash without a key: who makes two lines of one
        number on purpose deceives itself about its own series.
        """
        if self._words is None:
            said = np.frombuffer(self.padded, np.uint8).take(self.starts) == _COMMENT
            sizes = np.where(said, self.ends, self.keys()) - self.starts
            if self._commented:
                comments = said.nonzero()[0]
                sizes[comments[self.remarks(comments)]] = 2
            self._words = self._hash(sizes)
        return self._words

    def remarks(self, chosen: Offsets | npt.NDArray[np.int32]) -> Flags:
        """Say which of some lines are comments in Prometheus' text that mean nothing.

        They begin with ``# `` and something visible that is neither HELP nor TYPE. Whatever follows
        that, a NUL included, they are comments, provided that no line before them is unfinished.
        """
        words = np.ndarray((len(self.padded) - _WORD + 1,), "<u8", self.padded, strides=(1,))
        found = words[self.starts[chosen]]
        behind = found >> _BEHIND & _FOUR
        opened = (found & _OPENS == _OPENING) & (behind & _LETTER > _BLANK)
        told: Flags = opened & (behind != _SAYING[0]) & (behind != _SAYING[1])
        return told

    def are_apart(self, rest: Flags) -> bool:
        """Say whether the lines *rest*, which have no value, are comments or blank, without a NUL.

        Otherwise one of them may be a part of what spans lines, or the input end before it.
        """
        if _NUL in self.padded:
            return False
        starts = self.starts[rest]
        blank = starts == self.ends[rest]
        return bool(((np.frombuffer(self.padded, np.uint8)[starts] == _COMMENT) | blank).all())

    def _hash(self, sizes: Offsets) -> Words:
        found = sizes.astype(np.uint64) * _FACTOR_OF_SIZES
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
                _mix(lanes)
                offsets = np.minimum(starts + at, last)
                lanes ^= blocks[offsets].view(np.uint64).reshape(-1, _LANES)
                lanes[over] = ended
            else:
                offsets = np.minimum(starts[some] + at, last[some])
                more = blocks[offsets].view(np.uint64).reshape(-1, _LANES)
                lanes[some] = _mix(lanes[some]) ^ more
        found: Words = lanes[:, 0].copy()
        for lane in range(1, _LANES):
            _mix(found)
            found ^= lanes[:, lane]
        return _mix(found)

    def _of_words(self, starts: Offsets, sizes: Offsets) -> Words:
        # Of the last word only those bytes count that belong to the line.
        words = np.ndarray((len(self.padded) - _WORD + 1,), "<u8", self.padded, strides=(1,))
        found = np.zeros(len(starts), np.uint64)
        for at in range(0, _BLOCK, _WORD):
            some = np.flatnonzero(sizes > at)
            left = np.minimum(sizes[some] - at, _WORD)
            unused = (8 * (_WORD - left)).astype(np.uint64)
            found[some] = _mix(found[some]) ^ words[starts[some] + at] << unused
        return _mix(found)


def _mix(words: Words) -> Words:
    # In place. A product alone passes on nothing from the upper bits to the lower: lines with a
    # digit more in the one word and one less in another had one fingerprint in 256 cases.
    words ^= words >> _SHIFTS[0]
    words *= _FACTOR
    words ^= words >> _SHIFTS[1]
    return words


def split(body: bytes, *, commented: bool = False) -> Lines:
    """Find the lines of *body*, *commented* if it is of a format that has comments."""
    return Lines(body, commented=commented)
