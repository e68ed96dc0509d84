"""The door for people and probes: ``/livez``, ``/readyz``, ``/metrics`` and pages.

Pages are JSON; those with a face for people show it to browsers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import final

import msgspec
from aiohttp import web

from common.service import address, markup
from common.service.telemetry import CONTENT_TYPE, Telemetry

Check = Callable[[], tuple[bool, str]]
Page = Callable[[Mapping[str, str]], object | Awaitable[object]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """What a page returns that people read, too: only the face that is asked for is made.

    Browsers, which like HTML more than JSON, see *html*; tools, and ``?json``, have *plain*.
    """

    plain: Callable[[], object]
    html: Callable[[], markup.Html]


class NoSuchPage(LookupError):
    """A page that answers for several knows nothing of this one: 404."""


class BadQuery(ValueError):
    """A page does not understand its parameters; the message, for people, becomes a 400."""


@dataclass(slots=True)
class Readiness:
    """Named checks, each answering (ready, in words); turned off first when the process stops."""

    checks: dict[str, Check] = field(default_factory=dict)
    stopping: bool = False
    asides: Callable[[], Mapping[str, str]] = dict
    """Further words, by name, that decide nothing."""

    def report(self) -> tuple[bool, dict[str, str]]:
        """Return whether the process wants traffic, and what every check says."""
        results = {name: check() for name, check in self.checks.items()}
        words = {**{name: said for name, (_, said) in results.items()}, **self.asides()}
        if self.stopping:
            return False, {"stopping": "the process is draining", **words}
        return all(ok for ok, _ in results.values()), words


@asynccontextmanager
async def serving(
    listen: Iterable[str],
    *,
    readiness: Readiness,
    telemetry: Telemetry,
    pages: Mapping[str, Page],
) -> AsyncIterator[tuple[address.Address, ...]]:
    """Serve the same door on every address of *listen*; yields the addresses bound.

    A *page* takes the query parameters, and what its path has in braces, and returns plain values,
    sent as JSON, or :class:`Faces`; it may wait for them. It and its faces may raise
    :class:`BadQuery` or :class:`NoSuchPage`. Raises :class:`OSError` when an address cannot be
    bound.
    """
    app = web.Application(client_max_size=1 << 16)

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        ready, words = readiness.report()
        return web.json_response({"ready": ready, "checks": words}, status=200 if ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=telemetry.render(), headers={"Content-Type": CONTENT_TYPE})

    app.router.add_get("/livez", livez)
    app.router.add_get("/healthz", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    for path, page in pages.items():
        app.router.add_get(path, _json(page))
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        bound = []
        for where in dict.fromkeys(listen):
            host, port = address.parse(where)
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound.append(address.Address(host, runner.addresses[-1][1]))
        yield tuple(bound)


def encoded(page: object) -> bytes:
    """Return what a page says, as JSON for people."""
    return msgspec.json.format(msgspec.json.encode(page, enc_hook=str), indent=2)


def _json(page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        status = 200
        headers: Mapping[str, str] = {}
        try:
            said = page({**request.query, **request.match_info})
            found = await said if isinstance(said, Awaitable) else said
            if isinstance(found, Faces):
                headers = {"Vary": "Accept", "Cache-Control": "no-store"}
                if "json" not in request.query and _for_people(request):
                    return _html(found.html(), headers)
                found = found.plain()
        except NoSuchPage as error:
            raise web.HTTPNotFound(text=f"{error}\n") from error
        except BadQuery as error:
            found, status = {"error": str(error)}, 400
        return web.Response(
            body=encoded(found), status=status, content_type="application/json", headers=headers
        )

    return answer


def _for_people(request: web.Request) -> bool:
    return markup.prefers_html(request.headers.get("Accept", ""))


def _html(page: markup.Html, headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        text=page.document(), content_type="text/html", headers={**headers, **page.headers()}
    )
