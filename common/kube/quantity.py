"""Quantities of Kubernetes ("250m", "64Mi", "1e3"), read exactly.

Grammar: ``apimachinery/pkg/api/resource`` Quantity. A signed decimal number, then one suffix:
binary (``Ki Mi Gi Ti Pi Ei``), decimal (``n u m k M G T P E`` or none) or an exponent (``e3``,
``E-2``).
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

Given: TypeAlias = str | int | float
"""A quantity as JSON has it: text; API servers read numbers, too, and write text."""

MAX: Final = (1 << 63) - 1  # "no quantity may represent a number greater than 2^63-1"
_LONGEST: Final = 100  # characters; what is longer is no quantity that an API server has taken
# An exponent beyond this exceeds MAX, or rounds to one unit, whatever stands before it.
_FARTHEST: Final = 200
_FORM: Final = re.compile(
    r"([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:([eE])([+-]?\d+)|([KMGTPE]i|[numkMGTPE]?))", re.ASCII
)
_BINARY: Final = {f"{letter}i": 1 << (10 * (i + 1)) for i, letter in enumerate("KMGTPE")}
_DECIMAL: Final = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip


def whole(given: Given) -> int | None:
    """Return *given* in whole units, rounded up as Kubernetes does; ``None`` if it is none.

    Magnitudes beyond 2^63 - 1 come back as that.
    """
    return _scaled(given, 0)


def thousandths(given: Given) -> int | None:
    """Return *given* in thousandths (of a CPU, for one), rounded up; else as `whole`."""
    return _scaled(given, 3)


def _scaled(given: Given, digits: int) -> int | None:
    text = given if isinstance(given, str) else repr(given)
    if len(text) > _LONGEST or (match := _FORM.fullmatch(text)) is None:
        return None
    sign, before, after, bare, _, exponent, suffix = match.groups()
    fraction = after or bare or ""
    number = int((before or "") + fraction or "0")
    power = digits - len(fraction)
    if exponent is not None:
        power += max(-_FARTHEST, min(int(exponent), _FARTHEST))
    elif suffix in _BINARY:
        number *= _BINARY[suffix]
    else:
        power += _DECIMAL[suffix]
    if sign == "-":
        number = -number
    scaled: int = number * 10**power if power >= 0 else -(-number // 10**-power)
    return max(-MAX, min(scaled, MAX))
