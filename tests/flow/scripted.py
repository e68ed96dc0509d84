"""Targets that follow a script: each side that scrapes them goes through it at its own pace."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from bench import processes
from tests.fakes import http_server

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF: Final = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a target answers to one scrape."""

    body: bytes = b""
    content_type: str = TEXT
    status: int = 200
    cut: bool = False
    """More bytes are promised than come."""
    shuts: bool = False
    """Afterwards nobody listens, until `Door.reopen`; only of targets with doors of their own."""


@dataclass(slots=True, kw_only=True)
class Door:
    """A port for one side and one target, which can be shut."""

    port: int
    shut: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def reopen(self) -> None:
        """Listen again, on the same port."""
        self.opened.set()


@dataclass(slots=True, kw_only=True)
class Script:
    """The histories by target, and how far each side has come."""

    histories: Mapping[str, Sequence[Step]]
    address: str = ""
    """``host:port`` of all targets without doors of their own; the path is the target."""
    doors: dict[tuple[str, str], Door] = field(default_factory=dict)
    """By side and target."""
    served: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many steps, by side and target."""

    def behind(self, side: str) -> dict[str, int]:
        """Return the targets that *side* has not seen the end of, and the steps it has seen."""
        return {
            target: self.served[side, target]
            for target, steps in self.histories.items()
            if self.served[side, target] < len(steps)
        }

    def next(self, side: str, target: str) -> Step:
        """Return what *side* gets of *target* now; the last step stays."""
        steps = self.histories[target]
        at = self.served[side, target]
        self.served[side, target] += 1
        return steps[min(at, len(steps) - 1)]


@asynccontextmanager
async def serving(
    histories: Mapping[str, Sequence[Step]], sides: Mapping[str, str], *, doors: Sequence[str]
) -> AsyncIterator[Script]:
    """Serve *histories* to *sides*, which are known by how their User-Agent begins.

    The targets named by *doors* have ports of their own.
    """
    script = Script(histories=histories)

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        agent = request.headers.get("User-Agent", "")
        (side,) = [side for side, begins in sides.items() if agent.startswith(begins)]
        target = request.path.strip("/")
        step = script.next(side, target)
        if step.cut:
            assert request.transport is not None
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {step.content_type}\r\n"
            length = f"Content-Length: {len(step.body) + 1}\r\n\r\n"
            request.transport.write((head + length).encode() + step.body)
            request.transport.close()
        # A connection that is kept would still be there when the door is shut.
        kept = {"Connection": "close"} if target in doors else {}
        told = {"Content-Type": step.content_type} if step.content_type else {}
        answer = web.Response(status=step.status, body=step.body, headers={**told, **kept})
        if step.shuts:
            await answer.prepare(request)
            await answer.write_eof()
            script.doors[side, target].shut.set()
        return answer

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        url = await stack.enter_async_context(http_server.serving(take))
        script.address = url.removeprefix("http://")
        ports = iter(processes.free_ports(len(sides) * len(doors)))
        script.doors = {(s, target): Door(port=next(ports)) for s in sides for target in doors}
        keeping = [tasks.create_task(_keep(door, take)) for door in script.doors.values()]
        yield script
        for task in keeping:
            task.cancel()


async def _keep(door: Door, take: http_server.Take) -> None:
    """Listen at the door, go away when it is shut, and listen again."""
    while True:
        async with http_server.serving(take, port=door.port):
            await door.shut.wait()
        door.shut.clear()
        await door.opened.wait()
        door.opened.clear()
