"""What a data point costs, whole processes over loopback: the rows of the cost model.

CPU time is the operating system's (user and system, all threads) of the process under test alone,
from the first request of the measured part until everything is delivered; what arrived is counted
by the backend, and a row that lost a point fails. Run with ``make throughput`` (``ARGS=--json``
for one list of objects as the last line, ``ARGS='--only gateway-otlp'`` for some rows).
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import grpc

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import loads, processes

METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
CHANNELS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: its path in the cost model, value with unit, and what else was seen."""

    path: str
    value: float
    unit: str
    points_per_second: float | None
    rss_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the cost model asks of a row."""

    limit: float
    unit: str
    measure: Callable[["Bench", str], Awaitable[Row]]


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
    end = time.monotonic() + 60
    while True:
        (ledger,) = (await processes.get(f"{url}/debug/ledger"))["pipelines"].values()
        if ledger["received"] >= expected and ledger["held"] == 0:
            return ledger
        if time.monotonic() > end:
            raise TimeoutError(f"expected {expected} points, the ledger says {ledger}")
        await asyncio.sleep(0.05)


def gateway_row(
    *, door: str, output: str, points: int, fresh: bool = False
) -> Callable[["Bench", str], Awaitable[Row]]:
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
                    send = sending_grpc if door == "grpc" else sending_http
                    requests = int(
                        bench.scale
                        * (400_000 if fresh else 2_000_000 if points >= 1000 else 500_000)
                        / points
                    )
                    async with send(port) as sender:
                        row = await drive(
                            bench,
                            path,
                            gateway,
                            sender,
                            f"http://127.0.0.1:{admin_port}",
                            points,
                            requests,
                            fresh=fresh,
                        )
            (arrived,) = (await processes.get(f"{backend['url']}/arrived")).values()
            sent = requests * points + (0 if fresh else 4 * loads.CLIENTS * points)
            if arrived != sent:
                raise RuntimeError(f"{path}: {sent} points were sent, {arrived} arrived")
        return row

    return measure


async def drive(bench, path, gateway, send, url, points, requests, *, fresh) -> Row:
    """Warm the shapes up, then send *requests* requests and account for them."""
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
    total = requests * points
    return Row(
        path=path,
        value=round(cpu / total / 1000, 3),
        unit="µs CPU per point",
        points_per_second=round(total / seconds),
        rss_mb=round(gateway.rss_mb(), 1),
    )


@asynccontextmanager
async def sending_grpc(port: int) -> AsyncIterator[Callable[[list[bytes]], Awaitable[None]]]:
    """Yield a function that sends bodies over a few connections, a bounded number at once."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(CHANNELS)]
    calls = [channel.unary_unary(METHOD) for channel in channels]

    async def lane(n: int, bodies: list[bytes]) -> None:
        for body in bodies[n::CHANNELS]:
            await calls[n](body)

    async def send(bodies: list[bytes]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for n in range(CHANNELS):
                tasks.create_task(lane(n, bodies))

    yield send
    for channel in channels:
        await channel.close()


@asynccontextmanager
async def sending_http(port: int) -> AsyncIterator[Callable[[list[bytes]], Awaitable[None]]]:
    """Like `sending_grpc`, over HTTP/1.1 with protobuf."""
    headers = {"Content-Type": "application/x-protobuf"}
    async with aiohttp.ClientSession(
        headers=headers, connector=aiohttp.TCPConnector(limit=CHANNELS)
    ) as session:

        async def lane(n: int, bodies: list[bytes]) -> None:
            for body in bodies[n::CHANNELS]:
                async with session.post(f"http://127.0.0.1:{port}/v1/metrics", data=body) as answer:
                    if answer.status != 200:
                        raise RuntimeError(f"{answer.status}: {await answer.text()}")

        async def send(bodies: list[bytes]) -> None:
            async with asyncio.TaskGroup() as tasks:
                for n in range(CHANNELS):
                    tasks.create_task(lane(n, bodies))

        yield send


def agent_row(
    *, targets: int, samples: int, interval: float, memory: bool = False
) -> Callable[["Bench", str], Awaitable[Row]]:
    """Make the measurement of an agent row: *targets* static targets of *samples* samples."""

    async def measure(bench: Bench, path: str) -> Row:
        (port,) = processes.free_ports(1)
        async with (
            bench.other("backend") as backend,
            bench.other("targets", str(samples)) as exposed,
        ):
            document = {
                "admin": admin(port),
                "kubernetes": {"source": "none"},
                "gateway": {"endpoint": backend["otlp_grpc"], "queue_bytes": 1 << 28},
                "scraping": {"interval": interval, "timeout": interval},
                "static_targets": [
                    {"url": f"{exposed['url']}/metrics?target={n}"} for n in range(targets)
                ],
            }
            async with bench.program("agent", document) as agent:
                url = f"http://127.0.0.1:{port}"
                await until_scraped(url, 3 * targets * samples)
                before, cpu, start = await received(url), agent.cpu_ns(), time.perf_counter()
                await asyncio.sleep(8 * bench.scale)
                points, cpu = await received(url) - before, agent.cpu_ns() - cpu
                seconds, rss = time.perf_counter() - start, round(agent.rss_mb(), 1)
            final = sum((await processes.get(f"{backend['url']}/arrived")).values())
            if final < before + points:
                raise RuntimeError(f"{path}: {before + points} points were pushed, {final} arrived")
        cost = round(cpu / points / 1000, 3)
        return Row(
            path=path,
            value=rss if memory else cost,
            unit="MB" if memory else "µs CPU per sample",
            points_per_second=round(points / seconds),
            rss_mb=rss,
        )

    return measure


async def received(url: str) -> int:
    """Return the points the agent has booked so far."""
    (ledger,) = (await processes.get(f"{url}/debug/ledger"))["pipelines"].values()
    return ledger["received"]


async def until_scraped(url: str, points: int) -> None:
    end = time.monotonic() + 60
    while await received(url) < points:
        if time.monotonic() > end:
            raise TimeoutError(f"the agent booked {await received(url)} of {points} points")
        await asyncio.sleep(0.1)


def pods_row(*, memory: bool) -> Callable[["Bench", str], Awaitable[Row]]:
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


POINT, SAMPLE = "µs CPU per point", "µs CPU per sample"
MODEL: dict[str, Goal] = {
    "gateway-otlp-otlp-1000": Goal(
        limit=0.45, unit=POINT, measure=gateway_row(door="grpc", output="otlp", points=1000)
    ),
    "gateway-otlp-otlp-50": Goal(
        limit=1.3, unit=POINT, measure=gateway_row(door="grpc", output="otlp", points=50)
    ),
    "gateway-otlp-rw-1000": Goal(
        limit=0.5, unit=POINT, measure=gateway_row(door="grpc", output="write", points=1000)
    ),
    "gateway-otlp-rw-unknown": Goal(
        limit=6.0,
        unit=POINT,
        measure=gateway_row(door="grpc", output="write", points=1000, fresh=True),
    ),
    "gateway-http-rw-1000": Goal(
        limit=0.45, unit=POINT, measure=gateway_row(door="http", output="write", points=1000)
    ),
    "gateway-http-rw-50": Goal(
        limit=1.0, unit=POINT, measure=gateway_row(door="http", output="write", points=50)
    ),
    "agent-10000": Goal(
        limit=0.5, unit=SAMPLE, measure=agent_row(targets=4, samples=10_000, interval=0.5)
    ),
    "agent-500": Goal(
        limit=1.5, unit=SAMPLE, measure=agent_row(targets=20, samples=500, interval=0.25)
    ),
    "gateway-rss-10000-pods": Goal(limit=100, unit="MB", measure=pods_row(memory=True)),
    "agent-rss-50000-series": Goal(
        limit=110, unit="MB", measure=agent_row(targets=100, samples=500, interval=2.0, memory=True)
    ),
    "pods-first-list": Goal(limit=0.5, unit="s CPU", measure=pods_row(memory=False)),
}


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--json", action="store_true", help="end with a list of objects on one line"
    )
    parser.add_argument("--only", default="", help="measure the rows whose path starts so")
    parser.add_argument("--scale", type=float, default=1.0, help="send this many times as much")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        bench = Bench(Path(folder), options.scale)
        print(f"{'path':<26}{'measured':>10}{'goal':>8}  {'unit':<18}{'points/s':>10}{'RSS MB':>8}")
        for path, goal in MODEL.items():
            if not path.startswith(options.only):
                continue
            try:
                row = await goal.measure(bench, path)
            except BaseException:
                print(
                    bench.errors.read_text()[-4000:] if bench.errors.exists() else "",
                    file=sys.stderr,
                )
                raise
            rows.append(row)
            rate = "" if row.points_per_second is None else f"{row.points_per_second:,}"
            print(
                f"{path:<26}{row.value:>10}{goal.limit:>8}  {row.unit:<18}{rate:>10}{row.rss_mb:>8}",
                flush=True,
            )
    if options.json:
        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
