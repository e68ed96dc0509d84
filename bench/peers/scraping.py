"""What a sample costs from a target on: our agent alone, with its gateway, and vmagent.

All three scrape the same targets at the same pace, each alone and in turns. The targets count what
they exposed, the backend what arrived: CPU is divided by samples exposed while it was taken, and a
side at whose backend fewer have arrived fails, or one that sent more than once.
"""

import asyncio
import json
import shutil
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import processes, rows
from bench.peers import sides
from bench.peers.figures import Figures

PATIENCE = 30.0  # seconds without a sample arriving
WARM = 3  # scrapes of each target before anything is measured
MEASURED = 10.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """So many targets of so many samples each, half of them changing, every *interval* seconds."""

    targets: int
    samples: int
    interval: float
    bars: dict[str, float | None]
    """The most that each of our sides may cost, as a share of what vmagent does; None: told only"""

    @property
    def total(self) -> int:
        """Samples of one scrape of all targets."""
        return self.targets * self.samples


AGENT, BOTH, PEER = "agent", "agent+gateway", "vmagent"
BARS = {AGENT: 1 / 3, BOTH: None}
ROWS = {
    "scrape-rw-10000": Row(targets=5, samples=10_000, interval=0.5, bars=BARS),
    "scrape-rw-500": Row(targets=100, samples=500, interval=0.5, bars=BARS),
}


@asynccontextmanager
async def agent(place: sides.Place, row: Row, exposed: str) -> AsyncIterator[list]:
    """Run our agent, which pushes OTLP to the backend."""
    async with _agent(place, row, exposed, place.otlp) as process:
        yield [process]


@asynccontextmanager
async def both(place: sides.Place, row: Row, exposed: str) -> AsyncIterator[list]:
    """Run our agent and our gateway, which writes remote write."""
    token = place.folder / "token"
    token.write_text("bench")
    pipeline = {
        "name": "bench",
        "inputs": {"prometheus": {"diagnostic_metrics": True}},
        "output": {"remote_write": {"url": place.write}},
        "queue_bytes": 1 << 30,
    }
    document = {
        "listen": {"grpc": f"127.0.0.1:{place.grpc}", "http": f"127.0.0.1:{place.http}"},
        "kubernetes": {"source": "none"},
        "agents": {"token_file": str(token)},
        "pipelines": [pipeline],
    }
    (admin,) = processes.free_ports(1)
    async with (
        _program(place, "gateway", document, admin) as gateway,
        _agent(
            place, row, exposed, f"http://127.0.0.1:{place.grpc}", token_file=str(token)
        ) as process,
    ):
        yield [process, gateway]


def program() -> str:
    """Return the vmagent that ``HEADGATE_VMAGENT`` names, or that is installed, or ""."""
    return sides.program(PEER) or shutil.which(PEER) or ""


def flags_of(help_text: str, filled: str) -> list[str]:
    """Return the flags of *filled* that a vmagent with this *help_text* has.

    That of Debian 12 knows only the protocol that later ones have to be told to speak.
    """
    flags = [flag for flag in filled.splitlines() if flag.startswith("-")]
    return [flag for flag in flags if flag.partition("=")[0] in help_text]


@asynccontextmanager
async def vmagent(place: sides.Place, row: Row, exposed: str) -> AsyncIterator[list]:
    """Run vmagent, which writes remote write."""
    interval = f"{row.interval * 1000:.0f}ms"
    targets = [
        {
            "targets": [exposed.removeprefix("http://")],
            "labels": {
                "job": f"bench-{n}",
                "__param_target": str(n),
                "__param_samples": str(row.samples),
            },
        }
        for n in range(row.targets)
    ]
    document = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [{"job_name": "bench", "static_configs": targets}],
    }
    (place.folder / "scrape.yaml").write_text(json.dumps(document))
    filled = sides.filled(sides.HERE / "vmagent-scrape.flags", place, place.write)
    asked = await asyncio.create_subprocess_exec(program(), "-help", stdout=PIPE, stderr=STDOUT)
    said, _ = await asked.communicate()
    running = processes.running(
        *flags_of(said.decode(), filled), errors=place.errors, program=program()
    )
    async with running as process:
        await sides.answering(f"http://127.0.0.1:{place.http}/health")
        yield [process]


Side = Callable[[sides.Place, Row, str], AbstractAsyncContextManager[list[processes.Process]]]
SIDES: dict[str, Side] = {AGENT: agent, BOTH: both, PEER: vmagent}


async def measured(side: str, row: Row, scale: float, errors: Path) -> Figures:
    """Run *side* alone through *row*, and account for every sample."""
    with tempfile.TemporaryDirectory(prefix="headgate-peers-") as name:
        bench = rows.Bench(Path(name), scale)
        async with (
            bench.other("light", "0", "0") as backend,
            bench.other("targets", "0") as exposed,
        ):
            grpc_port, http_port, health_port = processes.free_ports(3)
            place = sides.Place(
                grpc=grpc_port,
                http=http_port,
                health=health_port,
                otlp=backend["otlp_grpc"],
                write=f"{backend['url']}/api/v1/write",
                folder=bench.folder,
                errors=errors,
            )
            urls = exposed["url"], backend["url"]
            async with SIDES[side](place, row, exposed["url"]) as running:
                figures = await _watched(running, row, scale, *urls)
            # As many more as there are series may have been marked stale on the way out.
            at_most = (await _asked(urls[0]))["samples"] + row.total
            if await _arrived(urls[1]) > at_most:
                raise RuntimeError(f"{side}: at most {at_most} samples were to be sent: {urls}")
    return figures


async def _watched(
    running: list[processes.Process], row: Row, scale: float, exposed: str, backend: str
) -> Figures:
    await _until(backend, WARM * row.total)
    before, start = await _asked(exposed), time.perf_counter()
    cpu = sum(process.cpu_ns() for process in running)
    await asyncio.sleep(MEASURED * scale)
    cpu = sum(process.cpu_ns() for process in running) - cpu
    after, seconds = await _asked(exposed), time.perf_counter() - start
    await _until(backend, after["samples"])
    samples = after["samples"] - before["samples"]
    return Figures(
        cost=cpu / samples / 1000,
        points_per_second=samples / seconds,
        rss_mb=sum(process.rss_mb() for process in running),
    )


async def _asked(exposed: str) -> dict[str, int]:
    return await processes.get(f"{exposed}/asked")


async def _arrived(backend: str) -> int:
    return sum((await processes.get(f"{backend}/arrived")).values())


async def _until(backend: str, expected: int) -> None:
    before, since = -1, time.monotonic()
    while (points := await _arrived(backend)) < expected:
        if points != before:
            before, since = points, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            raise TimeoutError(f"{expected} samples were exposed, but it stands still at {points}")
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _agent(
    place: sides.Place, row: Row, exposed: str, endpoint: str, **push: str
) -> AsyncIterator[processes.Process]:
    urls = [f"{exposed}/metrics?target={n}&samples={row.samples}" for n in range(row.targets)]
    document = {
        "kubernetes": {"source": "none"},
        "gateway": {"endpoint": endpoint, "queue_bytes": 1 << 28, **push},
        "scraping": {"interval": row.interval, "timeout": row.interval},
        "static_targets": [{"url": url, "job": f"bench-{n}"} for n, url in enumerate(urls)],
    }
    async with _program(place, "agent", document, place.health) as process:
        yield process


@asynccontextmanager
async def _program(
    place: sides.Place, name: str, document: dict[str, object], admin: int
) -> AsyncIterator[processes.Process]:
    config = place.folder / f"{name}.yaml"
    config.write_text(json.dumps({"log_level": "error", "admin": rows.admin(admin), **document}))
    arguments = ("-m", "cli.main", name, "--config", str(config))
    async with processes.running(*arguments, errors=place.errors) as process:
        await processes.until_ready(f"http://127.0.0.1:{admin}/readyz")
        yield process
