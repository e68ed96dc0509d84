"""Decimal numbers read many at once, eight characters to a machine word.

The method: the last sixteen characters of each number are two little-endian 64-bit words; the point
is squeezed out, the digits are checked and summed in three multiplications per word. The result is
exact, not close: a mantissa of at most 2**53 and a power of ten of at most 10**22 are both doubles
without error, so their product or quotient is rounded once, as a correct parser rounds.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Offsets: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]

MARGIN = 16
"""How many bytes must lie before the first number, so that its words can be loaded."""

_TENS = 10.0 ** np.arange(23)
_EXACT = np.uint64(1 << 53)
_HIGH, _LOW = np.uint64(0x8080808080808080), np.uint64(0x7F7F7F7F7F7F7F7F)
_ZEROS = np.uint64(0x3030303030303030)
_POINTS = np.uint64(0x1E1E1E1E1E1E1E1E)  # "." exclusive-or "0"
_ABOVE_NINE = np.uint64(0x7676767676767676)  # carries into the top bit from 10 upwards
_ONE, _SEVEN, _EIGHT, _TOP = (np.uint64(n) for n in (1, 7, 8, 56))
_BYTE = np.uint64(0xFF)


def words(padded: bytes) -> Words:
    """View *padded* as the little-endian 64-bit words that begin at each of its bytes."""
    return np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))


def read(padded: bytes, begin: Offsets, end: Offsets) -> tuple[Floats, Flags]:
    """Read the numbers ``padded[begin:end]``; return their values and which of them were read.

    Read are ``[-]digits[.digits][e±dd]`` of up to sixteen characters before the exponent whose
    double is certain to be exact. The others (long, special, malformed, followed by blanks) have an
    arbitrary value and False: they need a reader who can say no. *begin* ≤ *end* for all, and at
    least `MARGIN` bytes lie before the first number.
    """
    characters = np.frombuffer(padded, np.uint8)
    load = words(padded)
    negative = characters[begin] == ord("-")
    begin = begin + negative
    stop, exponent = _exponents(characters, begin, end)
    length = stop - begin
    certain = (length >= 1) & (length <= 16)
    length = np.clip(length, 1, 16)
    low = _keep(load[stop - 8], np.minimum(length, 8))
    high = _keep(load[stop - 16], np.maximum(length - 8, 0))
    low, high, pointed, decimals = _without_point(low, high)
    certain &= _are_digits(low) & _are_digits(high) & (length > pointed)
    mantissa = _sum(high) * np.uint64(10**8) + _sum(low)
    certain &= mantissa <= _EXACT
    power = exponent - decimals
    certain &= np.abs(power) <= 22
    scale = _TENS[np.minimum(np.abs(power), 22)]
    digits = mantissa.astype(np.float64)
    values = np.where(power < 0, digits / scale, digits * scale)
    return np.where(negative, -values, values), certain


def _exponents(
    characters: npt.NDArray[np.uint8], begin: Offsets, end: Offsets
) -> tuple[Offsets, Offsets]:
    # Go writes every value from 1e+06 upwards with an exponent, and always with two digits.
    mark = np.flatnonzero((characters[end - 4] | 32) == ord("e"))
    mark = mark[end[mark] - begin[mark] > 4]
    if not len(mark):
        return end, np.zeros(len(end), np.int64)
    at = end[mark]
    sign = characters[at - 3]
    tens, ones = (characters[at - n].astype(np.int64) - ord("0") for n in (2, 1))
    minus = sign == ord("-")
    good = (minus | (sign == ord("+"))) & (tens >= 0) & (tens <= 9) & (ones >= 0) & (ones <= 9)
    mark = mark[good]
    size = (tens * 10 + ones)[good]
    stop, exponent = end.copy(), np.zeros(len(end), np.int64)
    stop[mark] -= 4
    exponent[mark] = np.where(minus[good], -size, size)
    return stop, exponent


def _keep(word: Words, count: npt.NDArray[np.int64]) -> Words:
    # The last *count* characters as digits 0 to 9, the ones before as 0. A shift by 64 gives 0.
    shift = (64 - 8 * count).astype(np.uint64)
    return ((word ^ _ZEROS) >> shift) << shift


def _without_point(low: Words, high: Words) -> tuple[Words, Words, Flags, Offsets]:
    # A second point is left in place, where it fails as a digit.
    low_point, high_point = _last_point(low), _last_point(high)
    in_low = low_point != 0
    in_high = ~in_low & (high_point != 0)
    below_low, below_high = low_point - _ONE, high_point - _ONE
    squeezed = (
        (low & ~(below_low | (low_point * _BYTE))) | ((low & below_low) << _EIGHT) | (high >> _TOP)
    )
    shorter = (high & ~(below_high | (high_point * _BYTE))) | ((high & below_high) << _EIGHT)
    decimals = np.where(
        in_low,
        7 - (np.bitwise_count(below_low) >> 3).astype(np.int64),
        np.where(in_high, 15 - (np.bitwise_count(below_high) >> 3).astype(np.int64), 0),
    )
    new_low = np.where(in_low, squeezed, low)
    new_high = np.where(in_low, high << _EIGHT, np.where(in_high, shorter, high))
    return new_low, new_high, in_low | in_high, decimals


def _last_point(word: Words) -> Words:
    # 1 in the lowest bit of the byte that is a point; 0 when there is none, or more than one.
    other = word ^ _POINTS
    found = ~(((other & _LOW) + _LOW) | other | _LOW) >> _SEVEN
    return np.where(found & (found - _ONE), np.uint64(0), found)


def _are_digits(word: Words) -> Flags:
    flags: Flags = (((word + _ABOVE_NINE) | word) & _HIGH) == 0
    return flags


def _sum(word: Words) -> Words:
    word = (word * np.uint64(2561)) >> _EIGHT
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    return ((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
