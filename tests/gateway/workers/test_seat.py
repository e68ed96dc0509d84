"""A worker does as its supervisor says, and reports."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.config import gateway, shared
from common.enrichment.attributes import Rules
from common.kube import reflector
from common.service import health
from common.service.settings import Problem
from common.service.telemetry import Reading, Telemetry
from gateway import settings
from gateway.accounts import Accounts
from gateway.place import Told
from gateway.workers import channel, facts, messages, seat
from tests.gateway.workers.pods import pod

pytestmark = pytest.mark.wallclock
POD = pod("1")


class Stop:
    """Takes the place of the lifecycle's."""

    def __init__(self) -> None:
        self.why: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def request(self, why: str) -> None:
        self.why.set_result(why)


def told() -> Told:
    readiness, telemetry, accounts = health.Readiness(), Telemetry(process=False), Accounts()
    readiness.checks["listening"] = lambda: (True, "grpc")
    readiness.checks["config"] = lambda: (True, "1 pipeline")
    telemetry.add(lambda: [Reading("counter", "x_total", "Words.", (({}, 1.0),))])
    accounts.of("a").receive(5, {})

    async def slow(query: object) -> object:
        return query

    def picky(_: object) -> object:
        raise health.BadQuery("give ip=")

    pages = {"/debug/plain": dict, "/debug/slow": slow, "/debug/picky": picky}
    return Told(readiness=readiness, telemetry=telemetry, accounts=accounts, pages=pages)


@asynccontextmanager
async def seated() -> AsyncIterator[tuple[seat.Worker, channel.Line]]:
    """A worker that is not entered yet, and the supervisor's end of its line."""
    ours, theirs = socket.socketpair()
    place = messages.Seat(number=2, workers=4, channel=0, grpc="127.0.0.1:1", http="127.0.0.1:2")
    async with channel.line(theirs) as there, channel.line(ours) as here:
        yield seat.Worker(place, here), there


async def heard(line: channel.Line, kind: type[messages.ToSupervisor]) -> messages.ToSupervisor:
    while True:
        body = await line.hear()
        assert body is not None
        said = messages.to_supervisor(body)
        if isinstance(said, kind):
            return said


async def test_it_reports_and_answers_pages_until_the_last_word() -> None:
    about = told()
    async with seated() as (worker, there):
        async with worker.telling(shared.Admin(), about, Stop()) as words:
            assert words == "supervisor, as worker 2 of 4"
            report = await heard(there, messages.Report)
            assert (report.listening, report.ready) == (True, True)
            assert report.checks == {"config": "1 pipeline"}
            assert [reading.name for reading in report.readings] == ["x_total"]
            for path, body in (
                ("/debug/plain", b"{}"),
                ("/debug/slow", b'{\n  "q": "1"\n}'),
                ("/debug/none", None),
            ):
                query = {"q": "1"} if path == "/debug/slow" else {}
                there.tell(messages.framed(messages.Ask(7, path, query)))
                assert await heard(there, messages.Answer) == messages.Answer(7, body)
            there.tell(messages.framed(messages.Ask(8, "/debug/picky", {})))
            assert await heard(there, messages.Answer) == messages.Answer(8, None, "give ip=")
            about.accounts.of("a").deliver(5)
        last = None
        while (body := await there.hear()) is not None:
            last = messages.to_supervisor(body)
            if last.ledgers[0].delivered == 5:
                break
        assert (last.ledgers[0].held, last.readings is None) == (0, False)


async def test_it_ends_when_the_supervisor_is_gone() -> None:
    ours, theirs = socket.socketpair()
    place = messages.Seat(number=1, workers=1, channel=0, grpc="h:1", http="h:2")
    stop = Stop()
    async with (
        channel.line(ours) as here,
        seat.Worker(place, here).telling(shared.Admin(), told(), stop),
    ):
        theirs.close()
        async with asyncio.timeout(5):
            assert await stop.why == "the supervisor is gone"


async def test_it_knows_the_pods_it_is_told_of() -> None:
    store = facts.Store()
    store.apply(reflector.Replaced((facts.encoded(POD),)), 0.0)
    async with seated() as (worker, there):
        informed = messages.Informed(used=True, synced=True, status="synced")
        there.tell(messages.framed(informed))
        there.tell(*map(messages.framed, store.snapshot(departed=True)))
        async with (
            worker.telling(shared.Admin(), told(), Stop()),
            worker.knowing(gateway.Gateway(), Rules()) as known,
        ):
            assert known.index.by_address["10.0.0.1"] == POD
            changes: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            known.listeners.append(changes.set_result)
            there.tell(messages.framed(store.apply(reflector.Deleted(facts.encoded(POD)), 0.0)))
            async with asyncio.timeout(5):
                assert await changes == reflector.Deleted(POD)
            assert known.index.departed == 1
            assert known.status == "synced; 0 pods"
            assert [reading.name for reading in known.readings()] == [
                "headgate_gateway_kubernetes_pods"
            ]


@pytest.mark.parametrize("used", [True, False])
async def test_it_does_not_wait_for_pods_that_nobody_can_tell(*, used: bool) -> None:
    async with seated() as (worker, there):
        away = messages.Informed(used=used, healthy=False, status="unreachable")
        there.tell(messages.framed(away))
        async with (
            worker.telling(shared.Admin(), told(), Stop()),
            worker.knowing(gateway.Gateway(), Rules()) as known,
        ):
            assert known.status == (
                "unreachable; serving without enrichment from pods"
                if used
                else "not used; serving without enrichment from pods"
            )


def test_it_has_its_part_of_the_configuration() -> None:
    place = messages.Seat(number=1, workers=4, channel=0, grpc="h:1", http="h:2")
    whole = settings.Loaded(config=gateway.Gateway(), tokens="", client_tokens="", files=())
    part = seat.Worker(place, None).part(whole).config
    assert (part.listen.grpc, part.listen.http) == ("h:1", "h:2")
    assert part.limits.max_in_flight_bytes * 4 == whole.config.limits.max_in_flight_bytes


async def test_what_is_wrong_with_the_settings_is_told_to_the_supervisor(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("grace: soon")
    ours, theirs = socket.socketpair()
    place = messages.Seat(
        number=1, workers=2, channel=ours.detach(), grpc="127.0.0.1:0", http="127.0.0.1:0"
    )
    async with channel.line(theirs) as there:
        assert await seat.work(file, place, environ={}) == 1
        failed = await heard(there, messages.Failed)
        assert isinstance(failed, messages.Failed)
        assert [type(problem) for problem in failed.problems] == [Problem]
        assert failed.problems[0].key == "grace"
