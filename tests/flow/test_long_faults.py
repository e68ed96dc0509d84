"""Faults as long as they are in life, on the jumping clock: minutes of them with default settings.

One process: the real exporters speak to real sockets, of which loopback delivers at once. Where the
clock jumps over an answer all the same, a request is repeated, and nothing else.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from aiohttp import web

from common.config.gateway import Pipeline
from common.exporters.destination import Destination
from common.exporters.lookup import Found, Lookup
from common.service.ledger import Ledger
from common.wire import otlp
from gateway import destinations, shelves
from gateway.handover import Handover
from tests.fakes import http_server
from tests.flow import faulty, numbered
from tests.flow.faulty import KINDS, Backend, Hang, Say

MINUTE = 60.0  # seconds
EVERY = 0.5  # seconds between two requests
POINTS = 5
NAME = "backend.test"


@dataclass(slots=True, kw_only=True)
class Scene:
    """A destination with default settings, and what it was given."""

    backend: Backend
    destination: Destination
    ledger: Ledger
    given: set[int]

    async def give(self, seconds: float) -> None:
        """Offer a request every half second."""
        for _ in range(int(seconds / EVERY)):
            first = len(self.given) + 1
            numbers = range(first, first + POINTS)
            body = otlp.Encoded(numbered.request(numbers, "sender"))
            self.ledger.receive(POINTS, {})
            assert self.destination.offer(body, POINTS)
            self.given.update(numbers)
            await asyncio.sleep(EVERY)
            assert self.ledger.balance() == 0


@asynccontextmanager
async def scene(backend: Backend, **more: Any) -> AsyncIterator[Scene]:
    """Run a destination; after the block all that it was given has arrived, and nothing is lost."""
    document = {"name": "p", "output": backend.output, **more}
    ledger = Ledger("p")
    pipeline = msgspec.convert(document, Pipeline)
    async with (
        shelves.keeping(0, 0) as kept,
        destinations.entering(pipeline, ledger, shelves=kept, handover=Handover()) as destination,
    ):
        found = Scene(backend=backend, destination=destination, ledger=ledger, given=set())
        yield found
    assert ledger.balance() == ledger.held == 0
    assert not any(ledger.dropped.values()), ledger.dropped
    assert ledger.delivered == ledger.received == len(found.given)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "act",
    [None, faulty.UNAVAILABLE, Say(status=429, code=8, retry_after=20.0), Hang()],
    ids=["refused", "503", "429", "hang"],
)
async def test_a_minute_of_it_costs_nothing(kind, act, clock) -> None:
    async with faulty.serving(kind) as backend, scene(backend) as found:
        await found.give(10.0)
        began = clock()
        if act is None:
            await backend.shut()
        else:
            backend.rule = faulty.always(act)
        had = set(backend.taken)
        await found.give(MINUTE)
        assert clock() - began == pytest.approx(MINUTE)
        assert found.destination.stats().condition.state == "failing"
        assert set(backend.taken) == had, "something came through"
        if act is None:
            await backend.open()
        backend.rule = faulty.FINE
        await found.give(MINUTE)
        stats = found.destination.stats()
        assert (stats.condition.state, stats.oldest_age < 5.0) == ("delivering", True)
    assert set(backend.taken) == found.given


class Wall:
    """A wall clock that goes with the loop's, but for what it is `ahead`."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return self.true() + self.ahead

    def true(self) -> float:
        return 1_700_000_000.0 + asyncio.get_running_loop().time()


@pytest.fixture
def wall(monkeypatch) -> Wall:
    made = Wall()
    monkeypatch.setattr(time, "time", made)
    monkeypatch.setattr(time, "time_ns", lambda: int(made() * 10**9))
    return made


JUMPS = pytest.mark.parametrize("jump", [3600.0, -3600.0], ids=["forwards", "backwards"])


@JUMPS
@pytest.mark.parametrize("kind", KINDS)
async def test_a_clock_that_jumps_while_the_backend_is_away_makes_nothing_too_old(
    kind, jump, wall
) -> None:
    async with faulty.serving(kind) as backend, scene(backend) as found:
        await found.give(10.0)
        backend.rule = faulty.always(faulty.UNAVAILABLE)
        await found.give(20.0)
        wall.ahead = jump
        await found.give(20.0)
        wall.ahead = 0.0
        await found.give(20.0)
        backend.rule = faulty.FINE
        await found.give(MINUTE)
        assert found.destination.stats().oldest_age < 5.0
    assert set(backend.taken) == found.given


@JUMPS
@pytest.mark.parametrize("kind", ["http", "remote_write"])
async def test_a_date_to_come_again_means_what_it_means_on_the_backend_s_clock(
    kind, jump, wall
) -> None:
    async with faulty.serving(kind) as backend, scene(backend) as found:
        wall.ahead = jump
        backend.rule = faulty.always(Say(status=429, code=8, retry_after=40.0, clock=wall.true))
        await found.give(MINUTE)
        backend.rule = faulty.FINE
        await found.give(MINUTE)
    assert set(backend.taken) == found.given
    waits = [b - a for each in backend.attempts.values() for a, b in pairwise(each)]
    assert min(waits) >= 39.0  # dates are whole seconds


@JUMPS
@pytest.mark.parametrize("kind", ["http", "remote_write"])
async def test_a_date_from_a_backend_that_does_not_tell_its_time_is_not_believed_far(
    kind, jump, wall
) -> None:
    async with faulty.serving(kind) as backend, scene(backend) as found:
        wall.ahead = jump
        backend.rule = faulty.always(
            Say(status=429, code=8, retry_after=5.0, clock=wall.true, dated=False)
        )
        await found.give(10.0)
        backend.rule = faulty.FINE
        await found.give(2 * MINUTE)
        assert found.destination.stats().oldest_age < 5.0
    assert set(backend.taken) == found.given


@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_that_leads_elsewhere_is_followed_though_the_old_place_still_answers(
    kind, monkeypatch
) -> None:
    names = {NAME: "127.0.0.1"}

    async def resolve(_: Lookup, host: str, port: int, *__: int) -> Found:
        where = (names.get(host, host), port)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]

    monkeypatch.setattr(Lookup, "find", resolve)
    async with faulty.serving(kind, name=NAME) as old:
        new = Backend(kind, old.port, host="127.0.0.2", name=NAME)
        await new.open()
        try:
            async with scene(old) as found:
                await found.give(10.0)
                names[NAME] = new.host
                await found.give(2 * MINUTE)
                had = len(old.taken)
                await found.give(MINUTE)
                assert len(old.taken) == had
        finally:
            await new.shut()
    assert set(old.taken) | set(new.taken) == found.given


@asynccontextmanager
async def token_server(life: int) -> AsyncIterator[tuple[str, list[float]]]:
    """Answer every request with a token that lives *life* seconds; yield the URL and the times."""
    asked: list[float] = []

    async def give(_: web.BaseRequest) -> web.Response:
        asked.append(asyncio.get_running_loop().time())
        token = {"access_token": f"t{len(asked)}", "token_type": "Bearer", "expires_in": life}
        return web.json_response(token)

    async with http_server.serving(give) as url:
        yield f"{url}/token", asked


@JUMPS
@pytest.mark.parametrize("kind", KINDS)
async def test_a_token_lives_as_long_as_it_was_given_whatever_the_wall_clock_says(
    kind, jump, wall
) -> None:
    async with faulty.serving(kind) as backend, token_server(life=600) as (url, asked):
        oauth2 = {"token_url": url, "client_id": "c", "client_secret": "s"}
        ((name, section),) = backend.output.items()
        output = {name: {**section, "auth": {"oauth2": oauth2}}}
        async with scene(backend, output=output) as found:
            await found.give(10.0)
            wall.ahead = jump
            await found.give(MINUTE)
            assert len(asked) == 1
            wall.ahead = 0.0
            await found.give(600.0)
            assert len(asked) == 2
    assert set(backend.taken) == found.given
