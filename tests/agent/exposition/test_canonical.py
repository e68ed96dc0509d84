"""Numbers in labels: Go's shortest form, with a point or an exponent."""

import math

import pytest
from hypothesis import given, strategies as st

from agent.exposition import canonical
from bench.references import delimited as reference


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.0, b"1.0"),
        (-0.0, b"0.0"),
        (0.5, b"0.5"),
        (-12.25, b"-12.25"),
        (0.0001, b"0.0001"),
        (0.00001, b"1e-05"),
        (100000.0, b"100000.0"),
        (999999.5, b"999999.5"),
        (1e6, b"1e+06"),
        (1234567.0, b"1.234567e+06"),
        (1e16, b"1e+16"),
        (2.0**-24, b"5.960464477539063e-08"),
        (5e-324, b"5e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (math.inf, b"+Inf"),
        (-math.inf, b"-Inf"),
        (math.nan, b"NaN"),
    ],
)
def test_numbers_are_written_as_prometheus_writes_them(value: float, written: bytes) -> None:
    assert canonical.number(value) == written


@given(st.floats(allow_nan=False))
def test_every_number_is_the_shortest_that_reads_back(value: float) -> None:
    written = canonical.number(value)
    assert float(written) == value
    assert written == reference.openmetrics(value)
