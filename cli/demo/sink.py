"""A backend that takes OTLP over gRPC and HTTP, and remote write: a door for each pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import cramjam
import grpc
from aiohttp import web
from google.protobuf.message import DecodeError
from typing_extensions import override

from cli.demo.arrivals import Arrivals
from common.wire.errors import Malformed

METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the sink listens."""

    otlp_grpc: str
    otlp_http: str
    remote_write: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Which pipeline arrives at which door."""

    otlp_grpc: str
    otlp_http: str
    remote_write: str


class _Grpc(grpc.GenericRpcHandler):
    def __init__(self, arrivals: Arrivals, pipeline: str) -> None:
        async def export(body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            try:
                arrivals.otlp(pipeline, body)
            except DecodeError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            return b""

        self._method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            export
        )

    @override
    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        return self._method if handler_call_details.method == METHOD else None


@asynccontextmanager
async def serving(
    arrivals: Arrivals, names: Names, host: str = "127.0.0.1"
) -> AsyncIterator[Endpoints]:
    """Listen on free ports of *host*; what comes goes into *arrivals* and nowhere else."""
    options = [("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(handlers=[_Grpc(arrivals, names.otlp_grpc)], options=options)
    port = server.add_insecure_port(f"{host}:0")

    async def otlp(request: web.Request) -> web.Response:
        try:
            arrivals.otlp(names.otlp_http, await request.read())
        except DecodeError as error:
            return web.Response(status=400, text=str(error))
        return web.Response(content_type="application/x-protobuf")

    async def write(request: web.Request) -> web.Response:
        try:
            body = bytes(cramjam.snappy.decompress_raw(await request.read()))
            arrivals.remote_write(names.remote_write, body)
        except (Malformed, cramjam.DecompressionError) as error:
            return web.Response(status=400, text=str(error))
        return web.Response(status=204)

    app = web.Application(client_max_size=MAX_BYTES)
    app.router.add_post("/v1/metrics", otlp)
    app.router.add_post("/api/v1/write", write)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0).start()
        await server.start()
        http = f"http://{host}:{runner.addresses[0][1]}"
        yield Endpoints(
            otlp_grpc=f"http://{host}:{port}",
            otlp_http=http,
            remote_write=f"{http}/api/v1/write",
        )
    finally:
        await server.stop(grace=1.0)
        await runner.cleanup()
