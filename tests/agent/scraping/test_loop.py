"""Every target is scraped at its ticks, whatever the others do, and the outcome is handed on."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from agent import targets
from agent.exposition import model
from agent.scraping import credentials, loop as scraping
from agent.scraping.response import Cause
from agent.scraping.state import Health, Oddity, State
from agent.scraping.terms import Terms
from common.config import agent as config, agent_inputs
from common.wire import otlp
from tests.agent.exposer import HANG, Exposer, Say, exposing, page

EPOCH = 1_700_000_000
GOOD = page(b"# TYPE a gauge\na 1\nb 2\n")
BROKEN = page(b"a 1\nb two\n")
STALE = 1  # DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


@dataclass
class Gateway:
    """Takes points like the queue to the gateway, and lets tests look inside."""

    room: bool = True
    taken: list[bytes] = field(default_factory=list)
    points: int = 0

    def offer(self, body: otlp.Encoded, points: int) -> bool:
        assert otlp.count(body) == points
        if self.room:
            self.taken.append(body)
            self.points += points
        return self.room

    def values(self, job: str) -> list[dict[str, float | None]]:
        """Return, per request of *job*, its values by metric name; ``None`` is a stale marker."""
        found = []
        for body in self.taken:
            values: dict[str, float | None] = {}
            for frame in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                resource = {a.key: a.value.string_value for a in frame.resource.attributes}
                if resource["service.name"] != job:
                    continue
                for scope in frame.scope_metrics:
                    for metric in scope.metrics:
                        (point,) = metric.gauge.data_points
                        stale = point.flags & STALE
                        values[metric.name] = None if stale else point.as_double
            if values:
                found.append(values)
        return found


def slow_wall() -> int:
    """A wall clock that loses half a millisecond in ten seconds: every timer fires early."""
    return round(EPOCH * scraping.SECOND + asyncio.get_running_loop().time() * 999_950_000)


def wall() -> int:
    return EPOCH * scraping.SECOND + round(asyncio.get_running_loop().time() * scraping.SECOND)


def terms(document: config.Agent = config.Agent(), **changes: object) -> Terms:  # noqa: B008 - immutable
    given = {
        "max_body_bytes": 1000,
        "max_concurrency": 10,
        "max_fetching_bytes": 1 << 20,
        "max_redirects": 3,
        "max_leaving": 10,
        "wall": wall,
    } | changes
    return Terms(
        **given,
        limits=model.Limits(samples=10),
        version="1.2.3",
        credentials=credentials.profiles(document, asyncio.get_running_loop().time),
        stopwatch=asyncio.get_running_loop().time,
    )


def target(
    where: Exposer, job: str, *, interval: float = 10, timeout: float = 5, **changes: str
) -> targets.Target:
    return targets.Target(
        url=where.url,
        job=job,
        instance=f"127.0.0.1:{where.port}",
        subject=targets.STATIC,
        attributes=(("kyma.input.name", "prometheus"),),
        interval=interval,
        timeout=timeout,
        kind="static",
        **changes,
    )


def by_url(*wanted: targets.Target) -> dict[str, targets.Target]:
    return {one.url: one for one in wanted}


def state(loop: scraping.Loop, job: str) -> State:
    (found,) = [one for one in loop.states if one.target.job == job]
    return found


@asynccontextmanager
async def running(
    gateway: Gateway, *scripts: Sequence[Say], **changes: object
) -> AsyncIterator[tuple[scraping.Loop, list[Exposer]]]:
    """Run a loop without targets, and one exposer for each of *scripts*."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(exposing(*script)) for script in scripts]
        loop = await stack.enter_async_context(scraping.scraping(terms(**changes), gateway.offer))
        yield loop, servers


async def test_a_timer_that_fires_early_makes_no_second_scrape_of_the_same_tick() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD], wall=slow_wall) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(60)
        assert len(server.requests) == 6
        assert (loop.counts.scrapes["up"], loop.counts.late) == (6, 0)


async def test_a_target_is_scraped_once_an_interval_at_its_ticks() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        assert state(loop, "good").health is Health.PENDING
        assert 0 < state(loop, "good").next_scrape - wall() <= 10 * scraping.SECOND
        await asyncio.sleep(60)
        found = state(loop, "good")
        assert (found.health, found.error, found.samples) == (Health.UP, "", 2)
        assert len(server.requests) == 6
        assert server.connections == 1
        assert loop.counts.scrapes["up"] == 6
        assert (loop.counts.samples, loop.counts.known) == (12, 5)
        assert loop.counts.bytes == loop.counts.wire_bytes == 6 * found.bytes
        times = {
            point.time_unix_nano
            for body in gateway.taken
            for metric in ExportMetricsServiceRequest.FromString(body)
            .resource_metrics[0]
            .scope_metrics[0]
            .metrics
            for point in metric.gauge.data_points
        }
    assert len(times) == 6
    assert {time % (10 * scraping.SECOND) for time in times} == {
        found.next_scrape % (10 * scraping.SECOND)
    }
    assert gateway.values("good")[0] == {
        "a": 1.0,
        "b": 2.0,
        "up": 1.0,
        "scrape_duration_seconds": 0.0,
        "scrape_samples_scraped": 2.0,
        "scrape_samples_post_metric_relabeling": 2.0,
        "scrape_series_added": 2.0,
    }


async def test_the_resource_says_whose_points_they_are() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        (frame,) = otlp.frames(gateway.taken[0])
        assert otlp.string_attributes(frame.resource) == {
            "service.name": "good",
            "service.instance.id": f"127.0.0.1:{server.port}",
            "server.address": "127.0.0.1",
            "server.port": str(server.port),
            "url.scheme": "http",
            "kyma.input.name": "prometheus",
        }


async def test_a_broken_exposition_fails_alone_and_names_line_and_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    gateway = Gateway()
    async with running(gateway, [GOOD], [GOOD, BROKEN, BROKEN, GOOD]) as (loop, servers):
        good, bad = (target(s, j) for s, j in zip(servers, ("good", "bad"), strict=True))
        loop.update(by_url(good, bad))
        await asyncio.sleep(30)
        failing = state(loop, "bad")
        assert failing.health is Health.FAILING
        assert failing.error.startswith("line 2, ")
        assert failing.error.endswith("'two'")
        assert state(loop, "good").health is Health.UP
        assert loop.counts.scrapes[Cause.MALFORMED] == 2
        warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert warnings == [f"target {bad.url} fails: {failing.error}"]  # once, not each time
        await asyncio.sleep(10)
        assert state(loop, "bad").health is Health.UP
        assert state(loop, "bad").error == ""
        assert f"target {bad.url} is up again" in caplog.messages
    first, second, third, fourth = gateway.values("bad")
    assert first["a"] == fourth["a"] == 1.0
    assert (second["up"], second["a"], second["b"]) == (0.0, None, None)
    assert (third["up"], third.keys() & {"a", "b"}) == (0.0, set())  # markers come once
    assert [values["up"] for values in gateway.values("good")] == [1.0] * 4


async def test_a_slow_target_misses_its_own_ticks_and_nobody_elses() -> None:
    async with running(Gateway(), [GOOD], [HANG]) as (loop, (fast, slow)):
        loop.update(
            by_url(
                target(fast, "fast", interval=1.0),
                target(slow, "slow", interval=1.0, timeout=2.5),
            )
        )
        await asyncio.sleep(30)
        assert loop.counts.scrapes["up"] == 30
        assert loop.counts.scrapes[Cause.TIMEOUT] in {9, 10}
        late = state(loop, "slow")
        assert late.late == loop.counts.late in {18, 20}
        assert late.error.startswith("timeout: no complete answer within 2.5 s (no answer came): ")
        assert late.failures == loop.counts.scrapes[Cause.TIMEOUT]
        assert state(loop, "fast").late == 0


async def test_a_body_over_the_limit_is_a_failure_that_names_it() -> None:
    gateway = Gateway()
    async with running(gateway, [page(b"x" * 1001)], [page(b"a 1\n" * 11)]) as (loop, servers):
        loop.update(by_url(*(target(s, j) for s, j in zip(servers, "bs", strict=True))))
        await asyncio.sleep(10)
        assert "1001 bytes, more than 1000 bytes" in state(loop, "b").error
        assert state(loop, "s").health is Health.FAILING
        assert "10" in state(loop, "s").error  # samples
        assert loop.counts.scrapes[Cause.TOO_LARGE] == 2
    assert gateway.values("b")[0]["up"] == gateway.values("s")[0]["up"] == 0.0


async def test_a_refused_connection_comes_with_the_hint_of_its_target() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    nobody = target(Exposer([], port=port), "nobody")
    hinted = targets.Target(
        url=nobody.url, job="nobody", instance="i", subject="shop/p", attributes=(),
        interval=1, timeout=1, hint="prometheus.io/port=1 but the container listens on 2",
    )  # fmt: skip
    async with running(Gateway()) as (loop, _):
        loop.update(by_url(hinted))
        await asyncio.sleep(1)
        assert state(loop, "nobody").error == (
            "connection refused: prometheus.io/port=1 but the container listens on 2"
        )


def stamps(body: bytes) -> set[int]:
    return {
        point.time_unix_nano
        for frame in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in frame.scope_metrics
        for metric in scope.metrics
        for point in metric.gauge.data_points
    }


async def test_a_target_that_is_gone_is_marked_stale_two_ticks_later_at_the_first_of_them() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        following = state(loop, "good").next_scrape
        loop.update({})
        assert list(loop.states) == []
        assert loop.leavers == 1
        assert loop.held_bytes > 0
        until = (following - wall()) / scraping.SECOND + 11
        await asyncio.sleep(until - 0.1)
        assert len(gateway.taken) == 1
        await asyncio.sleep(0.2)
        last = gateway.values("good")[-1]
        assert last["a"] is last["b"] is last["up"] is None
        assert len(last) == 7
        assert stamps(gateway.taken[-1]) == {following}
        assert (loop.leavers, loop.held_bytes, loop.counts.hurried) == (0, 0, 0)
        await asyncio.sleep(100)
        assert len(server.requests) == 1
        assert len(gateway.taken) == 2
        assert not server.open


async def test_a_target_that_comes_back_in_time_goes_on_with_its_series() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        loop.update({})
        await asyncio.sleep(10)  # its time is 11 s at the least
        loop.update(by_url(target(server, "good")))
        assert loop.leavers == 0
        await asyncio.sleep(60)
        assert loop.counts.stale == 0
        assert loop.counts.known == 6  # of seven: the shape was kept
        assert all(None not in values.values() for values in gateway.values("good"))


async def test_too_many_leavers_are_marked_before_their_time() -> None:
    gateway = Gateway()
    scripts = [[GOOD]] * 3
    async with running(gateway, *scripts, max_leaving=2) as (loop, servers):
        loop.update(by_url(*(target(s, j) for s, j in zip(servers, "abc", strict=True))))
        await asyncio.sleep(10)
        loop.update({})
        assert (loop.leavers, loop.counts.hurried, loop.counts.stale) == (2, 1, 7)
        await asyncio.sleep(30)
        assert (loop.leavers, loop.counts.hurried, loop.counts.stale) == (0, 1, 21)
    assert [gateway.values(job)[-1]["up"] for job in "abc"] == [None] * 3


async def test_markers_of_a_target_that_is_gone_are_offered_until_there_is_room() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        following = state(loop, "good").next_scrape
        loop.update({})
        gateway.room = False
        await asyncio.sleep(60)
        assert (loop.leavers, loop.counts.stale, loop.counts.departed) == (1, 0, 0)
        gateway.room = True
        await asyncio.sleep(30)
        assert (loop.leavers, loop.counts.stale, loop.counts.departed) == (0, 7, 1)
        assert loop.counts.lost_scrapes == 0
    assert gateway.values("good")[-1]["up"] is None
    assert stamps(gateway.taken[-1]) == {following}


async def test_markers_that_never_find_room_are_given_up_and_counted() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        loop.update({})
        gateway.room = False
        await asyncio.sleep(280)  # the first try is after 11 to 21 s, nine more follow
        assert (loop.leavers, loop.counts.lost_scrapes) == (1, 0)
        await asyncio.sleep(12)
        assert (loop.leavers, loop.held_bytes) == (0, 0)
        assert (loop.counts.lost_scrapes, loop.counts.stale, loop.counts.departed) == (1, 0, 1)


async def test_a_target_whose_markers_found_no_room_may_still_come_back() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD, page(b"a 1\n")]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        loop.update({})
        gateway.room = False
        await asyncio.sleep(30)
        gateway.room = True
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        last = gateway.values("good")[-1]
        assert (last["a"], last["b"], last["up"]) == (1.0, None, 1.0)


async def test_our_own_end_marks_nobody_stale_who_was_leaving() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        loop.update({})
    assert len(gateway.taken) == 1


async def test_a_target_that_was_never_scraped_leaves_no_trace() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        loop.update({})
        assert loop.leavers == 0
        await asyncio.sleep(100)
        assert (server.requests, gateway.taken) == ([], [])


async def test_removal_during_a_scrape_leaves_nothing_behind_the_markers() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD, HANG]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await server.until(lambda: len(server.requests) == 2)
        loop.update({})
        await asyncio.sleep(100)
        assert len(gateway.taken) == 2
        assert gateway.values("good")[-1]["up"] is None


async def test_another_pace_keeps_the_series() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        loop.update(by_url(target(server, "good", interval=1.0)))
        await asyncio.sleep(10)
        assert len(server.requests) == 11
        assert loop.counts.stale == 0
        assert loop.counts.known == 10


async def test_another_pod_behind_the_same_url_is_another_target() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "one")))
        await asyncio.sleep(10)
        loop.update(by_url(target(server, "two")))
        await asyncio.sleep(10)
        assert loop.leavers == 1
        assert gateway.values("two")[-1]["up"] == 1.0
        await asyncio.sleep(20)
        assert gateway.values("one")[-1]["up"] is None
        assert gateway.values("two")[-1]["up"] == 1.0


async def test_our_own_end_marks_nothing_stale() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD], [HANG]) as (loop, servers):
        loop.update(by_url(*(target(s, j) for s, j in zip(servers, "ab", strict=True))))
        await asyncio.sleep(10)
    assert len(gateway.values("a")) == 1
    assert gateway.values("a")[0]["up"] == 1.0


async def test_a_scrape_that_finds_no_room_is_dropped_whole_and_counted() -> None:
    gateway = Gateway(room=False)
    async with running(gateway, [GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(20)
        assert gateway.taken == []
        assert loop.counts.lost_scrapes == 2
        assert state(loop, "good").health is Health.UP  # the target is not to blame


async def test_markers_that_found_no_room_come_with_the_next_scrape() -> None:
    gateway = Gateway()
    async with running(gateway, [GOOD, page(b"a 1\n")]) as (loop, (server,)):
        loop.update(by_url(target(server, "good")))
        await asyncio.sleep(10)
        gateway.room = False
        await asyncio.sleep(10)
        gateway.room = True
        await asyncio.sleep(10)
        assert loop.counts.lost_scrapes == 1
        first, second = gateway.values("good")
        assert (first["b"], second["b"], second["a"]) == (2.0, None, 1.0)


async def test_no_more_scrapes_are_under_way_than_allowed() -> None:
    scripts = [[HANG]] * 6
    async with running(Gateway(), *scripts, max_concurrency=2) as (loop, servers):
        loop.update(by_url(*(target(s, f"t{i}", interval=1.0) for i, s in enumerate(servers))))
        most = 0
        for _ in range(40):
            await asyncio.sleep(0.5)
            most = max(most, sum(len(server.open) for server in servers))
        assert most == 2
        assert all(server.requests for server in servers)  # and everybody has a turn


async def test_answers_without_a_type_are_read_counted_and_said_to_be_odd_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    bare = Say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n")
    async with running(Gateway(), [bare]) as (loop, (server,)):
        loop.update(by_url(target(server, "bare")))
        await asyncio.sleep(20)
        found = state(loop, "bare")
        assert found.health is Health.UP
        assert found.oddities == {
            Oddity.FALLBACK: "no content type is no exposition format; read as text"
        }
        assert loop.counts.unlabelled == 2
    odd = [r.getMessage() for r in caplog.records if "is odd" in r.getMessage()]
    assert odd == [
        f"target {server.url} is odd: no content type is no exposition format; read as text"
    ]


async def test_a_page_for_people_is_told_apart_from_metrics() -> None:
    html = page(b"<!DOCTYPE html><title>shop</title>")
    async with running(Gateway(), [html]) as (loop, (server,)):
        loop.update(by_url(target(server, "html")))
        await asyncio.sleep(10)
        assert state(loop, "html").error.endswith(
            "the body starts with '<!DOCTYPE html><': is the path right? see the target's url in "
            "static_targets"
        )


async def test_redirects_are_followed_and_counted() -> None:
    moved = page(b"", b"Location: /m", status=b"307 Temporary Redirect")
    async with running(Gateway(), [moved, GOOD]) as (loop, (server,)):
        loop.update(by_url(target(server, "moved")))
        await asyncio.sleep(10)
        assert (loop.counts.redirects, state(loop, "moved").redirects) == (1, 1)
        assert state(loop, "moved").health is Health.UP


async def test_a_target_that_repeats_our_secret_finds_it_blotted_out() -> None:
    secret = "correct-horse-battery"
    given = config.StaticTarget(url="http://x:1", auth=agent_inputs.ScrapeAuth(bearer_token=secret))
    reason = page(b"", status=b"401 You said " + secret.encode())
    line = page(b"a 1\nb " + secret.encode() + b"\n")
    document = config.Agent(static_targets=(given,))
    async with running(Gateway(), [reason, line], document=document) as (loop, (server,)):
        loop.update(by_url(target(server, "echo", credentials="static:0")))
        await asyncio.sleep(10)
        assert state(loop, "echo").error == (
            "status 401 You said ***: the target wants credentials, or does not like these; see "
            "static_targets[0].auth"
        )
        await asyncio.sleep(10)
        assert state(loop, "echo").error.startswith("line 2, ")
        assert "horse" not in state(loop, "echo").error
    assert f"Authorization: Bearer {secret}".encode() in server.requests[0]
