"""Points that can be told apart, sent through both doors; which of them were acknowledged is known.

Every point is a number of its own, so what arrives can be compared with what was acknowledged.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from common.exporters import answers
from tests.fuzz import grpc_cases, grpc_link, http2_link, http2_wire as h2
from tests.fuzz.grpc_cases import GrpcCase

Door = Literal["grpc", "http"]
DOORS: tuple[Door, ...] = ("grpc", "http")
WITHIN = 10.0  # seconds for an answer, however busy the machine
EPOCH = 1_700_000_000_000  # milliseconds; the time of the number 0


@dataclass(frozen=True, slots=True)
class Said:
    """What a door answered: *outcome* is OK, another status, or why there was none."""

    outcome: str
    after: float | None = None  # seconds, of a RetryInfo or a Retry-After

    @property
    def fine(self) -> bool:
        return self.outcome in {"OK", "200"}


Ask = Callable[[bytes], Awaitable[Said]]


class Lost(Exception):
    """The connection ended without an answer."""


def request(numbers: range, sender: str, width: int = 0) -> bytes:
    """Encode a point for each of *numbers*, a millisecond apart, in one series of *sender*.

    With *width* each has an attribute of about so many bytes, which no compression makes smaller.
    """
    message = Request()
    frame = message.resource_metrics.add()
    for key, value in (("service.name", "numbered"), ("service.instance.id", sender)):
        frame.resource.attributes.add(key=key).value.string_value = value
    data = frame.scope_metrics.add().metrics.add(name="n").gauge.data_points
    for number in numbers:
        point = data.add(time_unix_nano=(EPOCH + number) * 10**6, as_double=number)
        if width:
            filler = random.Random(number).randbytes(width // 2).hex()
            point.attributes.add(key="filler").value.string_value = filler
    return message.SerializeToString()


def numbers(body: bytes) -> list[int]:
    """Return the numbers in an OTLP request."""
    return [
        int(point.as_double)
        for frame in Request.FromString(body).resource_metrics
        for scope in frame.scope_metrics
        for metric in scope.metrics
        for point in metric.gauge.data_points
    ]


@dataclass(slots=True)
class Account:
    """What was sent, and what the senders were told of it."""

    acknowledged: dict[int, float] = field(default_factory=dict)
    """When each number was, on the loop's clock."""
    seconds: list[float] = field(default_factory=list)  # that each acknowledgement took
    outcomes: Counter[str] = field(default_factory=Counter)
    waits: list[float | None] = field(default_factory=list)  # that refusals asked for
    sent: int = 0

    def take(self, points: int) -> range:
        """Return numbers that nobody has had."""
        first = self.sent + 1
        self.sent += points
        return range(first, first + points)

    async def send(self, ask: Ask, sender: str, points: int = 5, width: int = 0) -> Said:
        """Send a request of new numbers; raises `Lost` if there was no answer."""
        loop = asyncio.get_running_loop()
        mine = self.take(points)
        body = request(mine, sender, width)
        begun = loop.time()
        try:
            said = await ask(body)
        except Lost:
            self.outcomes["lost"] += 1
            raise
        now = loop.time()
        self.outcomes[said.outcome] += 1
        if said.fine:
            self.acknowledged.update(dict.fromkeys(mine, now))
            self.seconds.append(now - begun)
        else:
            self.waits.append(said.after)
        return said


@asynccontextmanager
async def asking(door: Door, port: int) -> AsyncIterator[Ask]:
    """Yield a function that sends one request after the other; raises `Lost` without a server."""
    async with (_over_grpc if door == "grpc" else _over_http)(port) as ask:
        yield ask


@asynccontextmanager
async def _over_grpc(port: int) -> AsyncIterator[Ask]:
    try:
        link = await http2_link.connect(port, "127.0.0.1", bound=WITHIN)
    except OSError as error:
        raise Lost from error

    async def ask(body: bytes) -> Said:
        case = GrpcCase(name="", pieces=grpc_cases.call(h2.message(body)), right=frozenset())
        if link.broken or link.goaway:
            raise Lost(link.goaway)
        ((_, outcome, stream),), _ = await grpc_link.run(link, [case], random.Random(0), WITHIN)
        if outcome not in h2.STATUSES:
            raise Lost(outcome)
        details = stream.fields.get(b"grpc-status-details-bin")
        return Said(outcome, None if details is None else answers.retry_info(_base64(details)))

    try:
        yield ask
    finally:
        link.transport.abort()


def _base64(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))


@asynccontextmanager
async def _over_http(port: int) -> AsyncIterator[Ask]:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise Lost from error

    async def ask(body: bytes) -> Said:
        head = (
            "POST /v1/metrics HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/x-protobuf\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(WITHIN):
                writer.write(head.encode() + body)
                said = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                fields = dict(line.split(": ", 1) for line in said.split("\r\n")[1:-2])
                await reader.readexactly(int(fields["content-length"]))
        except (OSError, EOFError, TimeoutError) as error:
            raise Lost from error
        after = fields.get("retry-after")
        return Said(said.split()[1], None if after is None else float(after))

    try:
        yield ask
    finally:
        writer.transport.abort()


class Load:
    """Senders at both doors, for as long as the block runs; each sends again and again.

    Who loses its connection makes another; what was sent without an answer is not sent again.
    """

    def __init__(
        self,
        ports: dict[Door, int],
        account: Account,
        *,
        lanes: int = 2,
        pause: float = 0.005,
        points: int = 5,
        width: int = 0,
    ) -> None:
        self._ports, self.account = ports, account
        self._lanes, self._pause, self._points, self._width = lanes, pause, points, width
        self._done = asyncio.Event()

    async def _lane(self, door: Door, name: str) -> None:
        while not self._done.is_set():
            with suppress(Lost):  # counted where it happened
                async with asking(door, self._ports[door]) as ask:
                    while not self._done.is_set():
                        await self.account.send(ask, name, self._points, self._width)
                        await self._rest()
            await self._rest()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._done.wait()

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Account]:
        async with asyncio.TaskGroup() as tasks:
            for door in DOORS:
                for lane in range(self._lanes):
                    tasks.create_task(self._lane(door, f"{door}-{lane}"))
            try:
                yield self.account
            finally:
                self._done.set()
