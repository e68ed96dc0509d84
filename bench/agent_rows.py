"""How the agent's rows of the cost model are measured, whole-process, with arrivals checked."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.exposition import model
from bench import processes
from bench.exposing import NODE
from bench.rows import Bench, Measure, Row, admin, counters, kubeconfig_of

SCRAPES = ("headgate_agent_known_scrapes_total", "headgate_agent_scrapes_total")
MEASURED = 8.0  # seconds
WARM = 3  # scrapes of each target before anything is measured
SETTLED = 20.0  # seconds for memory to come back
UNIT = "µs CPU per sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """So many targets of so many samples, every so many seconds."""

    targets: int
    samples: int
    interval: float
    form: model.Format = model.Format.TEXT
    churn: bool = False

    @property
    def total(self) -> int:
        """Samples of one scrape of all targets."""
        return self.targets * self.samples

    def urls(self, exposed: str) -> list[str]:
        """Return the targets at *exposed*."""
        wanted = f"samples={self.samples}&form={self.form.value}{'&churn=1' * self.churn}"
        return [f"{exposed}/metrics?target={n}&{wanted}" for n in range(self.targets)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What an agent used, and did, while it was watched."""

    cpu_ns: int
    points: int
    scrapes: int
    known: int
    seconds: float
    rss_mb: float


class Agent:
    """An agent under measurement."""

    def __init__(self, process: processes.Process, url: str) -> None:
        self.process, self.url = process, url

    async def received(self) -> int:
        """Return the points it has booked so far."""
        (ledger,) = (await processes.get(f"{self.url}/debug/ledger"))["pipelines"].values()
        return ledger["received"]

    async def until_scraped(self, points: int) -> None:
        """Wait until it has booked so many points."""
        end = time.monotonic() + 60
        while await self.received() < points:
            if time.monotonic() > end:
                raise TimeoutError(f"the agent booked {await self.received()} of {points} points")
            await asyncio.sleep(0.1)

    async def watched(self, seconds: float) -> Figures:
        """Let it go on for so long."""
        shapes = await counters(self.url, *SCRAPES)
        before, cpu, start = await self.received(), self.process.cpu_ns(), time.perf_counter()
        await asyncio.sleep(seconds)
        points, cpu = await self.received() - before, self.process.cpu_ns() - cpu
        took = time.perf_counter() - start
        known, scrapes = (
            after - then
            for after, then in zip(await counters(self.url, *SCRAPES), shapes, strict=True)
        )
        return Figures(
            cpu_ns=cpu,
            points=points,
            scrapes=int(scrapes),
            known=int(known),
            seconds=took,
            rss_mb=round(self.process.rss_mb(), 1),
        )


@asynccontextmanager
async def running(
    bench: Bench, name: str, backend: str, load: Scraped, exposed: str, **more: object
) -> AsyncIterator[Agent]:
    """Run an agent whose static targets are *load*; its document and errors are called *name*."""
    (port,) = processes.free_ports(1)
    document = {
        "log_level": "info",  # for its last words
        "admin": admin(port),
        "kubernetes": {"source": "none"},
        "gateway": {"endpoint": backend, "queue_bytes": 1 << 28},
        "scraping": {
            "interval": load.interval,
            "timeout": load.interval,
            "max_samples": 2 * load.samples,
            "native_histograms": load.form is model.Format.PROTOBUF,
        },
        "static_targets": [{"url": url} for url in load.urls(exposed)],
        **more,
    }
    config = bench.folder / f"{name}.yaml"
    config.write_text(json.dumps(document))
    errors = bench.folder / f"{name}.txt"
    arguments = ("-m", "cli.main", "agent", "--config", str(config))
    try:
        async with processes.running(*arguments, errors=errors) as process:
            await processes.until_ready(f"http://127.0.0.1:{port}/readyz")
            yield Agent(process, f"http://127.0.0.1:{port}")
    finally:
        with bench.errors.open("ab") as told:
            told.write(errors.read_bytes())


def agent_row(load: Scraped, *, memory: bool = False) -> Measure:
    """Make the measurement of an agent row: what a sample of *load* costs, or its memory."""

    async def measure(bench: Bench, path: str) -> Row:
        async with bench.other("backend") as backend, bench.other("targets", "0") as exposed:
            async with running(bench, path, backend["otlp_grpc"], load, exposed["url"]) as agent:
                await agent.until_scraped(WARM * load.total)
                figures = await agent.watched(max(MEASURED, 4 * load.interval) * bench.scale)
            arrived = sum((await processes.get(f"{backend['url']}/arrived")).values())
            balanced(path, last_words(bench.folder / f"{path}.txt"), arrived)
        return _row(path, figures, memory=memory)

    return measure


def churn_row(load: Scraped) -> Measure:
    """Make the measurement of a changing target beside the same one that does not change.

    Both are scraped at once, by an agent each, so that the machine means the same to both.
    """
    steady = Scraped(targets=load.targets, samples=load.samples, interval=load.interval)

    async def measure(bench: Bench, path: str) -> Row:
        async with bench.other("backend") as backend, bench.other("targets", "0") as exposed:
            async with AsyncExitStack() as stack:
                agents = [
                    await stack.enter_async_context(
                        running(bench, f"{path}-{n}", backend["otlp_grpc"], each, exposed["url"])
                    )
                    for n, each in enumerate((load, steady))
                ]
                async with asyncio.TaskGroup() as tasks:
                    for agent in agents:
                        tasks.create_task(agent.until_scraped(2 * WARM * load.total))
                async with asyncio.TaskGroup() as tasks:
                    watched = [
                        tasks.create_task(agent.watched(MEASURED * bench.scale)) for agent in agents
                    ]
                changing, still = (task.result() for task in watched)
            arrived = sum((await processes.get(f"{backend['url']}/arrived")).values())
            words = [last_words(bench.folder / f"{path}-{n}.txt") for n in range(2)]
            balanced(path, _together(*words), arrived)
        if changing.known:
            raise RuntimeError(f"{path}: {changing.known} scrapes brought the series before them")
        ratio = (changing.cpu_ns / changing.scrapes) / (still.cpu_ns / still.scrapes)
        return Row(
            path=path,
            value=round(ratio, 2),
            unit="x CPU of stable",
            points_per_second=round(changing.points / changing.seconds),
            rss_mb=changing.rss_mb,
            recognised=0.0,
        )

    return measure


def after_row(*, targets: int, samples: int) -> Measure:
    """Make the measurement of an agent's memory after *targets* pods have come and gone.

    Beside its memory before, with one target that stays, so that everything is loaded that scraping
    needs.
    """
    one = Scraped(targets=1, samples=samples, interval=0.5)

    async def measure(bench: Bench, path: str) -> Row:
        async with (
            bench.other("backend") as backend,
            bench.other("targets", str(samples)) as exposed,
        ):
            kubeconfig = bench.folder / "kubeconfig"
            kubeconfig.write_text(json.dumps(kubeconfig_of(exposed["url"])))
            discovery = {
                "node": NODE,
                "kubernetes": {"source": "kubeconfig", "kubeconfig": str(kubeconfig)},
                "inputs": {"prometheus": {"services": False}},
            }
            async with running(
                bench, path, backend["otlp_grpc"], one, exposed["url"], **discovery
            ) as agent:
                await agent.until_scraped(20 * samples)
                idle = agent.process.rss_mb()
                await processes.get(f"{exposed['url']}/pods?count={targets}")
                before = await agent.received()
                await agent.until_scraped(before + 10 * targets * samples)
                full = agent.process.rss_mb()
                await processes.get(f"{exposed['url']}/pods?count=0")
                after = await _least(agent, idle)
                rate = (await agent.watched(1.0)).points
            if rate > 4 * samples:
                raise RuntimeError(f"{path}: targets that are gone are scraped: {rate} points/s")
            arrived = sum((await processes.get(f"{backend['url']}/arrived")).values())
            balanced(path, last_words(bench.folder / f"{path}.txt"), arrived)
        if full < idle + targets * samples * 200e-6:
            raise RuntimeError(f"{path}: the targets were not there: {idle} MB, then {full} MB")
        return Row(
            path=path,
            value=round(after / idle, 2),
            unit="x RSS before",
            points_per_second=None,
            rss_mb=round(after, 1),
        )

    return measure


async def _least(agent: Agent, enough: float) -> float:
    # The memory that it comes back to, waited for no longer than needed.
    end, least = time.monotonic() + SETTLED, agent.process.rss_mb()
    while time.monotonic() < end and least > enough:
        await asyncio.sleep(0.5)
        least = min(least, agent.process.rss_mb())
    return agent.process.rss_mb()


def _row(path: str, figures: Figures, *, memory: bool) -> Row:
    cost = round(figures.cpu_ns / figures.points / 1000, 3)
    return Row(
        path=path,
        value=figures.rss_mb if memory else cost,
        unit="MB" if memory else UNIT,
        points_per_second=round(figures.points / figures.seconds),
        rss_mb=figures.rss_mb,
        recognised=round(figures.known / figures.scrapes, 3),
    )


def last_words(errors: Path) -> dict[str, object]:
    """Return the latest line of log that says what became of everything."""
    lines = [line for line in errors.read_text().splitlines() if line.startswith("{")]
    said = [words for words in map(json.loads, lines) if words["msg"] == "stopped"]
    return said[-1]


def balanced(path: str, words: dict[str, object], arrived: int) -> None:
    """Raise unless all that an agent scraped was delivered, and arrived."""
    if words["lost"] or not words["scraped"] == words["delivered"] == arrived:
        raise RuntimeError(f"{path}: not everything arrived, but {arrived} points: {words}")


def _together(*words: dict[str, object]) -> dict[str, object]:
    # What several agents say, as if it were one.
    sums = {key: sum(int(each[key]) for each in words) for key in ("scraped", "delivered")}
    return {**sums, "lost": [each["lost"] for each in words if each["lost"]]}
