"""A scripted API server: one answer per request, for the faults that a real one is slow to show."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One HTTP answer, ``after`` something happened.

    ``hang`` keeps the connection open after the body, ``cut`` breaks it off.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: bool = False
    after: asyncio.Event | None = None


@dataclass
class FakeKubernetes:
    url: str = ""
    answers: deque[Answer] = field(default_factory=deque)
    rule: Callable[[web.Request], Answer] | None = None
    path: str = ""  # if given, only this is scripted; other collections stay empty
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def script(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        if self.rule is not None:
            answer = self.rule(request)
        elif self.path not in {"", request.path}:
            answer = Answer(hang=True) if "watch" in request.query else page()
        else:
            answer = self.answers.popleft() if self.answers else Answer(hang=True)
        if answer.after is not None:
            await answer.after.wait()
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        if answer.body:
            await response.write(answer.body)
        if answer.cut and request.transport is not None:
            request.transport.abort()
        elif answer.hang:
            await asyncio.Event().wait()
        return response


def page(*items: object, version: str = "1", next_page: str = "") -> Answer:
    metadata = {"resourceVersion": version, "continue": next_page}
    return Answer(body=msgspec.json.encode({"metadata": metadata, "items": items}))


def events(*pairs: tuple[str, object], hang: bool = False, cut: bool = False) -> Answer:
    lines = [msgspec.json.encode({"type": verb, "object": item}) + b"\n" for verb, item in pairs]
    return Answer(body=b"".join(lines), hang=hang, cut=cut)


def bookmark(version: str) -> tuple[str, object]:
    return "BOOKMARK", {"metadata": {"resourceVersion": version}}


def refusal(status: int, reason: str, message: str, **headers: str) -> Answer:
    body = msgspec.json.encode({"code": status, "reason": reason, "message": message})
    return Answer(
        status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def pod(name: str, *, version: str = "1", **status: object) -> dict[str, object]:
    metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": version}
    return {
        "metadata": metadata,
        "spec": {"nodeName": "n"},
        "status": {"phase": "Running", **status},
    }


@asynccontextmanager
async def serving(
    rule: Callable[[web.Request], Answer] | None = None, *, path: str = ""
) -> AsyncIterator[FakeKubernetes]:
    """Serve what is scripted in order, for *path* or for all, or what *rule* answers."""
    fake = FakeKubernetes(rule=rule, path=path)
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
