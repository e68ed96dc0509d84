"""A message is the same however it is cut, and small pieces cost little."""

import tracemalloc

import pytest
from hypothesis import given, strategies as st

from gateway.receivers.grpc_answers import Refused
from gateway.receivers.grpc_call import Asked, Call
from gateway.receivers.grpc_methods import Health
from tests.gateway.receivers.grpc_wire import framed

ASKED = Asked(method=Health(lambda: True))


def call() -> Call:
    return Call(1, None, ASKED, 0.0, 0.0)


@given(st.binary(max_size=3000), st.lists(st.integers(1, 900), min_size=1), st.integers(0, 1))
def test_a_message_in_pieces(message: bytes, sizes: list[int], flag: int) -> None:
    whole, ours, at = framed(message, flag), call(), 0
    for turn in range(len(whole)):
        assert ours.missing == (5 - at if at < 5 else len(whole) - at)
        size = sizes[turn % len(sizes)]
        ours.add(whole[at : at + size])
        at = min(len(whole), at + size)
        if at == len(whole):
            break
    assert (ours.message(), ours.compressed, ours.missing) == (message, bool(flag), 0)
    with pytest.raises(Refused, match="several"):
        ours.add(b"x")


@given(st.binary(max_size=50), st.data())
def test_what_is_cut_short_is_no_message(message: bytes, data: st.DataObject) -> None:
    whole, ours = framed(message), call()
    ours.add(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(Refused):
        ours.message()


def test_tiny_pieces_do_not_multiply() -> None:
    ours = call()
    ours.add((1 << 20).to_bytes(5))
    tracemalloc.start()
    try:
        for _ in range(50_000):
            ours.add(b"ab")
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()
