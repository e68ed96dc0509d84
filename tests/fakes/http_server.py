"""An HTTP server on loopback that gives every request to one function, with its body as it came."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiohttp import web

Take: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    take: Take,
    *,
    port: int = 0,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Serve on *port*, 0 for any that is free, and give the URL, which has no path.

    At the end, requests that are under way are cut off.
    """
    # Bodies stay as they came on the wire, compressed.
    runner = web.ServerRunner(
        web.Server(take, access_log=None, auto_decompress=False),
        handle_signals=False,
        shutdown_timeout=0.01,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        scheme = "http" if context is None else "https"
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
