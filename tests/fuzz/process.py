"""A gateway under fire: a real process with small limits, backends that agree, and what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cramjam
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from bench import processes
from tests.fuzz.templates import LIMIT

READ_TIMEOUT = 1.0  # seconds; what a slow client gets
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"


class _Backend(asyncio.Protocol):
    """Takes OTLP over HTTP and remote write, and counts the points of the former."""

    def __init__(self, arrived: Arrived) -> None:
        self._arrived = arrived
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end]).lower()
            size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(self._buffer) < end + 4 + size:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + size])
            del self._buffer[: end + 4 + size]
            if head.startswith(b"post /v1/metrics"):
                self._arrived.otlp(body)
            else:
                self._arrived.series_bytes += len(cramjam.snappy.decompress_raw(body))
            self._transport.write(_ANSWER)


@dataclass(slots=True)
class Arrived:
    """What came at the backends."""

    points: int = 0
    series_bytes: int = 0

    def otlp(self, body: bytes) -> None:
        for frame in Request.FromString(body).resource_metrics:
            for scope in frame.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    self.points += len(getattr(metric, kind).data_points) if kind else 0


@dataclass(slots=True)
class Victim:
    """The gateway under test, seen from outside."""

    process: processes.Process
    grpc: int  # port
    http: int  # port
    admin: str
    log: Path
    arrived: Arrived
    door: str  # of gRPC
    rss_mb: list[float] = field(default_factory=list)

    def alive(self) -> bool:
        return self.process.child.returncode is None

    def look(self) -> float:
        """Note and return the memory now, in MB; of a process that has ended, what it was last."""
        if self.alive():
            with suppress(OSError, RuntimeError):  # it may end while we look
                self.rss_mb.append(self.process.rss_mb())
        return self.rss_mb[-1]

    async def metrics(self) -> dict[str, float]:
        """Return all own metrics by name with labels."""
        text = await asyncio.to_thread(processes.fetch_text, f"{self.admin}/metrics")
        lines = (line.rpartition(" ") for line in text.splitlines() if line[:1] != "#")
        return {name: float(value) for name, _, value in lines if name}

    async def total(self, name: str, **labels: str) -> float:
        """Return the sum of the metric *name* over all series that have *labels*."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(
            value
            for series, value in (await self.metrics()).items()
            if series.partition("{")[0] == name and all(w in series for w in wanted)
        )

    async def ledgers(self) -> dict[str, Any]:
        found: Any = await processes.get(f"{self.admin}/debug/ledger")
        return found

    async def settled(self, within: float) -> tuple[dict[str, Any], float]:
        """Wait until nothing is in flight or held; return the ledgers and the bytes in flight."""
        end = asyncio.get_running_loop().time() + within
        while True:
            ledgers = await self.ledgers()
            in_flight = await self.total("headgate_gateway_in_flight_bytes")
            held = sum(each["held"] for each in ledgers["pipelines"].values())
            if not (held or in_flight) or asyncio.get_running_loop().time() > end:
                return ledgers, in_flight
            await asyncio.sleep(0.1)

    def complaints(self) -> list[str]:
        """Return lines of the log that must never be there."""
        bad = ("BUG", "Traceback", '"level":"error"', '"level": "error"', "Exception")
        lines = self.log.read_text(errors="replace").splitlines()
        return [
            line[:3000]
            for line in lines
            if any(word in line for word in bad) and "points lost" not in line
        ]


def document(
    at: Mapping[str, str], door: str, listen: Mapping[str, Any], **limits: Any
) -> dict[str, Any]:
    """Return a configuration with small limits; *at* names addresses of doors, pages, backend."""
    common = {
        "batch": {"linger": 0.05, "max_bytes": 1 << 20},
        "retry": {"initial": 0.1, "max_interval": 0.5, "max_age": 30},
        "queue_bytes": 8 << 20,
    }
    return {
        "listen": {"grpc": at["grpc"], "http": at["http"], "grpc_door": door, **listen},
        "admin": {"health": at["admin"], "metrics": at["admin"]},
        "kubernetes": {"source": "none"},
        "limits": {
            "max_request_bytes": LIMIT,
            "max_in_flight_bytes": 8 << 20,
            "max_connections": 512,
            "read_timeout": READ_TIMEOUT,
            "header_timeout": READ_TIMEOUT,
            "idle_timeout": 5,
            "layout_memo_bytes": 1 << 20,
            "enrichment_memo_bytes": 1 << 20,
            **limits,
        },
        "pipelines": [
            {
                "name": "otlp",
                "output": {
                    "otlp": {
                        "endpoint": at["backend"],
                        "protocol": "http",
                        "compression": "none",
                    }
                },
                **common,
            },
            {
                "name": "write",
                "output": {"remote_write": {"url": f"{at['backend']}/api/v1/write"}},
                **common,
            },
        ],
        "grace": 10,
    }


@asynccontextmanager
async def backend() -> AsyncIterator[tuple[str, Arrived]]:
    """Serve a backend on loopback that takes everything; yields its URL and its account."""
    arrived = Arrived()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Backend(arrived), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", arrived
    finally:
        server.close()


@asynccontextmanager
async def gateway(
    folder: Path, door: str, *, listen: Mapping[str, Any] | None = None, **limits: Any
) -> AsyncIterator[Victim]:
    """Run a gateway whose gRPC door is *door*; raises at the end if it does not exit with 0.

    *listen* is more of the section of that name, *limits* of that.
    """
    grpc, http, admin = processes.free_ports(3)
    at = {"grpc": grpc, "http": http, "admin": admin}
    at = {name: f"127.0.0.1:{port}" for name, port in at.items()}
    config, log = folder / "gateway.yaml", folder / "gateway.log"
    arguments = ("-m", "cli.main", "gateway", "--config", str(config))
    async with backend() as (url, arrived):
        config.write_text(
            json.dumps(document({**at, "backend": url}, door, listen or {}, **limits))
        )
        async with processes.running(*arguments, errors=log) as process:
            await processes.until_ready(f"http://{at['admin']}/readyz")
            yield Victim(process, grpc, http, f"http://{at['admin']}", log, arrived, door)


def doors() -> tuple[str, ...]:
    """Return the gRPC doors that this tree has."""
    from importlib.util import find_spec

    return ("grpcio", "lean") if find_spec("gateway.receivers.grpc_lean") else ("grpcio",)
