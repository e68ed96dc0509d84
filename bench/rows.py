"""How each row of the cost model is measured, whole-process, with arrivals checked."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import loads, processes, sending

FRAMES = ("headgate_gateway_frames_recognised_total", "headgate_gateway_frames_parsed_total")
PATIENCE = 30.0  # seconds without a point delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: its path in the cost model, value with unit, and what else was seen."""

    path: str
    value: float
    unit: str
    points_per_second: float | None
    rss_mb: float
    recognised: float | None = None
    """Of frames, or scrapes, those whose shape was known: 0 to 1."""


Measure = Callable[["Bench", str], Awaitable[Row]]


class Bench:
    """A folder for configurations and the errors of the processes."""

    def __init__(self, folder: Path, scale: float) -> None:
        self.folder, self.scale = folder, scale
        self.errors = folder / "errors.txt"

    @asynccontextmanager
    async def other(self, *arguments: str) -> AsyncIterator[dict[str, str]]:
        """Run one of `bench.others`; yields what it told about itself."""
        async with processes.running(
            "-m", "bench.others", *arguments, errors=self.errors
        ) as process:
            line = await process.child.stdout.readline()
            yield json.loads(line)

    @asynccontextmanager
    async def program(
        self, name: str, document: dict[str, object]
    ) -> AsyncIterator[processes.Process]:
        """Run ``headgate name`` with *document* until it is ready."""
        config = self.folder / f"{name}.yaml"
        config.write_text(json.dumps({"log_level": "error", **document}))
        arguments = ("-m", "cli.main", name, "--config", str(config))
        async with processes.running(*arguments, errors=self.errors) as process:
            await processes.until_ready(f"http://{document['admin']['health']}/readyz")
            yield process


def admin(port: int) -> dict[str, str]:
    return {"health": f"127.0.0.1:{port}", "metrics": f"127.0.0.1:{port}"}


async def settled(url: str, expected: int) -> dict[str, int]:
    """Wait until the ledger at *url* holds nothing and has received *expected* points."""
    progress = (-1, time.monotonic())
    while True:
        (ledger,) = (await processes.get(f"{url}/debug/ledger"))["pipelines"].values()
        if ledger["received"] >= expected and ledger["held"] == 0:
            return ledger
        if ledger["delivered"] != progress[0]:
            progress = (ledger["delivered"], time.monotonic())
        elif time.monotonic() - progress[1] > PATIENCE:
            raise TimeoutError(f"expected {expected} points, but it stands still at {ledger}")
        await asyncio.sleep(0.05)


def gateway_row(*, door: str, output: str, points: int, fresh: bool = False) -> Measure:
    """Make the measurement of a gateway row: *door* grpc|http in, *output* otlp|write out."""

    async def measure(bench: Bench, path: str) -> Row:
        grpc_port, http_port, admin_port = processes.free_ports(3)
        async with bench.other("backend") as backend:
            target = (
                {"otlp": {"endpoint": backend["otlp_grpc"], "compression": "none"}}
                if output == "otlp"
                else {"remote_write": {"url": backend["remote_write"]}}
            )
            inputs = {"otlp": {"namespaces": {"exclude": ["kube-system"]}}}
            document = {
                "listen": {"grpc": f"127.0.0.1:{grpc_port}", "http": f"127.0.0.1:{http_port}"},
                "admin": admin(admin_port),
                "pipelines": [
                    {"name": "bench", "inputs": inputs, "output": target, "queue_bytes": 1 << 30}
                ],
            }
            async with bench.other("kubernetes", "1000") as api:
                kubeconfig = bench.folder / "kubeconfig"
                kubeconfig.write_text(json.dumps(kubeconfig_of(api["url"])))
                document["kubernetes"] = {"source": "kubeconfig", "kubeconfig": str(kubeconfig)}
                async with bench.program("gateway", document) as gateway:
                    port = grpc_port if door == "grpc" else http_port
                    send = sending.over_grpc if door == "grpc" else sending.over_http
                    requests = int(
                        bench.scale
                        * (400_000 if fresh else 2_000_000 if points >= 1000 else 500_000)
                        / points
                    )
                    async with send(port) as sender:
                        load = Load(points=points, requests=requests, fresh=fresh)
                        url = f"http://127.0.0.1:{admin_port}"
                        row = await drive(path, gateway, sender, url, load)
            (arrived,) = (await processes.get(f"{backend['url']}/arrived")).values()
            sent = requests * points + (0 if fresh else 4 * loads.CLIENTS * points)
            if arrived != sent:
                raise RuntimeError(f"{path}: {sent} points were sent, {arrived} arrived")
        return row

    return measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many requests of so many points; *fresh*: each of a shape never seen before."""

    points: int
    requests: int
    fresh: bool


async def drive(
    path: str, gateway: processes.Process, send: sending.Send, url: str, load: Load
) -> Row:
    """Warm the shapes up, then send the load and account for it."""
    points, requests, fresh = load.points, load.requests, load.fresh
    if fresh:
        bodies = (
            loads.sender(n, points, seed=f"{n:06}").body(time.time_ns()) for n in range(requests)
        )
        ready, warm = list(bodies), 0
    else:
        senders = [loads.sender(n, points) for n in range(loads.CLIENTS)]
        for _ in range(4):
            await send([s.body(time.time_ns()) for s in senders])
        warm = 4 * loads.CLIENTS * points
        await settled(url, warm)
    shapes = await counters(url, *FRAMES)
    cpu, start = gateway.cpu_ns(), time.perf_counter()
    if fresh:
        await send(ready)
    else:
        for first in range(0, requests, loads.CLIENTS):
            some = range(first, min(first + loads.CLIENTS, requests))
            await send([senders[n % loads.CLIENTS].body(time.time_ns()) for n in some])
    ledger = await settled(url, warm + requests * points)
    seconds, cpu = time.perf_counter() - start, gateway.cpu_ns() - cpu
    if ledger["delivered"] != warm + requests * points:
        raise RuntimeError(f"{path}: not everything was delivered: {ledger}")
    known, new = (
        after - before for after, before in zip(await counters(url, *FRAMES), shapes, strict=True)
    )
    total = requests * points
    return Row(
        path=path,
        value=round(cpu / total / 1000, 3),
        unit="µs CPU per point",
        points_per_second=round(total / seconds),
        rss_mb=round(gateway.rss_mb(), 1),
        recognised=round(known / (known + new), 3),
    )


async def counters(url: str, *names: str) -> list[float]:
    """Return own metrics of the program at *url*, summed over their labels."""
    text = await asyncio.to_thread(processes.fetch_text, f"{url}/metrics")
    samples = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return [
        sum(float(value) for series, _, value in samples if series.partition("{")[0] == name)
        for name in names
    ]


def pods_row(*, memory: bool) -> Measure:
    """Make the measurement of a gateway that knows 10,000 pods, beside one that knows none."""

    async def measure(bench: Bench, path: str) -> Row:
        idle = await one_gateway(bench, {"source": "none"}, 0)
        async with bench.other("kubernetes", "10000") as api:
            kubeconfig = bench.folder / "kubeconfig"
            kubeconfig.write_text(json.dumps(kubeconfig_of(api["url"])))
            full = await one_gateway(
                bench, {"source": "kubeconfig", "kubeconfig": str(kubeconfig)}, 10_000
            )
        return Row(
            path=path,
            value=full[1] if memory else round((full[0] - idle[0]) / 1e9, 3),
            unit="MB" if memory else "s CPU",
            points_per_second=None,
            rss_mb=full[1],
        )

    return measure


async def one_gateway(bench: Bench, kubernetes: dict[str, str], pods: int) -> tuple[int, float]:
    """Start a gateway, wait until it knows its pods; return its CPU nanoseconds and RSS in MB."""
    ports = processes.free_ports(3)
    document = {
        "listen": {"grpc": f"127.0.0.1:{ports[0]}", "http": f"127.0.0.1:{ports[1]}"},
        "admin": admin(ports[2]),
        "kubernetes": kubernetes,
    }
    async with bench.program("gateway", document) as gateway:
        end = time.monotonic() + 30
        while pods:
            ready = await processes.get(f"http://127.0.0.1:{ports[2]}/readyz")
            if f"{pods} pods" in json.dumps(ready).replace(",", ""):
                break
            if time.monotonic() > end:
                raise TimeoutError(f"{pods} pods are not known: {ready}")
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        return gateway.cpu_ns(), round(gateway.rss_mb(), 1)


def kubeconfig_of(url: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": {"server": url}}],
        "users": [{"name": "bench", "user": {}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    }
