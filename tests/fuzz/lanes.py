"""Connections of a campaign: who takes cases, sends them together or alone, and tells what came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Final, Protocol

from common.wire import errors, otlp
from tests.fuzz import grpc_link, http2_link, http_link, process
from tests.fuzz.grpc_cases import GrpcCase
from tests.fuzz.http2_cases import Http2Case
from tests.fuzz.http_cases import HttpCase
from tests.fuzz.report import Finding, Report

HOSTILE: Final = "127.0.0.2"  # the address these clients have
BOUND: Final = 5.0  # seconds within which everything must have ended somehow
HANDFUL: Final = 48  # cases taken at a time
STREAMS: Final = 120  # of one connection until a new one is made: below the limits of floods

Case = HttpCase | GrpcCase | Http2Case


class Campaign(Protocol):
    """Whom a lane works for."""

    report: Report

    @property
    def patience(self) -> float: ...

    def make(self, index: int) -> Case: ...
    def spared(self, case: Case) -> bool: ...
    def wary_of(self, case: GrpcCase) -> bool: ...
    def again(self, cases: list[Case]) -> None: ...
    def judge(self, index: int, case: Case, outcome: str, details: str, rejected: int) -> None: ...


class Lane:
    """Takes cases and sends them over connections of its own."""

    def __init__(self, campaign: Campaign, victim: process.Victim, number: int) -> None:
        self._campaign, self._victim = campaign, victim
        self._random = Random(number)
        self._http: http_link.HttpLink | None = None
        self._grpc: http2_link.Http2Link | None = None

    async def run(self, todo: Iterator[int]) -> None:
        campaign = self._campaign
        while self._victim.alive():
            taken = list(islice(todo, HANDFUL))
            if not taken:
                break
            cases = [(index, campaign.make(index)) for index in taken]
            try:
                await self._handful([each for each in cases if not campaign.spared(each[1])])
            except OSError as error:
                campaign.report.found(Finding(what=f"no connection: {error}", index=taken[0]))
        for link in (self._http, self._grpc):
            if link is not None:
                link.transport.abort()

    async def _handful(self, cases: list[tuple[int, Case]]) -> None:
        """Send *cases*, together where one cannot harm another."""
        campaign = self._campaign
        http: list[tuple[int, HttpCase]] = []
        calls: list[tuple[int, GrpcCase]] = []
        for index, case in cases:
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
                link = self._grpc = await http2_link.connect(self._victim.grpc, HOSTILE)
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
        link = await http2_link.connect(self._victim.grpc, HOSTILE, greet=not case.bare)
        outcome = await http2_link.run_alone(link, case, self._campaign.patience)
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
