"""Quantities are what Kubernetes takes them for."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from common.kube import quantity

SUFFIXES = {
    "": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000),
    "k": Fraction(1000), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12),
    "P": Fraction(10**15), "E": Fraction(10**18), "Ki": Fraction(2**10), "Mi": Fraction(2**20),
    "Gi": Fraction(2**30), "Ti": Fraction(2**40), "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip


@pytest.mark.parametrize(("text", "units", "thousandths"), [
    ("250m", 1, 250), ("64Mi", 67108864, 67108864000), ("1e3", 1000, 10**6),
    ("1E3", 1000, 10**6), ("1E", 10**18, quantity.MAX), ("1Ei", 1 << 60, quantity.MAX),
    ("1Gi", 1 << 30, (1 << 30) * 1000), ("0", 0, 0), ("0.5", 1, 500), (".5", 1, 500),
    ("5.", 5, 5000), ("1.5Gi", 1610612736, 1610612736000), ("100u", 1, 1), ("1n", 1, 1),
    ("12e-1", 2, 1200), ("+3k", 3000, 3 * 10**6), ("-1500m", -1, -1500),
    ("1e999999999", quantity.MAX, quantity.MAX), ("-1e999999999", -quantity.MAX, -quantity.MAX),
    ("1e-999999999", 1, 1), ("0e999999999", 0, 0), (4, 4, 4000), (0.1, 1, 100),
    (1e21, quantity.MAX, quantity.MAX),
])  # fmt: skip
def test_quantities(text: quantity.Given, units: int, thousandths: int) -> None:
    assert quantity.whole(text) == units
    assert quantity.thousandths(text) == thousandths


@pytest.mark.parametrize("text", [
    "", " 1", "1 ", "1x", "Mi", "1mi", "1KI", "--1", "1e", "1e3Mi", "1.2.3", ".", "+", "1_0",
    "\u0661", "0x10", "9" * 101, math.nan, math.inf, True, "1\n",
])  # fmt: skip
def test_what_is_none(text: quantity.Given) -> None:
    assert quantity.whole(text) is None
    assert quantity.thousandths(text) is None


@given(
    st.integers(-(10**20), 10**20),
    st.integers(0, 12),
    st.sampled_from([*SUFFIXES, "e3", "E-7", "e0"]),
)
def test_they_are_rounded_up_from_the_exact_value(number: int, digits: int, suffix: str) -> None:
    text = f"{abs(number):0{digits + 1}d}"
    if digits:
        text = f"{text[:-digits]}.{text[-digits:]}"
    text = f"{'-' if number < 0 else ''}{text}{suffix}"
    factor = SUFFIXES.get(suffix) or Fraction(10) ** int(suffix[1:])
    exact = Fraction(number, 10**digits) * factor
    for result, unit in ((quantity.whole(text), 1), (quantity.thousandths(text), 1000)):
        assert result == max(-quantity.MAX, min(math.ceil(exact * unit), quantity.MAX))


@given(st.text(max_size=20))
def test_hostile_text_is_a_number_or_none(text: str) -> None:
    assert isinstance(quantity.whole(text), int | None)
