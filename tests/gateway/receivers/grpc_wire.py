"""A client of the lean gRPC door by hand: a transport that remembers, and requests as frames."""

import asyncio

from common.wire.http2 import Client, Limits, encode, frames, heads
from gateway.receivers import door
from gateway.receivers.grpc_connection import Connection
from gateway.receivers.grpc_door import Door
from gateway.receivers.grpc_methods import EXPORT
from tests.fakes import http2_wire as wire

PEER = "10.1.2.3"


class Transport(asyncio.Transport):
    """Remembers what was written, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.reading = True
        self.ended: str = ""

    def write(self, data: bytes) -> None:
        assert not self.ended
        self.sent += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = "eof"

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return self.ended in {"closed", "aborted"}

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Caller:
    """One connection to a door, seen from its client."""

    def __init__(self, terms: door.Terms, traffic: door.Traffic | None = None) -> None:
        self.traffic = traffic or door.Traffic("grpc")
        self.door = Door(terms, self.traffic, chance=lambda: 0.5)
        self.transport = Transport()
        self.connection = Connection(PEER, self.door)
        self.connection.connection_made(self.transport)

    def say(self, *sent: bytes) -> list[wire.Frame]:
        """Send in one read, and return the frames that came back."""
        self.connection.data_received(b"".join(sent))
        return self.came()

    def came(self) -> list[wire.Frame]:
        sent, self.transport.sent = self.transport.sent, b""
        return wire.taken_apart(sent)

    def greet(self) -> list[wire.Frame]:
        return self.say(frames.PREFACE, wire.settings(), frames.SETTINGS_ACK)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def wait(self, seconds: float) -> list[wire.Frame]:
        """Let the door look *seconds* later."""
        await asyncio.sleep(seconds)
        self.connection.look(self.now)
        return self.came()

    def lose(self) -> None:
        self.connection.connection_lost(None)


def greeted(terms: door.Terms, traffic: door.Traffic | None = None) -> Caller:
    caller = Caller(terms, traffic)
    caller.greet()
    caller.came()
    return caller


def head(
    stream: int, *more: tuple[bytes, bytes], path: bytes = EXPORT, ended: bool = False
) -> bytes:
    fields = (
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"here"),
        (b"content-type", b"application/grpc"), *more,
    )  # fmt: skip
    return wire.headers(stream, encode(fields), ended=ended)


def framed(message: bytes, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(message).to_bytes(4) + message


def request(stream: int, message: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A whole request, in frames as large as the protocol lets everybody send."""
    body = framed(message)
    pieces = [body[at : at + 16384] for at in range(0, len(body), 16384)]
    out = [head(stream, *more)]
    out += [wire.data(stream, piece) for piece in pieces[:-1]]
    return b"".join((*out, wire.data(stream, pieces[-1], ended=True)))


def answer(came: list[wire.Frame], stream: int) -> dict[bytes, bytes]:
    """Return headers and trailers of a stream; its message is "body", its reset "reset"."""
    client = Client(Limits())
    found: dict[bytes, bytes] = {}
    for kind, flags, number, payload in came:
        if number != stream:
            continue
        if kind == frames.HEADERS:
            assert flags & frames.END_HEADERS
            found |= dict(client.decoder.decode(payload, heads.trailers).fields)
        elif kind == frames.DATA:
            found[b"body"] = found.get(b"body", b"") + payload
        elif kind == frames.RST_STREAM:
            found[b"reset"] = payload
    return found


def code(came: list[wire.Frame], stream: int) -> int:
    """Return the status of gRPC that a stream was answered with; -1 if it was not."""
    return int(answer(came, stream).get(b"grpc-status", b"-1"))
