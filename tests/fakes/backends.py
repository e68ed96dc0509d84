"""Backends that do as they are told: OTLP over gRPC, OTLP over HTTP, and remote write, on loopback.

Each keeps what it received and answers from its script, in order; with an empty script it agrees.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from aiohttp import web
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tests.fakes import http_server

METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request: HTTP gives the body as it came on the wire, gRPC inflates it."""

    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    certificate: str = ""  # of the client, in PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """An answer of a gRPC backend."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    details: str = ""
    body: bytes = b""
    retry_after: float | None = None  # seconds; attaches a RetryInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """An answer of an HTTP backend."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer at all until the backend closes."""


@dataclass(frozen=True, slots=True)
class Break:
    """The connection is closed without an answer."""


@dataclass(frozen=True, slots=True)
class BreakBody:
    """A status of 200, half of the promised body, and the connection is closed."""


Answer = Rpc | Http | Hang | Break | BreakBody


@dataclass(slots=True)
class Backend:
    """A running backend."""

    url: str
    script: deque[Answer]
    max_bytes: int = MAX_BYTES  # what is larger is answered as too large, beside the script
    received: list[Received] = field(default_factory=list)

    def next(self) -> Answer | None:
        return self.script.popleft() if self.script else None


def status(code: int, message: str, retry_after: float | None = None) -> bytes:
    """Encode a google.rpc.Status, with a RetryInfo if *retry_after* seconds are given."""
    answer = Status(code=code, message=message)
    if retry_after is not None:
        info = RetryInfo()
        info.retry_delay.FromNanoseconds(int(retry_after * 1e9))
        detail = Any()
        detail.Pack(info)
        answer.details.append(detail)
    return answer.SerializeToString()


@asynccontextmanager
async def otlp_grpc(
    script: Sequence[Answer] = (),
    *,
    port: int = 0,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[Backend]:
    """Serve MetricsService/Export on *port* of loopback, 0 for any that is free."""
    backend = Backend("", deque(script))

    async def export(body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        headers = {key: str(value) for key, value in context.invocation_metadata() or ()}
        shown = b"".join(context.auth_context().get("x509_pem_cert", ())).decode()
        backend.received.append(
            Received(path=METHOD, headers=headers, body=body, certificate=shown)
        )
        if len(body) > backend.max_bytes:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "message is too large")
        answer = backend.next()
        if isinstance(answer, Hang):
            await asyncio.Event().wait()
        if not isinstance(answer, Rpc):
            return b""
        if answer.code is not grpc.StatusCode.OK:
            details = status(answer.code.value[0], answer.details, answer.retry_after)
            trailing = (("grpc-status-details-bin", details),)
            await context.abort(answer.code, answer.details, trailing)
        return answer.body

    server = grpc.aio.server(
        handlers=[
            grpc.method_handlers_generic_handler(
                METHOD.split("/")[1], {"Export": grpc.unary_unary_rpc_method_handler(export)}
            )
        ],
        options=[("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)],
    )
    where = f"127.0.0.1:{port}"
    if credentials is None:
        bound, scheme = server.add_insecure_port(where), "http"
    else:
        bound, scheme = server.add_secure_port(where, credentials), "https"
    await server.start()
    backend.url = f"{scheme}://127.0.0.1:{bound}"
    try:
        yield backend
    finally:
        await server.stop(grace=0)


async def said(answer: Answer, request: web.BaseRequest) -> web.Response:
    """Answer *request* as it is told; what HTTP cannot say breaks the connection."""
    match answer:
        case Http():
            return web.Response(
                status=answer.status,
                reason="As told",  # aiohttp has no words of its own for 999
                body=answer.body,
                headers=dict(answer.headers),
            )
        case Hang():
            await asyncio.Event().wait()
        case _:
            assert request.transport is not None
            if isinstance(answer, BreakBody):
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n"
                request.transport.write(head + b"content-length: 9\r\n\r\nhalf")
            request.transport.close()
    return web.Response()


@asynccontextmanager
async def http(
    script: Sequence[Answer] = (), *, port: int = 0, context: ssl.SSLContext | None = None
) -> AsyncIterator[Backend]:
    """Serve POST on every path of *port* of loopback, for OTLP over HTTP and for remote write."""
    backend = Backend("", deque(script))

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        headers = {key.lower(): value for key, value in request.headers.items()}
        body = await request.read()
        secured = request.get_extra_info("ssl_object")
        shown = secured.getpeercert(binary_form=True) if secured else None
        backend.received.append(
            Received(
                path=request.path_qs,
                headers=headers,
                body=body,
                certificate=ssl.DER_cert_to_PEM_cert(shown) if shown else "",
            )
        )
        if len(body) > backend.max_bytes:
            return web.Response(status=413, text="body is too large")
        answer = backend.next()
        if isinstance(answer, Rpc | None):
            return web.Response(content_type="application/x-protobuf")
        return await said(answer, request)

    async with http_server.serving(take, port=port, context=context) as backend.url:
        yield backend
