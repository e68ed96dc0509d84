"""The connections of a backend that fails: HTTP/1.1, and gRPC over HTTP/2."""

from __future__ import annotations

import asyncio
import base64
from typing import Protocol

from common.wire import compression, http2
from tests.fakes import backends
from tests.flow.acts import Act, Agree, CutAnswer, CutRequest, Say


class Backend(Protocol):
    """What a connection wants of the backend that it is to."""

    links: set[Link]
    connections: int

    def next(self) -> Act:
        """Count a request, and say what is done with it."""
        ...

    def book(self, act: Act, body: bytes) -> Act:
        """Remember a request as far as *act* takes or refuses it; return what is done with it."""
        ...


class Link(asyncio.Protocol):
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


class Http(Link):
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


class Grpc(Link):
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
