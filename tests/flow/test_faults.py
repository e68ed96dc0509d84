"""Whatever a backend does, every point is delivered, held, or lost for a reason; see `faulty`.

Each of these has a gateway of its own with three pipelines, one for each kind of backend, and is
sent points at both doors all the while. In the end what arrived is compared, point by point, with
what was acknowledged. Retries come twenty times as quickly as by default.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.flow import faulty, numbered, programs, victims
from tests.flow.faulty import KINDS, Act, Agree, Backend, CutAnswer, CutRequest, Hang, Kind, Say
from tests.flow.victims import Places, Victim

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(90)]

CALM = 0.3  # seconds that everything goes well, before and after a fault
TIMEOUT = 0.5  # seconds that an attempt may take


def name(kind: Kind) -> str:
    return kind.replace("_", "-")


def pipeline(backend: Backend, **more: Any) -> dict[str, Any]:
    output = {key: {**value, "timeout": TIMEOUT} for key, value in backend.output.items()}
    return {"name": name(backend.kind), "output": output, **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A gateway under load, with a backend of each kind."""

    victim: Victim
    backends: Mapping[Kind, Backend]
    account: numbered.Account

    def do(self, act: Act) -> None:
        for backend in self.backends.values():
            backend.rule = faulty.always(act)

    async def failing(self) -> None:
        """Wait until every destination says that it fails."""

        async def all_fail() -> bool:
            found = [await self.victim.destination(name(kind)) for kind in self.backends]
            return all(each["state"] == "failing" for each in found)

        await programs.until(all_fail, "every destination fails")


@asynccontextmanager
async def scene(folder: Path, width: int = 0, **more: Any) -> AsyncIterator[Scene]:
    """Run a gateway, send to it, and after the block check that nothing is wrong with any ledger.

    In the end no backend may be sick: all that was acknowledged has to be somewhere.
    """
    async with AsyncExitStack() as stack:
        backends = {kind: await stack.enter_async_context(faulty.serving(kind)) for kind in KINDS}
        places = Places.free()
        document = places.document(*[pipeline(each, **more) for each in backends.values()])
        victim = await stack.enter_async_context(victims.running(folder, places, document))
        load = numbered.Load(places.doors, numbered.Account(), lanes=1, width=width)
        found = Scene(victim=victim, backends=backends, account=load.account)
        async with load.sending():
            await asyncio.sleep(CALM)
            yield found
            await asyncio.sleep(CALM)
        ledgers = await victim.settled()
        assert set(load.account.outcomes) == {"OK", "200"}, "a door refused, though none has to"
        for kind, backend in backends.items():
            ledger = ledgers[name(kind)]
            assert ledger["received"] == len(load.account.acknowledged) == load.account.sent
            victims.compare(load.account, set(backend.taken) | set(backend.refused))
            assert ledger["delivered"] == len(set(backend.taken) - set(backend.refused))
            assert (
                ledger["dropped"] == len(backend.refused) == ledger["dropped_by"].get("refused", 0)
            )
            print(  # noqa: T201 - figures are for people
                f"{kind}: {len(backend.taken)} points, {backend.duplicates} duplicates, "
                f"{backend.requests} requests, {backend.connections} connections"
            )
        assert await victim.end() == 0
        said = victim.last_words()
        assert said["received"] == said["delivered"] + sum(said["lost"].values())
        assert said["held"] == 0


async def test_connections_that_are_refused_for_a_while_cost_nothing(tmp_path) -> None:
    async with scene(tmp_path) as found:
        for backend in found.backends.values():
            await backend.shut()
        await found.failing()
        await asyncio.sleep(3.0)  # a minute, at a twentieth
        held = {key: each["held"] for key, each in (await found.victim.ledgers()).items()}
        assert min(held.values()) > 0
        for backend in found.backends.values():
            await backend.open()


@pytest.mark.parametrize(
    "act",
    [faulty.UNAVAILABLE, Say(status=502, code=10), Say(status=504, code=4), Hang()],
    ids=["503", "502", "504", "hang"],
)
async def test_what_is_answered_with_a_failure_is_sent_again_until_it_is_taken(
    tmp_path, act
) -> None:
    async with scene(tmp_path) as found:
        found.do(act)
        await found.failing()
        await asyncio.sleep(1.5)
        found.do(Agree())


async def test_no_request_comes_again_before_the_backend_wants_it(tmp_path) -> None:
    async with scene(tmp_path) as found:
        found.do(Say(status=429, code=8, retry_after=1.0))
        await found.failing()
        await asyncio.sleep(2.2)
        found.do(Agree())
    for backend in found.backends.values():
        waits = [b - a for each in backend.attempts.values() for a, b in pairwise(each)]
        assert waits, "nothing was sent again"
        assert min(waits) >= 0.99


async def test_what_is_refused_for_good_is_lost_alone_and_counted(tmp_path) -> None:
    def a_third(number: int) -> Act:
        return Agree() if number % 3 else faulty.INVALID

    async with scene(tmp_path) as found:
        for backend in found.backends.values():
            backend.rule = a_third
        await asyncio.sleep(2.0)
        found.do(Agree())
    for backend in found.backends.values():
        assert not set(backend.refused) & set(backend.taken)
        assert backend.refused


async def test_what_is_too_large_is_halved_until_it_is_taken(tmp_path) -> None:
    async with scene(tmp_path, batch={"linger": 0.2}) as found:
        for backend in found.backends.values():
            backend.max_points = 20
        await asyncio.sleep(1.5)
    for backend in found.backends.values():
        assert backend.too_large
        assert backend.duplicates == 0


@pytest.mark.parametrize("act", [CutRequest(), CutAnswer()], ids=["request", "answer"])
async def test_connections_that_break_in_the_middle_cost_nothing(tmp_path, act) -> None:
    """Duplicates are what it costs where the backend had taken the request."""
    async with scene(tmp_path, width=4000, batch={"linger": 0.2}) as found:
        found.do(act)
        await asyncio.sleep(1.5)
        found.do(Agree())
    for backend in found.backends.values():
        assert backend.connections > 3
        if act == CutRequest():
            assert backend.duplicates == 0
    if act == CutAnswer():
        assert found.backends["grpc"].duplicates > 0  # its status would have come behind the body
