"""What a data point costs ours and compiled gateways, side by side in one run.

The generator, the backend, the API server and the way of counting are those of `bench.throughput`:
CPU is the operating system's, all threads of the process under test, from the first request of the
measured part until the last point has arrived at the backend; a side that lost a point fails. Each
side runs alone, in turns with the others, and the median of its rounds counts. Run with ``make
peers`` (``ARGS=--json`` for one list of objects as the last line); what is equal on all sides and
what is not stands in bench/peers/README.md.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import loads, processes, rows, sending
from bench.peers import scraping, sides
from bench.peers.figures import Bar, Figures, told

EXPECTED = frozenset(f"k8s.{what}.name" for what in ("pod", "namespace", "node", "deployment")) | {
    "k8s.pod.uid",
    "k8s.pod.ip",
    "k8s.pod.start_time",
    "service.namespace",
}
"""What every side has to have added to the resources of an OTLP row."""
PATIENCE = 30.0  # seconds without a point arriving
WARM_UPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of work: *door* grpc|http in, *output* otlp|write out; *bar*: most of theirs."""

    door: str
    output: str
    points: int
    peers: dict[str, float]
    """The most that ours may cost, as a share of what each peer costs."""

    @property
    def requests(self) -> int:
        return (2_000_000 if self.points >= 1000 else 500_000) // self.points


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many requests of so many points."""

    points: int
    requests: int

    @property
    def total(self) -> int:
        return self.points * self.requests

    @property
    def warm_up(self) -> int:
        """Points sent before anything is measured."""
        return WARM_UPS * loads.CLIENTS * self.points


ROWS = {
    "otlp-otlp-1000": Row(door="grpc", output="otlp", points=1000, peers={"otelcol": 1 / 4}),
    "otlp-otlp-50": Row(door="grpc", output="otlp", points=50, peers={"otelcol": 1 / 2}),
    "http-rw-1000": Row(
        door="http", output="write", points=1000, peers={"otelcol": 1 / 4, "vmagent": 1.0}
    ),
    "http-rw-50": Row(
        door="http", output="write", points=50, peers={"otelcol": 1 / 2, "vmagent": 1.0}
    ),
}


async def measured(side: str, row: Row, scale: float, errors: Path) -> Figures:
    """Run *side* alone through *row*, and account for every point."""
    with tempfile.TemporaryDirectory(prefix="headgate-peers-") as name:
        bench = rows.Bench(Path(name), scale)
        async with bench.other("backend") as backend, bench.other("kubernetes", "1000") as api:
            kubeconfig = bench.folder / "kubeconfig"
            kubeconfig.write_text(json.dumps(rows.kubeconfig_of(api["url"])))
            grpc_port, http_port, health_port = processes.free_ports(3)
            place = sides.Place(
                grpc=grpc_port,
                http=http_port,
                health=health_port,
                otlp=backend["otlp_grpc"],
                write=backend["remote_write"],
                folder=bench.folder,
                errors=errors,
            )
            sender = (
                sending.over_grpc(place.grpc)
                if row.door == "grpc"
                else sending.over_http(place.http, sides.PATHS.get(side, "/v1/metrics"))
            )
            load = Load(points=row.points, requests=int(scale * row.requests))
            async with sides.SIDES[side](place, row.output) as process, sender as send:
                figures = await driven(process, send, load, backend["url"])
            await arrived(backend["url"], load.warm_up + load.total)  # and no more at its end
            if row.output == "otlp":
                resource = await processes.get(f"{backend['url']}/resource")
                if missing := EXPECTED - resource.keys():
                    raise RuntimeError(f"{side} did not add {sorted(missing)}: {resource}")
    return figures


async def driven(
    process: processes.Process, send: sending.Send, load: Load, backend: str
) -> Figures:
    """Warm up, then send *load* and wait for all of it to arrive."""
    clients = loads.CLIENTS
    senders = [loads.sender(n, load.points) for n in range(clients)]
    for _ in range(WARM_UPS):
        await send([s.body(time.time_ns()) for s in senders])
    await arrived(backend, load.warm_up)
    cpu, start = process.cpu_ns(), time.perf_counter()
    for first in range(0, load.requests, clients):
        some = range(first, min(first + clients, load.requests))
        await send([senders[n % clients].body(time.time_ns()) for n in some])
    await arrived(backend, load.warm_up + load.total)
    seconds, cpu = time.perf_counter() - start, process.cpu_ns() - cpu
    return Figures(
        cost=cpu / load.total / 1000,
        points_per_second=load.total / seconds,
        rss_mb=process.rss_mb(),
    )


async def arrived(backend: str, expected: int) -> None:
    """Wait until *expected* points have arrived at *backend*, and fail if there are more."""
    before, since = -1, time.monotonic()
    points = 0
    while True:
        with suppress(TimeoutError):  # the backend is busy; PATIENCE says for how long it may be
            points = sum((await processes.get(f"{backend}/arrived")).values())
        if points == expected:
            return
        if points > expected:
            raise RuntimeError(f"{expected} points were sent, {points} arrived")
        if points != before:
            before, since = points, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            raise TimeoutError(f"{expected} points were sent, but it stands still at {points}")
        await asyncio.sleep(0.05)


async def compared(
    measure: Callable[[str, float, Path], Awaitable[Figures]],
    present: list[str],
    options: argparse.Namespace,
    folder: Path,
) -> dict[str, list[Figures]]:
    """Let the sides *present* run in turns, and return what each round came to."""
    taken: dict[str, list[Figures]] = {side: [] for side in present}
    for _ in range(options.rounds):
        for side, rounds in taken.items():
            errors = folder / f"{side}.txt"
            try:
                rounds.append(await measure(side, options.scale, errors))
            except BaseException:
                print(errors.read_text()[-4000:] if errors.exists() else "", file=sys.stderr)
                raise
    return taken


async def of_gateways(path: str, row: Row, options: argparse.Namespace, folder: Path) -> list[dict]:
    """Measure our gateway and its present peers."""

    async def measure(side: str, scale: float, errors: Path) -> Figures:
        return await measured(side, row, scale, errors)

    present = [peer for peer in row.peers if sides.program(peer)]
    if not present:
        return []
    taken = await compared(measure, ["headgate", *present], options, folder)
    bars = {peer: Bar(ours="headgate", theirs=peer, most=most) for peer, most in row.peers.items()}
    return told(path, taken, bars)


async def of_agents(
    path: str, row: scraping.Row, options: argparse.Namespace, folder: Path
) -> list[dict]:
    """Measure our agent, alone and with its gateway, and vmagent."""
    if not scraping.program():
        return []

    async def measure(side: str, scale: float, errors: Path) -> Figures:
        return await scraping.measured(side, row, scale, errors)

    taken = await compared(measure, list(scraping.SIDES), options, folder)
    bars = {
        side: Bar(ours=side, theirs=scraping.PEER, most=most) for side, most in row.bars.items()
    }
    return told(path, taken, bars)


def absent() -> list[str]:
    """Return a sentence for each peer that is not there: what stays open, and what to do."""
    found = []
    for peer, variable in sides.VARIABLES.items():
        missing = [] if sides.program(peer) else [p for p, row in ROWS.items() if peer in row.peers]
        if peer == scraping.PEER and not scraping.program():
            missing += scraping.ROWS
        if missing:
            found.append(
                f"{variable} is not set, so what ours costs beside {peer} stays open in "
                f"{', '.join(missing)}; bench/peers/build.sh builds it and prints what to set"
            )
    return found


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--json", action="store_true", help="end with a list of objects on one line"
    )
    parser.add_argument("--only", default="", help="measure the rows whose path starts so")
    parser.add_argument("--scale", type=float, default=1.0, help="send this many times as much")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs a row")
    options = parser.parse_args()
    for sentence in absent():
        print(sentence)
    listed: list[dict] = []
    present = [*filter(sides.program, sides.VARIABLES), *filter(None, [scraping.program()])]
    if present:
        print(f"{'path':<16}{'side':<14}{'µs/point':>10}{'points/s':>10}{'RSS MB':>8}", end="")
        print(f"{'ours/its':>10}{'bar':>6}")
        with tempfile.TemporaryDirectory(prefix="headgate-peers-") as folder:
            for path, row in ROWS.items():
                if path.startswith(options.only):
                    listed += await of_gateways(path, row, options, Path(folder))
            for path, scraped in scraping.ROWS.items():
                if path.startswith(options.only):
                    listed += await of_agents(path, scraped, options, Path(folder))
    if options.json:
        print(json.dumps(listed, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
