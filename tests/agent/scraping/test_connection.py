"""A connection carries one exchange at a time, reads as far as there is room, ends in words."""

import asyncio
import errno
import ssl

import pytest
from typing_extensions import override

from agent.scraping import connection, response
from agent.scraping.room import Room

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 400000\r\n\r\n"


class Transport(asyncio.Transport):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said.append(bytes(data).decode())

    @override
    def is_closing(self) -> bool:
        return "abort" in self.said

    @override
    def abort(self) -> None:
        self.said.append("abort")

    @override
    def pause_reading(self) -> None:
        self.said.append("pause")

    @override
    def resume_reading(self) -> None:
        self.said.append("resume")


async def made() -> tuple[connection.Connection, Transport]:
    transport = Transport()
    one = connection.Connection(asyncio.get_running_loop())
    one.connection_made(transport)
    return one, transport


async def test_it_stops_reading_while_there_is_no_room_and_goes_on_when_there_is() -> None:
    one, transport = await made()
    room = Room(500_000)
    others, lease, answer = room.lease(), room.lease(), response.Response(1_000_000)
    others.grow(200_000, lambda: None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.exchange(b"GET", answer, lease))
        await asyncio.sleep(0)
        one.data_received(HEAD + b"x")
        assert transport.said == ["GET", "pause"]
        others.release()
        assert transport.said == ["GET", "pause", "resume"]
        one.data_received(b"x" * 399_999)
    assert answer.done
    assert lease.held == 400_000


async def test_it_does_not_go_on_reading_when_it_was_closed_meanwhile() -> None:
    one, transport = await made()
    room = Room(500_000)
    others, lease, answer = room.lease(), room.lease(), response.Response(1_000_000)
    others.grow(200_000, lambda: None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.exchange(b"GET", answer, lease))
        await asyncio.sleep(0)
        one.data_received(HEAD)
        one.abort()
        others.release()
        one.connection_lost(None)
    assert transport.said == ["GET", "pause", "abort"]
    assert not one.open


async def test_what_comes_in_one_piece_takes_no_room() -> None:
    one, transport = await made()
    room, answer = Room(1), response.Response(1_000_000)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.exchange(b"GET", answer, room.lease()))
        await asyncio.sleep(0)
        one.data_received(HEAD.replace(b"400000", b"4") + b"a 1\n")
    assert answer.done
    assert (transport.said, room.used) == (["GET"], 0)


async def test_bytes_that_nobody_asked_for_end_it() -> None:
    one, transport = await made()
    one.data_received(b"hello")
    assert transport.said == ["abort"]
    assert not one.open
    one.connection_lost(None)
    answer = response.Response(10)
    await one.exchange(b"GET", answer, Room(1).lease())
    assert "bytes came that nobody asked for" in str(answer.outcome())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionResetError(errno.ECONNRESET, "x"), "connection reset by peer"),
        (OSError("no number"), "no number"),
        (ValueError("odd"), "odd"),
        (
            ssl.SSLError(1, "[SSL: X] alert certificate_required"),
            "tls: [ssl: x] alert certificate ",
        ),
    ],
)
def test_its_end_is_said_in_words(error: Exception, words: str) -> None:
    assert connection.lost(error).startswith(words)
