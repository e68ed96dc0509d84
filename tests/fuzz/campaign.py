"""Hostile requests by the thousand against one gateway, ordinary ones among them, and the accounts."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import grpc

from common.wire import errors, otlp
from tests.fuzz import (
    bodies,
    grpc_cases,
    grpc_link,
    http2_cases,
    http2_wire as h2,
    http_cases,
    http_link,
    process,
)
from tests.fuzz.grpc_cases import GrpcCase
from tests.fuzz.http2_cases import Http2Case
from tests.fuzz.http_cases import HttpCase

HOSTILE, NORMAL = "127.0.0.2", "127.0.0.1"  # addresses of the two kinds of clients
BOUND = 5.0  # seconds within which everything must have ended somehow
PATIENCE = 0.5  # seconds for what grpcio never answers
GROWTH_MB = 80.0  # that the gateway's memory may grow by: in flight 8, queues 16, memos 2, heap
LANES, HANDFUL = 6, 48
STREAMS = 120  # of one connection until a new one is made: below the limits of floods
KEPT_FINDINGS = 200

Case = HttpCase | GrpcCase | Http2Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that must not be."""

    what: str
    index: int | None = None  # of the case: --case
    mutation: str = ""
    outcome: str = ""
    right: tuple[str, ...] = ()
    details: str = ""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a campaign did and found."""

    seed: int
    door: str
    requests: int = 0
    seconds: float = 0.0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # by mutation and outcome
    findings: list[Finding] = field(default_factory=list)
    findings_total: int = 0
    sent_again: int = 0
    rss_mb: list[float] = field(default_factory=list)  # start, most, end
    cpu_seconds: float = 0.0
    normal: dict[str, list[float]] = field(default_factory=dict)  # milliseconds by door
    normal_waited: int = 0  # answers that said: come again
    points: dict[str, int] = field(default_factory=dict)

    def found(self, finding: Finding) -> None:
        self.findings_total += 1
        same = sum(
            (f.mutation, f.outcome) == (finding.mutation, finding.outcome) for f in self.findings
        )
        if same < 3 and len(self.findings) < KEPT_FINDINGS:
            self.findings.append(finding)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "seed": self.seed,
            "door": self.door,
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
            "requests_per_second": round(self.requests / max(self.seconds, 1e-9)),
            "gateway_cpu_seconds": round(self.cpu_seconds, 1),
            "rss_mb": dict(zip(("start", "most", "end"), self.rss_mb, strict=False)),
            "points": self.points,
            "sent_again": self.sent_again,
            "normal": {door: _spread(found) for door, found in self.normal.items()},
            "normal_told_to_wait": self.normal_waited,
            "outcomes": [
                {"mutation": mutation, "outcome": outcome, "requests": n}
                for (mutation, outcome), n in sorted(self.outcomes.items())
            ],
            "findings_total": self.findings_total,
            "findings": [
                {name: getattr(f, name) for name in Finding.__slots__} for f in self.findings
            ],
        }


def _spread(found: Sequence[float]) -> dict[str, float]:
    ordered = sorted(found) or [0.0]
    at = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    spread = {name: round(ordered[int(part * (len(ordered) - 1))], 1) for name, part in at.items()}
    return {"requests": len(found), **spread}


def make(seed: int, index: int, pool: bodies.Pool) -> Case:
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
        self._pool = bodies.Pool(seed)
        # grpcio has its own mind about what is wrong, and breaks connections over streams.
        self._strict = door == "lean"
        self._sure = self._maybe = self._normal = 0  # points

    async def run(self, indices: Sequence[int], tell: Callable[[Report], None]) -> Report:
        """Send the cases *indices*, and tell of the progress now and then."""
        report, victim = self.report, self._victim
        report.rss_mb = [victim.look()] * 3
        cpu = victim.process.cpu_ns()
        began = time.monotonic()
        todo = iter(indices)
        async with asyncio.TaskGroup() as beside:
            watching = [
                beside.create_task(each)
                for each in (self._watch(began, tell), self._normal_http(), self._normal_grpc())
            ]
            async with asyncio.TaskGroup() as lanes:
                for n in range(LANES):
                    lanes.create_task(_Lane(self, n).run(todo))
            for each in watching:
                each.cancel()
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
        points = bodies.judge(body).points
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
        points = bodies.judge(body).points
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
        while self._victim.alive():
            began, outcome = loop.time(), busy
            while outcome == busy and loop.time() - began < BOUND:
                outcome = await send()
                self.report.normal_waited += outcome == busy
            latencies.append((loop.time() - began) * 1e3)
            if outcome == good:
                self._normal += points
            else:
                self._maybe += points
                what = f"an ordinary client of the {door} door got {outcome}"
                self.report.found(Finding(what=what, outcome=outcome, mutation=f"normal/{door}"))
            await asyncio.sleep(0.05)


class _Lane:
    """Takes cases and sends them over connections of its own."""

    def __init__(self, campaign: Campaign, number: int) -> None:
        self._campaign, self._victim = campaign, campaign._victim
        self._random = Random(number)
        self._http: http_link.HttpLink | None = None
        self._grpc: grpc_link.GrpcLink | None = None

    async def run(self, todo: Iterator[int]) -> None:
        campaign = self._campaign
        while self._victim.alive():
            taken = list(islice(todo, HANDFUL))
            if not taken:
                break
            handful = [
                (index, case)
                for index in taken
                if not campaign.spared(case := campaign.make(index))
            ]
            http: list[tuple[int, HttpCase]] = []
            calls: list[tuple[int, GrpcCase]] = []
            try:
                for index, case in handful:
                    match case:
                        case HttpCase():
                            http.append((index, case))
                            if case.ending != "keep":
                                await self._over_http(http)
                                http = []
                        case GrpcCase() if case.alone or campaign.wary_of(case):
                            await self._over_grpc([(index, case)], campaign.patience)
                        case GrpcCase():
                            calls.append((index, case))
                        case Http2Case():
                            await self._over_http2(index, case)
                if http:
                    await self._over_http(http)
                if calls:
                    await self._over_grpc(calls, BOUND)
            except OSError as error:
                campaign.report.found(Finding(what=f"no connection: {error}", index=taken[0]))
                if not self._victim.alive():
                    return
        for link in (self._http, self._grpc):
            if link is not None:
                link.transport.abort()

    async def _over_http(self, cases: list[tuple[int, HttpCase]]) -> None:
        index_of = {id(case): index for index, case in cases}
        waiting, together = [case for _, case in cases], True
        while waiting:
            link = self._http
            if link is None or link.closed or link.transport.is_closing():
                link = self._http = await http_link.connect(self._victim.http, HOSTILE)
            batch = waiting if together else waiting[:1]
            waiting = [] if together else waiting[1:]
            found, left = await http_link.run(link, batch, BOUND)
            for case, outcome, response in found:
                details = "" if response is None else repr(response.body)
                taken_off = _rejected(response.body) if response else 0
                self._campaign.judge(index_of[id(case)], case, outcome, details, taken_off)
            if left:
                self._campaign.again(left)
                waiting, together = [*left, *waiting], False

    async def _over_grpc(self, cases: list[tuple[int, GrpcCase]], bound: float) -> None:
        index_of = {id(case): index for index, case in cases}
        waiting, together = [case for _, case in cases], True
        while waiting:
            link = self._grpc
            stale = link is None or link.broken or link.transport.is_closing()
            if stale or link.next > 2 * STREAMS or not together or len(cases) == 1:
                if link is not None:
                    link.transport.abort()
                link = self._grpc = await grpc_link.connect(self._victim.grpc, HOSTILE)
            batch = waiting if together else waiting[:1]
            waiting = [] if together else waiting[1:]
            found, left = await grpc_link.run(link, batch, self._random, bound)
            for case, outcome, stream in found:
                details = repr(stream.fields.get(b"grpc-message", link.words))
                taken_off = grpc_link.rejected(stream)
                self._campaign.judge(index_of[id(case)], case, outcome, details, taken_off)
            if left:
                self._campaign.again(left)
                waiting, together = [*left, *waiting], False

    async def _over_http2(self, index: int, case: Http2Case) -> None:
        link = await grpc_link.connect(self._victim.grpc, HOSTILE, greet=not case.bare)
        outcome = await grpc_link.run_alone(link, case, self._campaign.patience)
        self._campaign.judge(index, case, outcome, repr(link.garbage or link.words), 0)


def _rejected(body: bytes) -> int:
    """Return how many points an answer over HTTP says were left out."""
    if body[:1] == b"{":
        partial = json.loads(body).get("partialSuccess") or {}
        return int(partial.get("rejectedDataPoints", 0))
    try:
        return otlp.partial_success(body)[0]
    except errors.Malformed:
        return 0


def _grpcio_may(case: Case, outcome: str) -> bool:
    """Say whether grpcio's ways explain an outcome: it ends calls, or waits for what never comes.

    Requests that HTTP/2 and gRPC have nothing against have to be answered as the table says.
    """
    if isinstance(case, HttpCase) or case.name.startswith("body/"):
        return False
    return outcome != "garbage" and outcome != "UNKNOWN"


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
    except RuntimeError as error:  # the gateway ended with another code than 0
        if report is None:
            raise
        report.found(Finding(what=str(error)))
    return report
