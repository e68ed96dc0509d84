"""Numbers in labels as OpenMetrics wants them, so that ``le`` is the same in every format."""

from __future__ import annotations

import math

_PLAIN = range(-4, 6)
"""Decimal exponents of what is written without one, in Go's shortest form."""


def number(value: float) -> bytes:
    """Write *value* in its shortest form, with a point or an exponent: ``1.0``, ``1e+06``.

    As Prometheus writes the ``le`` and ``quantile`` of formats that have them as numbers: an
    exponent from a million on and below 0.0001, of at least two digits.
    """
    if math.isnan(value):
        return b"NaN"
    if math.isinf(value):
        return b"+Inf" if value > 0 else b"-Inf"
    if value == 0:
        return b"0.0"
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign = "-" if value < 0 else ""
    whole, _, decimals = mantissa.removeprefix("-").partition(".")
    digits = (whole + decimals).lstrip("0")
    # The value is 0.DIGITS times ten to the power of `point`.
    point = int(exponent or 0) + len(whole) - (len(whole + decimals) - len(digits))
    digits = digits.rstrip("0")
    shown = point - 1
    if shown not in _PLAIN:
        fraction = f".{digits[1:]}" if digits[1:] else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if shown < 0 else '+'}{abs(shown):02}".encode()
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}".encode()
    return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}".encode()
