"""The door of a kubelet behind which ``/stats/summary`` is, in plain HTTP on the node's address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from localcluster import procfs, summary
from localcluster.kinds import Object


@asynccontextmanager
async def serving(
    node: str,
    host: str,
    port: int,
    *,
    pods: Callable[[], list[Object]],
    timestamp: Callable[[], str],
    token: str = "",
) -> AsyncIterator[str]:
    """Tell what the *pods* of *node* use, and yield the URL; 0 is any *port* that is free.

    Whoever asks must show *token*, if there is one. Rates are since the question before. Raises
    ``OSError`` when the port is taken.
    """
    loop = asyncio.get_running_loop()
    started = timestamp()
    before = await asyncio.to_thread(procfs.sample, loop.time())

    async def answer(request: web.Request) -> web.Response:
        nonlocal before
        if token and request.headers.get("Authorization") != f"Bearer {token}":
            return web.Response(status=401, text="Unauthorized")
        now = await asyncio.to_thread(procfs.sample, loop.time())
        told = summary.build(node, pods(), now, before, started=started, time=timestamp())
        before = now
        return web.json_response(told)

    app = web.Application()
    app.router.add_get("/stats/summary", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
