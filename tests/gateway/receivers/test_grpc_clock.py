"""When a connection has taken too long."""

import pytest

from common.config.doors import Limits
from common.wire.http2 import Server
from gateway.receivers.grpc_clock import LINGER, ROUND_TRIP, Clock
from tests.fakes import http2_wire as wire

FOREVER = float("inf")


def clock(age: float = FOREVER, **limits: float) -> Clock:
    return Clock(Limits(**limits), 100.0, age)


def look(ours: Clock, now: float, core: Server | None = None, *, busy: bool = False) -> str | None:
    return ours.look(100.0 + now, core or wire.server(), busy=busy)


def test_a_new_connection_has_time() -> None:
    assert look(clock(), 1.0) is None


def test_without_an_interval_silence_is_not_asked_about() -> None:
    ours = clock(idle_timeout=FOREVER, keepalive_interval=0.0)
    assert look(ours, 1e9) is None


@pytest.mark.parametrize("busy", [True, False])
def test_only_who_has_nothing_to_do_is_idle(busy: bool) -> None:  # noqa: FBT001
    ours = clock(idle_timeout=10.0, keepalive_interval=0.0)
    assert look(ours, 9.9, busy=busy) is None
    assert look(ours, 10.0, busy=busy) == (None if busy else "idle")
    core = wire.server()
    core.receive(wire.headers(1), 0.0)
    assert look(ours, 10.0, core) is None


def test_silence_is_asked_about_once() -> None:
    ours = clock(keepalive_interval=10.0, keepalive_timeout=5.0, idle_timeout=FOREVER)
    assert [look(ours, t) for t in (9.0, 10.0, 11.0, 14.9)] == [None, "ask", None, None]
    ours.heard = 115.0
    assert [look(ours, t) for t in (16.0, 25.0, 26.0, 30.0)] == [None, "ask", None, "keepalive"]


def test_leaving_takes_a_round_trip_and_at_most_the_grace() -> None:
    ours = clock(connection_grace=5.0)
    ours.leaving_since = 101.0
    assert [look(ours, 1.0 + t) for t in (0.5, ROUND_TRIP, 2.0, 5.0)] == [
        None, "stop", None, "close",
    ]  # fmt: skip


def test_after_the_good_bye_nothing_is_asked() -> None:
    ours = clock(age=0.0)
    ours.closing_since = 100.0
    assert look(ours, LINGER - 0.1) is None
    assert look(ours, LINGER) == "close"


def test_age_comes_once_it_has_come() -> None:
    assert look(clock(age=7.0), 6.9) is None
    assert look(clock(age=7.0), 7.0) == "age"


def test_answers_that_wait_are_counted_from_when_they_were_first_seen() -> None:
    ours, core = clock(read_timeout=5.0, idle_timeout=FOREVER), wire.server()
    core.receive(wire.settings((4, 0)) + wire.headers(1, ended=True), 0.0)
    core.respond(1, wire.OK, b"abc", wire.TRAILERS)
    assert [look(ours, t, core) for t in (10.0, 14.9)] == [None, None]
    assert look(ours, 15.0) is None  # a moment without any
    assert [look(ours, t, core) for t in (16.0, 20.9, 21.0)] == [None, None, "unread"]
