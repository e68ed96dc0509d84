"""Decimals: many numbers at once are exactly what ``float`` makes of each."""

import numpy as np
from hypothesis import example, given, settings, strategies as st

from agent.exposition import decimals

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e9, 1e9).map(lambda f: f"{f:.6g}"),
    st.decimals(
        allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9
    ).map(str),
    st.integers(-(10**20), 10**20).map(str),
    st.text("0123456789.eE+-", max_size=20),
    st.text("0123456789.:/,e+-_ \0\x80\xff", min_size=1, max_size=18).map(lambda t: t),
)


def read(texts: list[bytes]) -> tuple[list[float], list[bool]]:
    padded = b"\n" * decimals.MARGIN + b"\n".join(texts) + b"\n" * 8
    sizes = np.array([len(t) for t in texts], np.int64)
    end = np.cumsum(sizes + 1) - 1 + decimals.MARGIN
    values, certain = decimals.read(padded, end - sizes, end)
    return values.tolist(), certain.tolist()


@settings(max_examples=300)
@given(st.lists(NUMBERS.map(lambda t: t.encode("latin-1")), min_size=1, max_size=20))
@example([b"-0", b"0", b".", b"-", b"", b"1.2.3", b"1e+5", b"e+05", b"-e+05", b".e+05"])
@example([b"9007199254740993", b"9007199254740992", b"0.1", b"1.e+02", b"1.5e+22", b"1.5e-22"])
@example([b"1234567.12345678", b"12345678.1234567", b".123456789012345", b"123456789012345."])
def test_whatever_is_certain_is_exact(texts: list[bytes]) -> None:
    for token, value, sure in zip(texts, *read(texts), strict=True):
        if sure:
            assert not token.strip(b"0123456789.eE+-")
            assert np.float64(float(token)).tobytes() == np.float64(value).tobytes()


def test_what_exporters_write_is_certain() -> None:
    usual = [b"0", b"1", b"-1", b"42", b"0.25", b"-17.125", b"1.7e+09", b"1.234567e+06", b"1e-05"]
    usual += [b"1234567890123456", b"123456.789", b"1.23456789012e+10", b"5.000000"]
    values, certain = read(usual)
    assert all(certain)
    assert values == [float(token) for token in usual]


def test_blanks_specials_and_signs_go_to_the_reader_that_can_refuse() -> None:
    _, certain = read([b"1 ", b" 1", b"NaN", b"+Inf", b"+1", b"1_0", b"1e5", b"0x10", b"1\r", b""])
    assert not any(certain)
