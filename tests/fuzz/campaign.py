"""Hostile requests by the thousand against one gateway, ordinary ones too, and the accounts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import grpc

from tests.fuzz import (
    grpc_cases,
    http2_cases,
    http2_wire as h2,
    http_cases,
    http_link,
    process,
    templates,
)
from tests.fuzz.grpc_cases import GrpcCase
from tests.fuzz.http_cases import HttpCase
from tests.fuzz.lanes import BOUND, Case, Lane
from tests.fuzz.report import Finding, Report

NORMAL: Final = "127.0.0.1"  # the address of ordinary clients
PATIENCE: Final = 0.5  # seconds for what grpcio never answers
# The gateway's memory may grow by: in flight 8, queues 16, memos 2, the rest for the heap.
GROWTH_MB: Final = 80.0
LANES: Final = 6
DAMAGED: Final = frozenset({"damaged", "strange-and-damaged", "bit-flipped", "noise"})


def make(seed: int, index: int, pool: templates.Pool) -> Case:
    """Return the case *index* of the campaign *seed*: always the same."""
    random = Random(f"{seed} {index}")
    dice = random.random()
    if dice < 0.5:
        return http_cases.draw(random, pool)
    if dice < 0.95:
        return grpc_cases.draw(random, pool)
    return http2_cases.draw(random)


class Campaign:
    """One run against one gateway."""

    def __init__(self, victim: process.Victim, seed: int, door: str) -> None:
        self.report = Report(seed=seed, door=door)
        self._victim, self._seed = victim, seed
        self._pool = templates.Pool(seed)
        # grpcio has its own mind about what is wrong, and breaks connections over streams.
        self._strict = door == "lean"
        self._over = False
        self._sure = self._maybe = self._normal = 0  # points

    async def run(self, indices: Sequence[int], tell: Callable[[Report], None]) -> Report:
        """Send the cases *indices*, and tell of the progress now and then."""
        report, victim = self.report, self._victim
        report.rss_mb = [victim.look()] * 3
        cpu = victim.process.cpu_ns()
        began = time.monotonic()
        todo = iter(indices)
        async with asyncio.TaskGroup() as beside:
            watching = beside.create_task(self._watch(began, tell))
            async with asyncio.TaskGroup() as normal:
                normal.create_task(self._normal_http())
                normal.create_task(self._normal_grpc())
                async with asyncio.TaskGroup() as lanes:
                    for n in range(LANES):
                        lanes.create_task(Lane(self, victim, n).run(todo))
                self._over = True  # what the ordinary clients have begun they end, and book
            watching.cancel()
        report.seconds = time.monotonic() - began
        if victim.alive():
            report.cpu_seconds = (victim.process.cpu_ns() - cpu) / 1e9
            await self._settle()
        else:
            report.found(Finding(what=f"the gateway died: {victim.process.child.returncode}"))
        for line in victim.complaints():
            report.found(Finding(what="the log complains", details=line))
        return report

    def make(self, index: int) -> Case:
        return make(self._seed, index, self._pool)

    def judge(self, index: int, case: Case, outcome: str, details: str, rejected: int) -> None:
        """Book the *outcome* of a case."""
        report = self.report
        report.requests += 1
        report.outcomes[case.name, outcome] += 1
        if outcome.partition("+")[0] in {"200", "OK"}:
            self._sure += case.points - rejected
        elif outcome in {"close", "gone"} or outcome.startswith(("goaway", "rst", "silent")):
            self._maybe += case.points
        if outcome in case.right or (not self._strict and _grpcio_may(case, outcome)):
            return
        damaged = case.name.rpartition("/")[2] in DAMAGED
        if damaged and outcome in {"400", "INVALID_ARGUMENT"} and templates.stricter(details):
            return
        report.found(
            Finding(
                what="not an outcome that is right",
                index=index,
                mutation=case.name,
                outcome=outcome,
                right=tuple(sorted(case.right)),
                details=details[:500],
            )
        )

    def again(self, cases: Sequence[Case]) -> None:
        """Note that *cases* are sent once more; whether they were taken is not known."""
        self.report.sent_again += len(cases)
        self._maybe += sum(case.points for case in cases)

    def wary_of(self, case: GrpcCase) -> bool:
        """Say whether *case* may harm streams beside it although HTTP/2 says it must not."""
        return not self._strict and not case.name.startswith("body/")

    def spared(self, case: Case) -> bool:
        """Say whether *case* is left out: grpc.aio ends for ever at a path that is not UTF-8."""
        return not self._strict and case.name in {"http2/damaged", "http2/noise"}

    @property
    def patience(self) -> float:
        """Seconds for what may never be answered."""
        return BOUND if self._strict else PATIENCE

    async def _settle(self) -> None:
        """Check the accounts once nothing is on its way any more."""
        report, victim = self.report, self._victim
        ledgers, in_flight = await victim.settled(within=15.0)
        report.rss_mb = [report.rss_mb[0], max(*victim.rss_mb, victim.look()), victim.look()]
        if in_flight:
            report.found(Finding(what=f"{in_flight:.0f} bytes stay in flight for ever"))
        if ledgers["balance"] or ledgers["mismatches"]:
            report.found(Finding(what="the ledgers are off", details=json.dumps(ledgers)))
        otlp_ledger = ledgers["pipelines"]["otlp"]
        received = otlp_ledger["received"]
        sure = self._sure + self._normal
        report.points = {
            "acknowledged": sure,
            "perhaps": self._maybe,
            "received": received,
            "delivered": otlp_ledger["delivered"],
            "arrived": victim.arrived.points,
        }
        most = sure + self._maybe if self._strict else received  # grpcio takes what it must not
        if not sure <= received <= most:
            words = f"{sure} points were acknowledged (and perhaps {self._maybe}), not {received}"
            report.found(Finding(what=words))
        if any(ledger["held"] for ledger in ledgers["pipelines"].values()):
            report.found(Finding(what="points are held for ever", details=json.dumps(ledgers)))
        if otlp_ledger["delivered"] != victim.arrived.points or otlp_ledger["dropped"]:
            words = f"delivered {otlp_ledger['delivered']}, arrived {victim.arrived.points}"
            report.found(Finding(what=words, details=json.dumps(otlp_ledger)))
        grown = report.rss_mb[1] - report.rss_mb[0]
        if grown > GROWTH_MB:
            report.found(Finding(what=f"memory grew by {grown:.0f} MB, allowed are {GROWTH_MB}"))

    async def _watch(self, began: float, tell: Callable[[Report], None]) -> None:
        while self._victim.alive():
            self.report.rss_mb = [self.report.rss_mb[0], *[self._victim.look()] * 2]
            self.report.seconds = time.monotonic() - began
            tell(self.report)
            await asyncio.sleep(0.5)

    async def _normal_http(self) -> None:
        body = self._pool.templates[0].body
        points = templates.judge(body).points
        data = http_cases.post(body)
        link: http_link.HttpLink | None = None

        async def send() -> str:
            nonlocal link
            if link is None or link.closed or link.transport.is_closing():
                link = await http_link.connect(self._victim.http, NORMAL)
            link.methods.append(b"POST")
            link.transport.write(data)
            await link.wait_for(1, BOUND)
            if not link.responses:
                link.transport.abort()
                return "nothing"
            response = link.responses.popleft()
            if response.closes:
                link.transport.abort()
            return response.status

        await self._normal_client("http", points, send, "200", "503")

    async def _normal_grpc(self) -> None:
        body = self._pool.templates[0].body
        points = templates.judge(body).points
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._victim.grpc}") as channel:
            export = channel.unary_unary(h2.EXPORT.decode())

            async def send() -> str:
                call = export(body, timeout=BOUND)
                code = await call.code()
                return code.name

            await self._normal_client("grpc", points, send, "OK", "UNAVAILABLE")

    async def _normal_client(
        self, door: str, points: int, send: Callable[[], Awaitable[str]], good: str, busy: str
    ) -> None:
        """Send an ordinary request again and again; every one has to be served in time."""
        latencies = self.report.normal.setdefault(door, [])
        loop = asyncio.get_running_loop()
        while self._victim.alive() and not self._over:
            began, outcome = loop.time(), busy
            while outcome == busy and loop.time() - began < BOUND:
                try:
                    outcome = await send()
                except OSError as error:
                    outcome = f"no connection: {error}"
                self.report.normal_waited += outcome == busy
            latencies.append((loop.time() - began) * 1e3)
            if outcome == good:
                self._normal += points
            else:
                self._maybe += points
                what = f"an ordinary client of the {door} door got {outcome}"
                self.report.found(Finding(what=what, outcome=outcome, mutation=f"normal/{door}"))
            await asyncio.sleep(0.05)


def _grpcio_may(case: Case, outcome: str) -> bool:
    """Say whether grpcio's ways explain an outcome: it ends calls, or waits for what never comes.

    Requests that HTTP/2 and gRPC have nothing against have to be answered as the table says.
    """
    if isinstance(case, HttpCase) or case.name.startswith("body/"):
        return False
    return outcome not in {"garbage", "UNKNOWN"}


def picked(case: Case) -> dict[str, Any]:
    """Return a case as plain values, to look at."""
    shown = {name: getattr(case, name) for name in type(case).__slots__}
    return {name: sorted(v) if isinstance(v, frozenset) else repr(v) for name, v in shown.items()}


async def run(
    folder: Path, *, seed: int, indices: Sequence[int], door: str, tell: Callable[[Report], None]
) -> Report:
    """Start a gateway, run a campaign against it, stop it, and return the report."""
    report: Report | None = None
    try:
        async with process.gateway(folder, door) as victim:
            report = await Campaign(victim, seed, door).run(indices, tell)
    except (RuntimeError, ProcessLookupError) as error:  # it ended otherwise than with 0
        if report is None:
            raise
        report.found(Finding(what=f"the gateway did not stop in good order: {error}"))
    return report
