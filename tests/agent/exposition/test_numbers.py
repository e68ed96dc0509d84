"""Numbers: what Go's ParseFloat accepts, minus hexadecimal and underscores."""

import math
import re
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from agent.exposition import numbers

GRAMMAR = re.compile(
    rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity)|nan", re.IGNORECASE
)
TOKENS = st.one_of(
    st.floats().map(lambda f: repr(f).encode()),
    st.integers().map(lambda n: str(n).encode()),
    st.text("0123456789.eE+-_xpPinfaty \t\r\v\0", max_size=12).map(str.encode),
    st.binary(max_size=6),
)


@settings(max_examples=400)
@given(TOKENS)
@example(b"1_0")
@example(b"+nan")
@example(b" 1")
@example(b"1\r")
@example(b"0x1p3")
@example(b"1e999")
@example(b"")
@example("\u0661".encode())
def test_a_number_is_what_the_grammar_says_and_nothing_else(token: bytes) -> None:
    expected = float(token) if GRAMMAR.fullmatch(token) else None
    if expected is not None and math.isinf(expected) and b"n" not in token.lower():
        expected = None
    if expected is None:
        with pytest.raises(ValueError, match=r"not a number|beyond the range"):
            numbers.number(token)
        with pytest.raises(ValueError, match=r"not a number|beyond the range"):
            numbers.numbers([b"1", token])
        return
    assert struct.pack("d", numbers.number(token)) == struct.pack(
        "d", math.nan if math.isnan(expected) else expected
    ) or math.isnan(expected)
    assert numbers.numbers([b"1", token])[1].tobytes() == struct.pack("d", numbers.number(token))


@pytest.mark.parametrize("token", [b"NaN", b"nan", b"NAN"])
def test_every_nan_becomes_the_canonical_one(token: bytes) -> None:
    assert struct.pack("<d", numbers.number(token)).hex() == "010000000000f87f"
    assert numbers.numbers([token]).tobytes().hex() == "010000000000f87f"
    assert numbers.numbers([b"1", token, b"+Inf"])[1:2].tobytes().hex() == "010000000000f87f"


@given(st.lists(st.one_of(st.floats(), st.sampled_from(["+Inf", "007", ".5", "-0"])).map(str)))
def test_tokens_within_a_text_are_read_as_each_alone(words: list[str]) -> None:
    texts = [word.encode() for word in words]
    sizes = np.array([len(text) + 1 for text in texts], np.int64)
    end = np.cumsum(sizes) - 1
    found = numbers.within(b" ".join(texts) + b" \n", end - sizes + 1, end)
    assert found.tobytes() == numbers.numbers(texts).tobytes()


def test_a_token_within_a_text_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        numbers.within(b"1 1_0 \n", np.array([0, 2]), np.array([1, 5]))
