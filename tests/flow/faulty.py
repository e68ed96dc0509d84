"""Backends that fail in the ways that backends fail, and know every point that they took.

One for OTLP over gRPC, for OTLP over HTTP and for remote write each, on loopback. What it does with
a request is said by its ``rule``, which may be changed at any time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from bench import processes
from bench.references.prompb import WriteRequest
from tests.flow import numbered
from tests.flow.acts import (
    FINE,
    INVALID,
    TOO_LARGE,
    UNAVAILABLE,
    Act,
    Agree,
    CutAnswer,
    CutRequest,
    Hang,
    Say,
    always,
)
from tests.flow.links import Grpc, Http, Link

__all__ = [
    "FINE",
    "INVALID",
    "TOO_LARGE",
    "UNAVAILABLE",
    "Act",
    "Agree",
    "CutAnswer",
    "CutRequest",
    "Hang",
    "Say",
    "always",
]

Kind = Literal["grpc", "http", "remote_write"]
KINDS: tuple[Kind, ...] = ("grpc", "http", "remote_write")


@dataclass(slots=True)
class Backend:
    """A running backend; it may be `shut` and `open`ed any number of times, on the same port."""

    kind: Kind
    port: int
    host: str = "127.0.0.1"
    rule: Callable[[int], Act] = FINE
    """What is done with the request of that number, counted from 0."""
    tls: ssl.SSLContext | None = None
    name: str = "127.0.0.1"  # in the URL
    taken: Counter[int] = field(default_factory=Counter)  # how often each number came
    refused: Counter[int] = field(default_factory=Counter)  # by a `Say` that is final
    order: dict[str, list[int]] = field(default_factory=dict)  # numbers as taken, by sender
    attempts: dict[int, list[float]] = field(default_factory=dict)
    """When requests came in full, on the loop's clock, by the first of their numbers."""
    max_points: int = (
        1 << 30
    )  # of a request; one that has more is too large, whatever the rule says
    too_large: int = 0  # requests that were
    requests: int = 0
    connections: int = 0  # made so far
    _server: asyncio.Server | None = None
    links: set[Link] = field(default_factory=set)  # connections that are open

    @property
    def output(self) -> dict[str, Any]:
        """The section of a pipeline that sends here."""
        scheme = "http" if self.tls is None else "https"
        url = f"{scheme}://{self.name}:{self.port}"
        if self.kind == "remote_write":
            return {"remote_write": {"url": f"{url}/api/v1/write"}}
        return {"otlp": {"endpoint": url, "protocol": self.kind, "compression": "none"}}

    @property
    def duplicates(self) -> int:
        return self.taken.total() - len(self.taken)

    def next(self) -> Act:
        """Count a request, and say what is done with it."""
        self.requests += 1
        return self.rule(self.requests - 1)

    def book(self, act: Act, body: bytes) -> Act:
        """Remember a request, and its points as far as *act* takes or refuses them for good.

        Returns what is done with it, now that its size is known.
        """
        read = self._read(body)
        if sum([len(found) for _, found in read]) > self.max_points:
            self.too_large += 1
            act = TOO_LARGE
        now = asyncio.get_running_loop().time()
        self.attempts.setdefault(min(found[0] for _, found in read), []).append(now)
        for sender, found in read:
            if isinstance(act, Agree | CutAnswer):
                self.taken.update(found)
                self.order.setdefault(sender, []).extend(found)
            elif act == INVALID:
                self.refused.update(found)
        return act

    def _read(self, body: bytes) -> list[tuple[str, list[int]]]:
        if self.kind != "remote_write":
            return [
                (_instance(frame.resource), numbered.numbers(_alone(frame)))
                for frame in numbered.Request.FromString(body).resource_metrics
            ]
        return [
            (labels["instance"], [int(sample.value) for sample in series.samples])
            for series in WriteRequest.FromString(body).timeseries
            for labels in ({label.name: label.value for label in series.labels},)
            if labels["__name__"] != "target_info"
        ]

    async def open(self) -> None:
        """Listen, and take connections."""
        link = Grpc if self.kind == "grpc" else Http
        self._server = await asyncio.get_running_loop().create_server(
            lambda: link(self), self.host, self.port, ssl=self.tls
        )

    async def shut(self) -> None:
        """Break all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            for link in list(self.links):
                link.transport.abort()
            await self._server.wait_closed()
            self._server = None


def _instance(resource: Any) -> str:
    found = {each.key: each.value.string_value for each in resource.attributes}
    return found["service.instance.id"]


def _alone(frame: Any) -> bytes:
    return numbered.Request(resource_metrics=[frame]).SerializeToString()


@asynccontextmanager
async def serving(kind: Kind, **more: Any) -> AsyncIterator[Backend]:
    """Run a backend on a free port of loopback."""
    (port,) = processes.free_ports(1)
    backend = Backend(kind, port, **more)
    await backend.open()
    try:
        yield backend
    finally:
        await backend.shut()
