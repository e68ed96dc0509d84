"""Prefixes: the beginnings of lines agree exactly when every byte of them does."""

import numpy as np
from hypothesis import given, settings, strategies as st

from agent.exposition import prefixes

LINES = st.lists(st.tuples(st.binary(max_size=100), st.binary(max_size=10)), min_size=1, max_size=8)


def laid_out(lines: list[tuple[bytes, bytes]]) -> tuple[bytes, np.ndarray, np.ndarray]:
    sizes = np.array([len(head) for head, _ in lines], np.int64)
    whole = np.array([len(head) + len(rest) for head, rest in lines], np.int64)
    text = b"".join(head + rest for head, rest in lines) + bytes(prefixes.MARGIN)
    return text, np.cumsum(whole) - whole, sizes


@settings(max_examples=200)
@given(LINES, st.data())
def test_they_agree_until_one_byte_changes(lines: list[tuple[bytes, bytes]], data) -> None:
    learnt = prefixes.Prefixes.learn(*laid_out(lines))
    other = [(head, data.draw(st.binary(max_size=10))) for head, _ in lines]
    text, starts, _ = laid_out(other)
    assert learnt.agree(text, starts)
    long = [i for i, (head, _) in enumerate(lines) if head]
    if long:
        line = data.draw(st.sampled_from(long))
        at = int(starts[line]) + data.draw(st.integers(0, len(lines[line][0]) - 1))
        changed = bytearray(text)
        changed[at] ^= 1 << data.draw(st.integers(0, 7))
        assert not learnt.agree(bytes(changed), starts)


def test_a_prefix_of_64_bytes_costs_fewer_than_100() -> None:
    learnt = prefixes.Prefixes.learn(*laid_out([(b"x" * 64, b" 1")] * 1000))
    assert learnt.held_bytes < 100_000
