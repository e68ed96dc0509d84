"""Secrets in files change while a gateway runs: what is sent from then on has the new ones."""

import asyncio
import base64
import itertools
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web

from bench import processes
from tests.fakes import backends, http_server, points
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(90)]

OLD, NEW = "first-secret-0f8a", "second-secret-71c3"


@asynccontextmanager
async def serving(answer: Callable[[web.BaseRequest, bytes], web.Response]):
    """Serve what *answer* makes of each request and its body; yields the URL."""

    async def take(request: web.BaseRequest) -> web.Response:
        return answer(request, await request.read())

    async with http_server.serving(take) as url:
        yield url


class Seen:
    """A backend over HTTP that takes what has the right authorization, and remembers all of it."""

    def __init__(self, right: Callable[[str], bool] = bool) -> None:
        self.right = right
        self.shown: list[str] = []

    def answer(self, request: web.BaseRequest, _: bytes) -> web.Response:
        shown = request.headers.get("x-key") or request.headers.get("authorization", "")
        self.shown.append(shown)
        return web.Response(status=200 if self.right(shown) else 503)


def replace(file: Path, text: str) -> None:
    """Put *text* there at once, as a mounted Secret does."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{text}\n")
    fresh.replace(file)


async def push(gateway: programs.Gateway, session: aiohttp.ClientSession, number: int = 0) -> None:
    kind = {"content-type": "application/x-protobuf"}
    url = f"{gateway.http}/v1/metrics"
    body = points.request([1.0], name=f"m{number}")
    async with session.post(url, data=body, headers=kind) as answer:
        assert answer.status == 200


async def nothing_tells(folder: Path, gateway: programs.Gateway) -> None:
    """Look for secrets wherever people look."""
    pages = ["metrics", "debug/pipelines", "debug/ledger", "readyz"]
    texts = [
        await asyncio.to_thread(processes.fetch_text, f"{gateway.admin}/{page}") for page in pages
    ]
    texts.append((folder / "gateway.log").read_text())
    for text in texts:
        for secret in (OLD, NEW, basic(OLD), basic(NEW)):
            assert secret not in text


def basic(secret: str) -> str:
    return base64.b64encode(f"me:{secret}".encode()).decode()


async def test_every_way_to_prove_ourselves_follows_its_file_under_load(tmp_path) -> None:
    secret = tmp_path / "secret"
    replace(secret, OLD)
    reference = f"${{file:{secret}}}"
    asked: list[str] = []
    number = itertools.count()
    seen = {name: Seen() for name in ("header", "bearer", "basic", "oauth2")}

    def token(request: web.BaseRequest, body: bytes) -> web.Response:
        form = parse_qs(body.decode())
        assert form["grant_type"] == ["client_credentials"]
        assert form["scope"] == ["metrics.write"]
        code = request.headers["authorization"].removeprefix("Basic ")
        asked.append(base64.b64decode(code).decode())
        return web.json_response({
            "access_token": f"token-{len(asked)}", "token_type": "Bearer", "expires_in": 3600,
        })  # fmt: skip

    async with AsyncExitStack() as stack:
        urls = {
            name: await stack.enter_async_context(serving(backend.answer))
            for name, backend in seen.items()
        }
        token_url = await stack.enter_async_context(serving(token))
        grpc = await stack.enter_async_context(backends.otlp_grpc())
        oauth2 = {
            "token_url": token_url,
            "client_id": "me",
            "client_secret": reference,
            "scopes": ["metrics.write"],
        }
        http = {"protocol": "http"}
        outputs = {
            "grpc": {"otlp": {"endpoint": grpc.url, "auth": {"bearer_token": reference}}},
            "header": {
                "otlp": {**http, "endpoint": urls["header"], "headers": {"X-Key": reference}}
            },
            "bearer": {
                "otlp": {**http, "endpoint": urls["bearer"], "auth": {"bearer_token": reference}}
            },
            "basic": {
                "remote_write": {
                    "url": urls["basic"],
                    "auth": {"basic": {"username": "me", "password": reference}},
                }
            },
            "oauth2": {"otlp": {**http, "endpoint": urls["oauth2"], "auth": {"oauth2": oauth2}}},
        }
        pipelines = [
            {"name": name, "output": output, "batch": {"linger": 0.02}}
            for name, output in outputs.items()
        ]
        gateway = await stack.enter_async_context(
            programs.gateway(tmp_path, {"pipelines": pipelines})
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())

        def shown() -> dict[str, list[str]]:
            found = {name: backend.shown for name, backend in seen.items()}
            return {**found, "grpc": [r.headers["authorization"] for r in grpc.received]}

        def expected(word: str, number: int) -> dict[str, str]:
            return {
                "header": word,
                "bearer": f"Bearer {word}",
                "grpc": f"Bearer {word}",
                "basic": f"Basic {basic(word)}",
                "oauth2": f"Bearer token-{number}",
            }

        async def all_show(what: dict[str, str]) -> bool:
            await push(gateway, session, next(number))
            return all(found[-1:] == [what[name]] for name, found in shown().items())

        await programs.until(lambda: all_show(expected(OLD, 1)), "all have the first secret")
        replace(secret, NEW)
        await programs.until(lambda: all_show(expected(NEW, 2)), "all have the second secret")
        for name, found in shown().items():
            # Nothing is sent with the former once there was the other, and nothing without one.
            order = list(dict.fromkeys(found))
            assert order == [expected(OLD, 1)[name], expected(NEW, 2)[name]]
            assert found == sorted(found, key=order.index)
        assert asked == [f"me:{OLD}", f"me:{NEW}"]
        await nothing_tells(tmp_path, gateway)
        for name in outputs:
            ledger = await gateway.ledger(name)
            assert ledger["dropped"] == 0, name
        metrics = await programs.metrics(gateway)
        counted = 'headgate_gateway_destination_tokens_total{outcome="ok",pipeline="oauth2"}'
        assert metrics[counted] == 2


async def test_what_waits_already_is_repeated_with_the_new_secret(tmp_path) -> None:
    secret = tmp_path / "secret"
    replace(secret, OLD)
    seen = Seen(right=lambda shown: shown == f"Bearer {NEW}")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(seen.answer))
        output = {"url": url, "auth": {"bearer_token": f"${{file:{secret}}}"}}
        pipeline = {
            "name": "p",
            "output": {"remote_write": output},
            "batch": {"linger": 0.02},
            "retry": {"initial": 0.1, "max_interval": 0.3},
        }
        gateway = await stack.enter_async_context(
            programs.gateway(tmp_path, {"pipelines": [pipeline]})
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await push(gateway, session)

        async def tried() -> bool:
            return len(seen.shown) >= 2

        await programs.until(tried, "it was tried with the first secret")
        replace(secret, NEW)

        async def delivered() -> bool:
            return (await gateway.ledger("p"))["delivered"] == 1

        await programs.until(delivered, "it is delivered with the second secret")
        assert set(seen.shown[:-1]) == {f"Bearer {OLD}"}
        assert seen.shown[-1] == f"Bearer {NEW}"
        await nothing_tells(tmp_path, gateway)
