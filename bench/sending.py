"""Senders of OTLP: bodies over a few connections, one request at a time on each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import grpc

METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
CHANNELS = 8

Send = Callable[[list[bytes]], Awaitable[None]]


@asynccontextmanager
async def over_grpc(port: int) -> AsyncIterator[Send]:
    """Yield a function that sends bodies over a few connections, a bounded number at once."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(CHANNELS)]
    calls = [channel.unary_unary(METHOD) for channel in channels]

    async def lane(n: int, bodies: list[bytes]) -> None:
        for body in bodies[n::CHANNELS]:
            await calls[n](body)

    async def send(bodies: list[bytes]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for n in range(CHANNELS):
                tasks.create_task(lane(n, bodies))

    yield send
    for channel in channels:
        await channel.close()


@asynccontextmanager
async def over_http(port: int, path: str = "/v1/metrics") -> AsyncIterator[Send]:
    """Like `over_grpc`, over HTTP/1.1 with protobuf."""
    headers = {"Content-Type": "application/x-protobuf"}
    async with aiohttp.ClientSession(
        headers=headers, connector=aiohttp.TCPConnector(limit=CHANNELS)
    ) as session:

        async def lane(n: int, bodies: list[bytes]) -> None:
            for body in bodies[n::CHANNELS]:
                async with session.post(f"http://127.0.0.1:{port}{path}", data=body) as answer:
                    if answer.status not in {200, 204}:
                        raise RuntimeError(f"{answer.status}: {await answer.text()}")

        async def send(bodies: list[bytes]) -> None:
            async with asyncio.TaskGroup() as tasks:
                for n in range(CHANNELS):
                    tasks.create_task(lane(n, bodies))

        yield send
