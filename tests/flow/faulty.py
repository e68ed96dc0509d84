"""Backends that fail in the ways that backends fail, and know every point that they took.

One for OTLP over gRPC, for OTLP over HTTP and for remote write each, on loopback. What it does with
a request is said by its ``rule``, which may be changed at any time.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal, TypeAlias

from bench import processes
from bench.references.prompb import WriteRequest
from common.wire import compression, http2
from tests.fakes import backends
from tests.flow import numbered

Kind = Literal["grpc", "http", "remote_write"]
KINDS: tuple[Kind, ...] = ("grpc", "http", "remote_write")


@dataclass(frozen=True, slots=True)
class Agree:
    """The points are taken, and *after* so many seconds the sender is told."""

    after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """The request is turned away; *code* is what gRPC has instead of the *status* of HTTP.

    With a *clock* in seconds since the Unix epoch, HTTP says *retry_after* as a date; and if it is
    *dated*, also when it said so.
    """

    status: int
    code: int
    retry_after: float | None = None
    clock: Callable[[], float] | None = None
    dated: bool = True

    @property
    def fields(self) -> str:
        """The fields of an HTTP answer."""
        if self.retry_after is None:
            return ""
        if self.clock is None:
            return f"retry-after: {self.retry_after:g}\r\n"
        now = self.clock()
        again = f"retry-after: {formatdate(now + self.retry_after, usegmt=True)}\r\n"
        return again + (f"date: {formatdate(now, usegmt=True)}\r\n" if self.dated else "")


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing is taken, and no answer comes."""


@dataclass(frozen=True, slots=True)
class CutRequest:
    """The connection breaks in the middle of the request; nothing is taken."""


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """The points are taken, and the connection breaks in the middle of the answer."""


Act: TypeAlias = Agree | Say | Hang | CutRequest | CutAnswer
UNAVAILABLE = Say(status=503, code=14)
INVALID = Say(status=400, code=3)
TOO_LARGE = Say(status=413, code=8)


def always(act: Act) -> Callable[[int], Act]:
    return lambda _: act


FINE = always(Agree())


@dataclass(slots=True)
class Backend:
    """A running backend; it may be `shut` and `open`ed any number of times, on the same port."""

    kind: Kind
    port: int
    host: str = "127.0.0.1"
    rule: Callable[[int], Act] = FINE
    """What is done with the request of that number, counted from 0."""
    tls: ssl.SSLContext | None = None
    name: str = "127.0.0.1"  # in the URL
    taken: Counter[int] = field(default_factory=Counter)  # how often each number came
    refused: Counter[int] = field(default_factory=Counter)  # by a `Say` that is final
    order: dict[str, list[int]] = field(default_factory=dict)  # numbers as taken, by sender
    attempts: dict[int, list[float]] = field(default_factory=dict)
    """When requests came in full, on the loop's clock, by the first of their numbers."""
    max_points: int = (
        1 << 30
    )  # of a request; one that has more is too large, whatever the rule says
    too_large: int = 0  # requests that were
    requests: int = 0
    connections: int = 0  # made so far
    _server: asyncio.Server | None = None
    links: set[_Link] = field(default_factory=set)  # connections that are open

    @property
    def output(self) -> dict[str, Any]:
        """The section of a pipeline that sends here."""
        scheme = "http" if self.tls is None else "https"
        url = f"{scheme}://{self.name}:{self.port}"
        if self.kind == "remote_write":
            return {"remote_write": {"url": f"{url}/api/v1/write"}}
        return {"otlp": {"endpoint": url, "protocol": self.kind, "compression": "none"}}

    @property
    def duplicates(self) -> int:
        return self.taken.total() - len(self.taken)

    def next(self) -> Act:
        """Count a request, and say what is done with it."""
        self.requests += 1
        return self.rule(self.requests - 1)

    def book(self, act: Act, body: bytes) -> Act:
        """Remember a request, and its points as far as *act* takes or refuses them for good.

        Returns what is done with it, now that its size is known.
        """
        read = self._read(body)
        if sum([len(found) for _, found in read]) > self.max_points:
            self.too_large += 1
            act = TOO_LARGE
        now = asyncio.get_running_loop().time()
        self.attempts.setdefault(min(found[0] for _, found in read), []).append(now)
        for sender, found in read:
            if isinstance(act, Agree | CutAnswer):
                self.taken.update(found)
                self.order.setdefault(sender, []).extend(found)
            elif act == INVALID:
                self.refused.update(found)
        return act

    def _read(self, body: bytes) -> list[tuple[str, list[int]]]:
        if self.kind != "remote_write":
            return [
                (_instance(frame.resource), numbered.numbers(_alone(frame)))
                for frame in numbered.Request.FromString(body).resource_metrics
            ]
        return [
            (labels["instance"], [int(sample.value) for sample in series.samples])
            for series in WriteRequest.FromString(body).timeseries
            for labels in ({label.name: label.value for label in series.labels},)
            if labels["__name__"] != "target_info"
        ]

    async def open(self) -> None:
        """Listen, and take connections."""
        link = _Grpc if self.kind == "grpc" else _Http
        self._server = await asyncio.get_running_loop().create_server(
            lambda: link(self), self.host, self.port, ssl=self.tls
        )

    async def shut(self) -> None:
        """Break all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            for link in list(self.links):
                link.transport.abort()
            await self._server.wait_closed()
            self._server = None


def _instance(resource: Any) -> str:
    found = {each.key: each.value.string_value for each in resource.attributes}
    return found["service.instance.id"]


def _alone(frame: Any) -> bytes:
    return numbered.Request(resource_metrics=[frame]).SerializeToString()


@asynccontextmanager
async def serving(kind: Kind, **more: Any) -> AsyncIterator[Backend]:
    """Run a backend on a free port of loopback."""
    (port,) = processes.free_ports(1)
    backend = Backend(kind, port, **more)
    await backend.open()
    try:
        yield backend
    finally:
        await backend.shut()


class _Link(asyncio.Protocol):
    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.transport: asyncio.Transport
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.backend.connections += 1
        self.backend.links.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.backend.links.discard(self)

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


class _Http(_Link):
    """HTTP/1.1 for clients that say how long their bodies are."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.buffer = bytearray()
        self.act: Act | None = None  # of the request that is coming in

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n") + 4) > 3:
            fields = dict(
                line.lower().split(": ", 1)
                for line in self.buffer[: end - 4].decode().split("\r\n")[1:]
            )
            if self.act is None:
                self.act = self.backend.next()
            size = int(fields["content-length"])
            if isinstance(self.act, CutRequest):
                self.transport.abort()
                return
            if len(self.buffer) < end + size:
                return
            body = bytes(self.buffer[end : end + size])
            del self.buffer[: end + size]
            act, self.act = self.act, None
            coding = fields.get("content-encoding", "identity")
            self.answer(self.backend.book(act, compression.inflate(body, coding, 1 << 30)))

    def answer(self, act: Act) -> None:
        kind = b"content-type: application/x-protobuf\r\n"
        match act:
            case Agree(after):
                fine = b"HTTP/1.1 200 OK\r\n" + kind + b"content-length: 0\r\n\r\n"
                self.loop.call_later(after, self.write, fine)
            case Say():
                head = f"HTTP/1.1 {act.status} No\r\n{act.fields}content-length: 0\r\n\r\n"
                self.write(head.encode())
            case CutAnswer():
                self.write(b"HTTP/1.1 200 OK\r\n" + kind + b"content-length: 9\r\n\r\nhalf")
                self.transport.close()
            case _:
                pass  # no answer


_HEAD = http2.encode([(b":status", b"200"), (b"content-type", b"application/grpc")])
_OK = http2.encode([(b"grpc-status", b"0")])


class _Grpc(_Link):
    """Unary gRPC, which does not ask for the method."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.http2 = http2.Server(http2.Limits())
        self.calls: dict[int, tuple[Act, bytearray]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.flush()

    def flush(self) -> None:
        self.write(self.http2.outgoing())

    def data_received(self, data: bytes) -> None:
        for event in self.http2.receive(data, 0.0):
            match event:
                case http2.HeadCame(stream):
                    self.calls[stream] = self.backend.next(), bytearray()
                case http2.DataCame(stream, piece, ended):
                    act, body = self.calls[stream]
                    body += piece
                    self.http2.credit_connection(len(piece))
                    self.http2.credit(stream, len(piece))
                    if isinstance(act, CutRequest):
                        self.transport.abort()
                        return
                    if ended:
                        del self.calls[stream]
                        self.answer(stream, self.backend.book(act, bytes(body[5:])))
                case _:
                    pass
        self.flush()

    def answer(self, stream: int, act: Act) -> None:
        match act:
            case Agree(after):
                self.loop.call_later(after, self.agree, stream)
            case Say():
                status = backends.status(act.code, "no", act.retry_after)
                details = base64.b64encode(status)
                fields = [(b"grpc-status", b"%d" % act.code), (b"grpc-status-details-bin", details)]
                self.http2.headers(stream, _HEAD)
                self.http2.headers(stream, http2.encode(fields), ended=True)
            case CutAnswer():
                self.http2.headers(stream, _HEAD)
                self.flush()
                self.write(b"\0\0\x09\0\0" + stream.to_bytes(4) + b"half")  # a frame of DATA
                self.transport.close()
            case _:
                pass  # no answer

    def agree(self, stream: int) -> None:
        self.http2.respond(stream, _HEAD, bytes(5), _OK)
        self.flush()
