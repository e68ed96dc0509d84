import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from localcluster import probes
from localcluster.podspec import Probe

pytestmark = pytest.mark.wallclock


def probe(port: int, path: str = "/ready") -> Probe:
    return Probe(
        host="127.0.0.1", port=port, path=path, headers={"X-Probe": "yes"}, delay=0, period=1,
        timeout=0.3, successes=1, failures=1,
    )  # fmt: skip


@asynccontextmanager
async def answering(status: int, *, stuck: bool = False) -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        assert (request.path, request.headers["X-Probe"]) == ("/ready", "yes")
        if stuck:
            await asyncio.Event().wait()
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "why"),
    [(200, ""), (302, ""), (503, "answers 503"), (404, "answers 404")],
)
async def test_an_answer_is_judged_by_its_status(status: int, why: str) -> None:
    async with answering(status) as port, aiohttp.ClientSession() as session:
        said = await probes.check(session, probe(port))
        assert said.endswith(why)
        assert bool(said) == bool(why)


async def test_no_answer_in_time_is_no() -> None:
    async with answering(200, stuck=True) as port, aiohttp.ClientSession() as session:
        assert "within 0.3 s" in await probes.check(session, probe(port))


async def test_a_closed_port_is_no() -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with aiohttp.ClientSession() as session:
        assert f"127.0.0.1:{port}" in await probes.check(session, probe(port))
        assert await probes.check(session, probe(port, path=""))


async def test_a_connection_is_enough_without_a_path() -> None:
    closed = asyncio.Event()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, aiohttp.ClientSession() as session:
        port = server.sockets[0].getsockname()[1]
        assert await probes.check(session, probe(port, path="")) == ""
        await closed.wait()
