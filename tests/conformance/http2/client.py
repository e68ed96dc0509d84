"""A client that does exactly what a case says, and waits for what must come, with a bound."""

import asyncio
import contextlib
import itertools
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import hpack

from tests.conformance.http2 import wire
from tests.conformance.http2.wire import Code, Field, Flag, Frame, Kind

WITHIN = 3.0  # seconds; a server that has not answered by then does not
PATH = "/grpc.health.v1.Health/Check"
MESSAGE = bytes(5)  # a gRPC frame around HealthCheckRequest{}: not compressed, no bytes
ANSWER = 7  # bytes: the five of a gRPC frame around HealthCheckResponse{status: SERVING}


@dataclass(slots=True)
class Answer:
    """What came back on one stream."""

    headers: list[Field] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    trailers: list[Field] = field(default_factory=list)

    @property
    def status(self) -> str:
        return dict(self.headers)[":status"]


class Client:
    """One connection. Reads only when a case waits, so that nothing is lost on the way."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str
    ) -> None:
        self._reader, self._writer, self._authority = reader, writer, authority
        self._decoder = hpack.Decoder()
        self._pings = itertools.count(1)
        self._seen: list[Frame] = []
        self._passed: list[Frame] = []
        self.settings: dict[int, int] = {}
        """What the server set in its preface."""

    def fields(self, **changes: str | None) -> list[Field]:
        """Return the fields of a call that is answered; *changes* by name, None leaves one out.

        Pseudo fields are named without their colon, and an underscore is a hyphen.
        """
        pseudo = {
            ":method": "POST",
            ":scheme": "http",
            ":path": PATH,
            ":authority": self._authority,
        }
        made: dict[str, str | None] = pseudo | {
            "content-type": "application/grpc",
            "te": "trailers",
        }
        for name, value in changes.items():
            known = f":{name}" in pseudo
            made[f":{name}" if known else name.replace("_", "-")] = value
        return [(name, value) for name, value in made.items() if value is not None]

    def block(self, *more: Field, **changes: str | None) -> bytes:
        """Return the header block of a call that is answered, but for *changes* and *more*."""
        return wire.block([*self.fields(**changes), *more])

    def call(self, stream: int) -> bytes:
        """Return the frames of a whole call that the server answers."""
        return wire.headers(stream, self.block()) + wire.data(stream, MESSAGE, end=True)

    async def send(self, *frames: bytes) -> None:
        """Write; a server that has hung up already is found out when reading."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(b"".join(frames))
            await self._writer.drain()

    async def start(self, *pairs: tuple[int, int]) -> None:
        """Exchange prefaces (RFC 9113 section 3.4) with settings of our own, all acknowledged."""
        await self.send(wire.PREFACE, wire.settings(*pairs))
        first = await self.next()
        assert first is not None and first.kind == Kind.SETTINGS and not first.has(Flag.ACK), (
            f"the server's preface is SETTINGS, but first came {first or 'the end'}"
        )
        pairs = struct.iter_unpack(">HL", first.payload)
        self.settings = dict(pairs)
        await self.send(wire.acknowledgement())
        await self.acknowledged()

    async def acknowledged(self) -> None:
        """Wait until the server has acknowledged settings."""
        await self.wait_for(
            lambda frame: frame.kind == Kind.SETTINGS and frame.has(Flag.ACK),
            "an acknowledgement of SETTINGS",
        )

    async def next(self) -> Frame | None:
        """Return the next frame, or None at the end of the connection."""
        if self._passed:
            return self._passed.pop(0)
        try:
            async with asyncio.timeout(WITHIN):
                head = await self._reader.readexactly(9)
                payload = await self._reader.readexactly(int.from_bytes(head[:3]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except TimeoutError:
            raise AssertionError(f"nothing came within {WITHIN} s; {self._heard()}") from None
        kind, flags, stream = struct.unpack(">BBL", head[3:])
        frame = Frame(kind=kind, flags=flags, stream=stream, payload=payload)
        self._seen.append(frame)
        return frame

    async def wait_for(self, wanted: Callable[[Frame], bool], what: str) -> Frame:
        """Return the first frame that is *wanted*; an end or an error before it fails the case.

        What came before it is kept, in order, for later waits.
        """
        passed: list[Frame] = []
        while True:
            frame = await self.next()
            assert frame is not None, f"expected {what}, but the connection ended; {self._heard()}"
            if wanted(frame):
                self._passed[:0] = passed
                return frame
            failed = frame.kind == Kind.GOAWAY and frame.code != Code.NO_ERROR
            assert not failed, f"expected {what}; {self._heard()}"
            passed.append(frame)

    async def data(self, stream: int) -> Frame:
        """Wait for the next DATA of *stream*."""
        return await self.wait_for(
            lambda frame: (frame.kind, frame.stream) == (Kind.DATA, stream), f"DATA on {stream}"
        )

    async def answer(self, stream: int) -> Answer:
        """Wait for everything the server says on *stream*, to its end."""
        answer = Answer()
        while True:
            frame = await self.wait_for(
                lambda frame: frame.stream == stream and frame.kind != Kind.WINDOW_UPDATE,
                f"an answer on stream {stream}",
            )
            match frame.kind:
                case Kind.HEADERS:
                    into = answer.trailers if answer.headers else answer.headers
                    into += await self._decoded(frame)
                case Kind.DATA:
                    answer.data.append(frame.content)
                case _:
                    raise AssertionError(f"expected an answer on {stream}; {self._heard()}")
            if frame.has(Flag.END_STREAM):
                assert answer.headers, f"no headers on {stream}; {self._heard()}"
                return answer

    async def accepts(self, stream: int) -> None:
        """Wait for an answer of status 200 with a message on *stream*."""
        answer = await self.answer(stream)
        assert answer.status == "200", answer
        assert len(b"".join(answer.data)) == ANSWER, answer

    async def alive(self) -> None:
        """Check that the connection works: a PING comes back (RFC 9113 section 6.7)."""
        payload = next(self._pings).to_bytes(8)
        await self.send(wire.ping(payload))
        await self.wait_for(
            lambda frame: (
                frame.kind == Kind.PING and frame.has(Flag.ACK) and frame.payload == payload
            ),
            "the PING to come back",
        )

    async def alive_or_ended(self) -> None:
        """Like `alive`, but a connection that ends is fine as well."""
        payload = next(self._pings).to_bytes(8)
        await self.send(wire.ping(payload))
        while (frame := await self.next()) is not None:
            if frame.kind == Kind.PING and frame.payload == payload:
                return

    def limit_table(self, size: int) -> None:
        """Refuse header blocks that need more than *size* bytes of table, or do not say so.

        An encoder that was told to use less says that it does, before its next block (RFC 9113
        section 4.3.1); decoders in the field insist on it.
        """
        self._decoder.max_allowed_table_size = size

    async def connection_error(self, *codes: Code) -> Frame:
        """Expect GOAWAY with one of *codes*, then the end (RFC 9113 section 5.4.1)."""
        while (frame := await self.next()) is not None:
            if frame.kind == Kind.GOAWAY and frame.code != Code.NO_ERROR:
                assert frame.code in codes, f"expected {_names(codes)}; {self._heard()}"
                await self.ended()
                return frame
        raise AssertionError(f"expected GOAWAY with {_names(codes)}; {self._heard()}")

    async def stream_error(self, stream: int, *codes: Code) -> None:
        """Expect RST_STREAM with one of *codes*, and that the connection goes on.

        A connection error with one of *codes* instead is fine: so is treating it harder (section
        5.4.2 leaves how bad it is to the endpoint, and h2spec accepts that too).
        """
        while (frame := await self.next()) is not None:
            if frame.kind == Kind.GOAWAY and frame.code != Code.NO_ERROR:
                assert frame.code in codes, f"expected {_names(codes)}; {self._heard()}"
                return await self.ended()
            if frame.kind == Kind.RST_STREAM and frame.stream == stream:
                assert frame.code in codes, f"expected {_names(codes)}; {self._heard()}"
                return await self.alive()
        raise AssertionError(f"expected RST_STREAM with {_names(codes)}; {self._heard()}")

    async def ended(self) -> None:
        """Expect the server to close the connection."""
        while await self.next() is not None:
            pass

    async def _decoded(self, frame: Frame) -> list[Field]:
        block = frame.content
        stream = frame.stream
        while not frame.has(Flag.END_HEADERS):
            frame = await self.next()
            assert frame is not None and (frame.kind, frame.stream) == (Kind.CONTINUATION, stream)
            block += frame.payload
        return [(name, value) for name, value in self._decoder.decode(block)]

    def _heard(self) -> str:
        return f"heard: {', '.join(map(str, self._seen)) or 'nothing'}"


def _names(codes: tuple[Code, ...]) -> str:
    return " or ".join(code.name for code in codes)


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Client]:
    """Open a connection on which nothing has been said yet."""
    async with asyncio.timeout(WITHIN):
        reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Client(reader, writer, f"{host}:{port}")
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):  # the server was first, and not politely
            await writer.wait_closed()
