import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from common.kube import client, credentials, informer, objects, reflector
from tests.fakes import kubernetes
from tests.fakes.kubernetes import bookmark, events, page, pod, refusal

NAMES = objects.decoder(objects.Pod, lambda pod: pod.metadata.name)


@dataclass
class Watched:
    fake: kubernetes.FakeKubernetes
    told: informer.Informer = field(init=False)
    changes: list[reflector.Change[str]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, change: reflector.Change[str]) -> None:
        self.changes.append(change)
        self.news.set()

    async def until(self, count: int) -> list[reflector.Change[str]]:
        async with asyncio.timeout(600):  # on the jumping clock: the follower keeps it moving
            while len(self.changes) < count:
                self.news.clear()
                await self.news.wait()
        return self.changes


@asynccontextmanager
async def watched(*answers: kubernetes.Answer, **options: object) -> AsyncIterator[Watched]:
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(*answers)
        seen = Watched(fake)
        async with informer.informing(
            api, "/api/v1/pods", NAMES, seen.take, jitter=lambda: 0.0, **options
        ) as told:
            seen.told = told
            yield seen


def queries(fake: kubernetes.FakeKubernetes) -> list[tuple[str, str]]:
    return [
        ("watch", r.query["resourceVersion"])
        if "watch" in r.query
        else ("list", r.query.get("continue", ""))
        for r in fake.requests
    ]


async def test_it_lists_in_pages_then_tells_every_change() -> None:
    async with watched(
        page(pod("a"), next_page="more"),
        page(pod("b"), version="5"),
        events(("ADDED", pod("c", version="6")), ("MODIFIED", pod("a", version="7")),
               ("DELETED", pod("b", version="8")), hang=True),
    ) as seen:  # fmt: skip
        assert not seen.told.synced
        assert seen.told.status == "listing"
        assert await seen.until(4) == [
            reflector.Replaced(("a", "b")), reflector.Added("c"), reflector.Modified("a"),
            reflector.Deleted("b"),
        ]  # fmt: skip
        assert (seen.told.synced, seen.told.healthy, seen.told.status) == (
            True,
            True,
            "synced",
        )
        counts = seen.told.counts
        assert (counts.lists, counts.watches, counts.events, counts.restarts, counts.errors) == (
            1,
            1,
            3,
            0,
            0,
        )


async def test_a_closed_or_broken_watch_resumes_from_the_last_bookmark() -> None:
    async with watched(
        page(version="5"),
        events(("ADDED", pod("a", version="6")), bookmark("20")),
        events(("ADDED", pod("b", version="21")), cut=True),
        events(("ADDED", pod("c", version="22")), hang=True),
    ) as seen:
        await seen.until(4)
        assert queries(seen.fake) == [
            ("list", ""),
            ("watch", "5"),
            ("watch", "20"),
            ("watch", "21"),
        ]
        assert seen.told.counts.errors == 1


@pytest.mark.parametrize("expired", [
    refusal(410, "Expired", "too old resource version"),
    events(("ERROR", {"code": 410, "reason": "Expired", "message": "too old"})),
])  # fmt: skip
async def test_410_lists_again(expired: kubernetes.Answer) -> None:
    async with watched(
        page(pod("a"), version="5"), expired, page(pod("b"), version="9"),
        events(("ADDED", pod("c", version="10")), hang=True),
    ) as seen:  # fmt: skip
        assert await seen.until(3) == [
            reflector.Replaced(("a",)), reflector.Replaced(("b",)), reflector.Added("c"),
        ]  # fmt: skip
        assert (seen.told.counts.restarts, seen.told.counts.errors) == (1, 1)
        assert seen.told.healthy


async def test_an_unreadable_event_lists_again() -> None:
    async with watched(
        page(version="5"), kubernetes.Answer(body=b"rubbish\n", hang=True), page(pod("a")),
    ) as seen:  # fmt: skip
        assert await seen.until(2) == [reflector.Replaced(()), reflector.Replaced(("a",))]
        assert seen.told.counts.restarts == 1


async def test_an_api_server_that_is_away_blocks_nobody_and_is_caught_up_with(caplog) -> None:
    caplog.set_level("INFO", logger="headgate.kube")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        access = credentials.anonymous(f"http://127.0.0.1:{port}")
        changes: list[reflector.Change[str]] = []
        async with (
            client.connecting(access) as api,
            informer.informing(
                api, "/api/v1/pods", NAMES, changes.append, jitter=lambda: 1.0
            ) as told,
        ):
            assert not await told.wait_synced(within=5.0)
            assert told.status.startswith("unreachable: connection refused, retrying in ")
            assert told.counts.errors >= 3
            assert not changes
            taken.close()
            server = await asyncio.start_server(_one_page, "127.0.0.1", port)
            async with server:
                assert await told.wait_synced(within=60.0)
            assert changes == [reflector.Replaced(("a",))]
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("API server trouble: unreachable: connection refused")
    assert said[1] == "API server answers again"


async def _one_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = page(pod("a")).body
    writer.write(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    writer.close()
    await writer.wait_closed()


async def test_what_was_known_is_kept_while_it_is_away() -> None:
    async with watched(page(pod("a")), refusal(403, "Forbidden", "no watch for you"), *[
        refusal(403, "Forbidden", "no watch for you") for _ in range(20)
    ]) as seen:  # fmt: skip
        await seen.until(1)
        await asyncio.sleep(10)
        assert seen.told.counts.errors >= 3
        assert seen.told.synced
        assert not seen.told.healthy
        assert seen.told.status.startswith("refused: 403 Forbidden: no watch for you, retrying")
        assert seen.told.status.endswith(
            ", what was known is kept; let our service account list and watch pods"
        )
        assert informer.troubles({"pods": seen.told}) == {"pods": seen.told.status}
        assert {kind for kind, _ in queries(seen.fake)[1:]} == {"watch"}


async def test_a_server_that_asks_for_patience_gets_it() -> None:
    async with watched(
        refusal(429, "TooManyRequests", "", Retry_After="60"), page(pod("a"))
    ) as seen:
        start = asyncio.get_running_loop().time()
        assert await seen.told.wait_synced(within=100)
        assert asyncio.get_running_loop().time() - start >= 60


async def test_selectors_travel_with_every_request() -> None:
    async with watched(
        page(), events(("ADDED", pod("a", version="2")), hang=True),
        field_selector="spec.nodeName=n1", label_selector="a=b",
    ) as seen:  # fmt: skip
        await seen.until(2)
        for request in seen.fake.requests[:2]:
            assert request.query["fieldSelector"] == "spec.nodeName=n1"
            assert request.query["labelSelector"] == "a=b"


async def test_leaving_stops_it_and_an_error_in_the_block_is_the_error_seen() -> None:
    async def block() -> None:
        async with watched(page(pod("a")), events(hang=True)) as seen:
            await seen.until(1)
            raise OSError("boom")

    with pytest.raises(ExceptionGroup) as caught:
        await block()
    assert caught.group_contains(OSError, match="boom")


async def test_a_bug_in_the_listener_ends_the_block() -> None:
    def listener(_: object) -> None:
        raise RuntimeError("BUG: mine")

    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(page())
        with pytest.raises(ExceptionGroup) as caught:
            async with informer.informing(api, "/api/v1/pods", NAMES, listener):
                await asyncio.sleep(3600)
    assert caught.group_contains(RuntimeError, match="BUG: mine")


NOT_UTF8 = b'{"metadata":{"name":"\xff"}}'


async def test_bytes_that_are_not_utf8_are_an_unreadable_answer_not_the_end() -> None:
    async with watched(
        kubernetes.Answer(body=b'{"items":[' + NOT_UTF8 + b"]}"),
        kubernetes.Answer(status=500, body=b'{"message":"\xff"}'),
        page(pod("a")),
        kubernetes.Answer(body=b'{"type":"ADDED","object":' + NOT_UTF8 + b"}\n"),
        page(pod("b")),
        events(hang=True),
    ) as seen:
        assert await seen.until(2) == [reflector.Replaced(("a",)), reflector.Replaced(("b",))]
        assert seen.told.counts.errors == 3


async def test_an_event_that_is_too_long_is_not_met_for_ever() -> None:
    line = kubernetes.events(("ADDED", pod("x" * 5000)))
    changes = list[reflector.Change[str]]()
    done = asyncio.Event()

    def take(change: reflector.Change[str]) -> None:
        changes.append(change)
        if len(changes) == 2:
            done.set()

    async with (
        kubernetes.serving() as fake,
        client.connecting(
            credentials.anonymous(fake.url), client.Limits(max_line_bytes=1000)
        ) as api,
    ):
        fake.script(page(), replace(line, body=line.body[:2000]), page(pod("b")))
        async with informer.informing(api, "/api/v1/pods", NAMES, take, jitter=lambda: 0.0):
            async with asyncio.timeout(600):
                await done.wait()
    assert changes == [reflector.Replaced(()), reflector.Replaced(("b",))]


async def test_the_right_that_is_missing_is_named_with_its_group() -> None:
    async with kubernetes.serving() as fake:
        fake.script(*[refusal(403, "Forbidden", "no")] * 20)
        async with (
            client.connecting(credentials.anonymous(fake.url)) as asking,
            informer.informing(
                asking,
                "/apis/apps/v1/deployments",
                objects.decoder(objects.Pod, objects.itself),
                lambda _: None,
            ) as told,
        ):
            await asyncio.sleep(10)
            assert told.status.endswith(
                "; let our service account list and watch deployments of apps"
            )


async def test_who_is_synced_and_healthy_is_in_no_trouble() -> None:
    async with watched(page(pod("a"))) as seen:
        assert await seen.told.wait_synced(within=10)
        assert informer.troubles({"pods": seen.told}) == {}
