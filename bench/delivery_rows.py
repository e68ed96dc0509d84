"""What delivery costs beside delivery without it: a buffer, a slow receiver, many destinations.

Each row is a ratio of two measurements of one run, so that the machine has no say in it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench import loads, processes, sending
from bench.rows import Bench, Measure, Row, admin

POINTS = 1000  # a request
PATIENCE = 60.0  # seconds without a point delivered
BACKLOG = 1 << 30  # bytes
FILL = 0.3  # seconds between two rounds of 27 MB
BYTES_PER_POINT = 135  # of an enriched request, about


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What so many points took."""

    cpu: float  # µs a point
    rate: float  # points a second
    rss_mb: float


def pipeline(name: str, output: dict[str, object], **more: object) -> dict[str, object]:
    inputs = {"otlp": {"namespaces": {"exclude": ["kube-system"]}}}
    return {"name": name, "inputs": inputs, "output": output, "queue_bytes": 1 << 30, **more}


def to_grpc(url: str) -> dict[str, object]:
    return {"otlp": {"endpoint": url, "compression": "none"}}


@dataclass(slots=True)
class Subject:
    """A gateway under measurement."""

    process: processes.Process
    url: str
    grpc: int

    async def ledgers(self) -> dict[str, dict[str, int]]:
        return (await processes.get(f"{self.url}/debug/ledger"))["pipelines"]

    async def settled(self, expected: int) -> None:
        """Wait until every pipeline has delivered *expected* points."""
        progress = (-1, time.monotonic())
        while True:
            ledgers = (await self.ledgers()).values()
            delivered = [ledger["delivered"] for ledger in ledgers]
            if min(delivered) >= expected and not any(ledger["held"] for ledger in ledgers):
                if any(ledger["balance"] or ledger["dropped"] for ledger in ledgers):
                    raise RuntimeError(f"not everything was delivered: {list(ledgers)}")
                return
            if sum(delivered) != progress[0]:
                progress = (sum(delivered), time.monotonic())
            elif time.monotonic() - progress[1] > PATIENCE:
                raise TimeoutError(f"expected {expected} points each, but: {list(ledgers)}")
            await asyncio.sleep(0.02)


@asynccontextmanager
async def gateway(bench: Bench, pipelines: list[dict[str, object]]) -> AsyncIterator[Subject]:
    grpc, http, at = processes.free_ports(3)
    document = {
        "listen": {"grpc": f"127.0.0.1:{grpc}", "http": f"127.0.0.1:{http}"},
        "admin": admin(at),
        "kubernetes": {"source": "none"},
        "limits": {"max_in_flight_bytes": 1 << 30},
        "pipelines": pipelines,
    }
    async with bench.program("gateway", document) as process:
        yield Subject(process, f"http://127.0.0.1:{at}", grpc)


async def cost(subject: Subject, points: int) -> Cost:
    """Warm shapes and lanes up, then send *points* as fast as they are taken."""
    senders = [loads.sender(n, POINTS) for n in range(loads.CLIENTS)]
    async with sending.over_grpc(subject.grpc) as send:

        async def rounds(count: int) -> None:
            for first in range(0, count, loads.CLIENTS):
                some = range(first, min(first + loads.CLIENTS, count))
                await send([senders[n % loads.CLIENTS].body(time.time_ns()) for n in some])

        warm = max(4 * loads.CLIENTS, points // POINTS // 4)
        await rounds(warm)
        await subject.settled(warm * POINTS)
        cpu, start = subject.process.cpu_ns(), time.perf_counter()
        await rounds(points // POINTS)
        await subject.settled((warm + points // POINTS) * POINTS)
        seconds, cpu = time.perf_counter() - start, subject.process.cpu_ns() - cpu
    total = points // POINTS * POINTS
    return Cost(
        cpu=cpu / total / 1000, rate=total / seconds, rss_mb=round(subject.process.rss_mb(), 1)
    )


def row(path: str, value: float, unit: str, measured: Cost) -> Row:
    return Row(
        path=path,
        value=round(value, 3),
        unit=unit,
        points_per_second=round(measured.rate),
        rss_mb=measured.rss_mb,
    )


def buffered_row(**settings: object) -> Measure:
    """CPU of a gateway with a buffer, in that of one without."""

    async def measure(bench: Bench, path: str) -> Row:
        points = int(2_000_000 * bench.scale)
        async with bench.other("light", "0", "0") as backend:
            output = to_grpc(backend["otlp_grpc"])
            async with gateway(bench, [pipeline("bench", output)]) as subject:
                without = await cost(subject, points)
            buffer = {"dir": str(bench.folder / path), **settings}
            async with gateway(bench, [pipeline("bench", output, buffer=buffer)]) as subject:
                kept = await cost(subject, points)
        return row(path, kept.cpu / without.cpu, "x CPU without", kept)

    return measure


def slow_row(*, milliseconds: int) -> Measure:
    """Time that remote write takes to a receiver that is slow to answer, in that to a quick one."""

    async def measure(bench: Bench, path: str) -> Row:
        found = []
        for delay in (0, milliseconds):
            async with bench.other("light", "0", str(delay)) as backend:
                output = {"remote_write": {"url": f"{backend['url']}/api/v1/write"}}
                async with gateway(bench, [pipeline("bench", output)]) as subject:
                    found.append(await cost(subject, int(6_000_000 * bench.scale)))
        return row(path, found[0].rate / found[1].rate, "x time of quick", found[1])

    return measure


def many_row(*, destinations: int) -> Measure:
    """CPU of a gateway with many destinations, in that of one with one."""

    async def measure(bench: Bench, path: str) -> Row:
        points = int(1_000_000 * bench.scale)
        found = []
        async with bench.other("light", "0", "0") as backend:
            output = to_grpc(backend["otlp_grpc"])
            for count in (1, destinations):
                pipelines = [pipeline(f"bench-{n}", output) for n in range(count)]
                async with gateway(bench, pipelines) as subject:
                    found.append(await cost(subject, points))
        return row(path, found[1].cpu / found[0].cpu, "x CPU of one", found[1])

    return measure


def backlog_row(*, order: str) -> Measure:
    """The live rate in the rate at which a backlog of 1 GiB drains meanwhile.

    Live is a quarter of what the same gateway, with the same buffer, carries through.
    """

    async def measure(bench: Bench, path: str) -> Row:
        (port,) = processes.free_ports(1)
        output = to_grpc(f"http://127.0.0.1:{port}")
        size = int(BACKLOG * bench.scale)
        buffer = {"dir": str(bench.folder / path), "max_bytes": 4 * size, "order": order}
        one = pipeline("bench", output, buffer=buffer, retry={"max_interval": 0.5})
        one["queue_bytes"] = 64 << 20
        async with bench.other("light", str(port), "0"), gateway(bench, [one]) as subject:
            able = await cost(subject, int(4_000_000 * bench.scale))
        async with gateway(bench, [one]) as subject:
            await fill(subject, size)
            async with bench.other("light", str(port), "0"):
                return await drain(subject, path, able.rate / 4)

    return measure


async def fill(subject: Subject, size: int) -> None:
    """Send a backlog of *size* bytes while nobody takes it."""
    senders = [loads.sender(n, POINTS) for n in range(loads.CLIENTS)]
    async with sending.over_grpc(subject.grpc) as send:
        held = 0
        while held * BYTES_PER_POINT < size:
            await send([each.body(time.time_ns()) for each in senders])
            await asyncio.sleep(FILL)  # a disk may take less than a gateway
            held = (await subject.ledgers())["bench"]["held"]


async def drain(subject: Subject, path: str, live: float) -> Row:
    """Send *live* points a second until the backlog is gone; compare with how fast that went."""
    senders = [loads.sender(n, POINTS) for n in range(loads.CLIENTS)]
    start = time.perf_counter()
    before = (await subject.ledgers())["bench"]
    sent = 0
    async with sending.over_grpc(subject.grpc) as send:
        while True:
            due = int((time.perf_counter() - start) * live / POINTS) - sent
            if due > 0:
                some = [senders[(sent + n) % loads.CLIENTS] for n in range(min(due, 64))]
                await send([each.body(time.time_ns()) for each in some])
                sent += len(some)
            else:
                await asyncio.sleep(0.005)
            ledger = (await subject.ledgers())["bench"] if sent % 16 == 0 else None
            # What came last is still on its way: as much as a second of it.
            if ledger and ledger["held"] <= live:
                break
    seconds = time.perf_counter() - start
    after = (await subject.ledgers())["bench"]
    rate = sent * POINTS / seconds
    drained = (after["delivered"] - before["delivered"] - sent * POINTS) / seconds
    await subject.settled(after["received"])
    if rate < 0.9 * live:
        why = f"{live:.0f} points a second were due, {rate:.0f} were taken, {drained:.0f} drained"
        raise RuntimeError(f"{path}: {why} in {seconds:.1f} s")
    measured = Cost(cpu=0.0, rate=drained, rss_mb=round(subject.process.rss_mb(), 1))
    return row(path, rate / drained, "live per drained", measured)
