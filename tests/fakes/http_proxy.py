"""A reverse proxy on loopback that knows what is under way: it delays, refuses, loses answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from tests.fakes import http_server

_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass(slots=True)
class Proxy:
    """A running proxy; everything but *url* may be changed while it runs."""

    url: str
    target: str  # ``http://host:port`` of who answers
    delay: Callable[[], float] = lambda: 0.0  # seconds before an answer is passed on
    closed: bool = False  # connections are closed before anything is passed on
    lose: int = 0  # so many of the next answers are thrown away, with their connections
    in_flight: int = 0
    most_in_flight: int = 0
    statuses: Counter[int] = field(default_factory=Counter)  # of the target's answers
    refusals: list[str] = field(default_factory=list)  # what it said with 4xx


@asynccontextmanager
async def proxying(target: str) -> AsyncIterator[Proxy]:
    """Serve on a free port of loopback, passing requests on as they came."""
    proxy = Proxy("", target)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def take(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.read()
            assert request.transport is not None
            if proxy.closed:
                request.transport.close()
                return web.Response()
            proxy.in_flight += 1
            proxy.most_in_flight = max(proxy.most_in_flight, proxy.in_flight)
            try:
                status, said = await pass_on(request, body)
                await asyncio.sleep(proxy.delay())
            finally:
                proxy.in_flight -= 1
            if proxy.lose:
                proxy.lose -= 1
                request.transport.close()
            return web.Response(status=status, body=said)

        async def pass_on(request: web.BaseRequest, body: bytes) -> tuple[int, bytes]:
            headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
            url = f"{proxy.target}{request.path_qs}"
            async with session.request(request.method, url, data=body, headers=headers) as answer:
                said = await answer.read()
            proxy.statuses[answer.status] += 1
            if 400 <= answer.status < 500:
                proxy.refusals.append(said.decode())
            return answer.status, said

        async with http_server.serving(take) as proxy.url:
            yield proxy
