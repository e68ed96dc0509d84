"""Each connection takes one place, and gives it back once."""

import asyncio

import pytest

from gateway.receivers import door
from gateway.receivers.places import Places


class Remembering(asyncio.Protocol):
    def __init__(self) -> None:
        self.said: list[object] = []

    def connection_made(self, transport: object) -> None:
        self.said.append(("made", transport))

    def data_received(self, data: bytes) -> None:
        self.said.append(data)

    def eof_received(self) -> bool:
        self.said.append("eof")
        return True

    def pause_writing(self) -> None:
        self.said.append("pause")

    def resume_writing(self) -> None:
        self.said.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.said.append(("lost", exc))


class Buffered(asyncio.BufferedProtocol):
    def get_buffer(self, _: int) -> bytearray:
        return bytearray(5)

    def buffer_updated(self, _: int) -> None:
        raise NotImplementedError


def test_there_are_as_many_places_as_were_said() -> None:
    traffic = door.Traffic("grpc")
    places = Places(2, traffic)
    first, second = places.take(), places.take()
    assert first is not None
    assert second is not None
    assert places.take() is None
    assert (traffic.connections, traffic.refused_connections) == (2, 1)
    first.leave()
    first.leave()
    assert traffic.connections == 1
    assert places.take() is not None
    assert places.take() is None
    assert traffic.refused_connections == 2


def test_a_protocol_hears_everything_and_its_place_is_given_back_when_it_ends() -> None:
    traffic = door.Traffic("grpc")
    place = Places(1, traffic).take()
    inner = Remembering()
    seated = place.seat(inner)
    assert place.protocol is None
    seated.connection_made("transport")
    assert place.protocol is inner
    seated.data_received(b"x")
    seated.pause_writing()
    seated.resume_writing()
    assert seated.eof_received() is True
    assert traffic.connections == 1
    seated.connection_lost(None)
    assert traffic.connections == 0
    expected = [("made", "transport"), b"x", "pause", "resume", "eof", ("lost", None)]
    assert inner.said == expected


def test_nothing_stands_between_the_loop_and_the_data() -> None:
    inner = Remembering()
    seated = Places(1, door.Traffic("grpc")).take().seat(inner)
    assert seated.data_received == inner.data_received
    buffered = Buffered()
    seated = Places(1, door.Traffic("grpc")).take().seat(buffered)
    assert isinstance(seated, asyncio.BufferedProtocol)
    assert (seated.get_buffer, seated.buffer_updated) == (
        buffered.get_buffer,
        buffered.buffer_updated,
    )


def test_a_connection_that_is_made_after_all_gives_nothing_back_twice() -> None:
    traffic = door.Traffic("grpc")
    places = Places(2, traffic)
    place, other = places.take(), places.take()
    seated = place.seat(Remembering())
    place.leave()
    seated.connection_made("transport")
    seated.connection_lost(None)
    assert traffic.connections == 1
    other.leave()
    assert traffic.connections == 0


def test_what_is_no_protocol_for_a_stream_is_a_bug() -> None:
    place = Places(1, door.Traffic("grpc")).take()
    with pytest.raises(RuntimeError, match="BUG"):
        place.seat(asyncio.DatagramProtocol())
