"""Decimals: many numbers at once are exactly what ``float`` makes of each."""

import numpy as np
from hypothesis import example, given, settings, strategies as st

from agent.exposition import decimals

DECIMALS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e9, 1e9).map(lambda f: f"{f:.6g}"),
    st.decimals(
        allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9
    ).map(str),
    st.integers(-(10**20), 10**20).map(str),
)
TOKENS = st.one_of(
    DECIMALS,
    st.text("0123456789.eE+-", min_size=1, max_size=20),
    st.text('0123456789.:/,e+-_[]"n \t\r\0\x80\xff', min_size=1, max_size=18),
)


def read(texts: list[bytes]) -> tuple[list[float], list[bool]]:
    padded = b"\n".join(texts) + b"\n" * decimals.MARGIN
    sizes = np.array([len(t) for t in texts], np.int64)
    end = np.cumsum(sizes + 1) - 1
    values, certain = decimals.read(padded, end - sizes, end)
    return values.tolist(), certain.tolist()


@settings(max_examples=300)
@given(st.lists(TOKENS.map(lambda t: t.encode("latin-1")), max_size=20))
@example([b"-0", b"0", b"-0.0", b"-1e-400", b"1.2.3", b"1e+5"])
@example([b"1,2", b"3"])
@example([b"1,2", b","])
@example([b"1\r", b"2"])
@example([b"9007199254740993", b"18446744073709551617", b"-9223372036854775809", b"1e999"])
def test_whatever_is_certain_is_exact(texts: list[bytes]) -> None:
    for token, value, sure in zip(texts, *read(texts), strict=True):
        if sure:
            assert not token.strip(b"0123456789.eE+-")
            assert np.float64(float(token)).tobytes() == np.float64(value).tobytes()


@settings(max_examples=100)
@given(st.lists(DECIMALS.map(str.encode), max_size=20))
def test_every_plain_decimal_is_certain(texts: list[bytes]) -> None:
    assert all(sure or b"E" in token for token, sure in zip(texts, read(texts)[1], strict=True))


def test_what_exporters_write_is_certain() -> None:
    usual = [b"0", b"1", b"-1", b"42", b"0.25", b"-17.125", b"1.7e+09", b"1.234567e+06", b"1e-05"]
    usual += [b"1234567890123456", b"123456.789", b"1.23456789012e+10", b"5.000000"]
    values, certain = read(usual)
    assert all(certain)
    assert values == [float(token) for token in usual]


def test_blanks_specials_and_signs_go_to_the_reader_that_can_refuse() -> None:
    values, certain = read([b"1 ", b" 1", b"NaN", b"+Inf", b"+1", b"2", b".5", b"1.", b"1\r", b"3"])
    assert certain == [False] * 5 + [True] + [False] * 3 + [True]
    assert (values[5], values[9]) == (2, 3)


def test_one_that_only_looks_like_a_number_takes_the_others_with_it() -> None:
    for liar in (b"1_0", b"0x10", b"007", b"1,2", b"1 2", b"1.2.3", b"1e999"):
        assert read([b"1", liar, b"2"])[1] == [False] * 3
