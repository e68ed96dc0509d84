import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from common.kube import client, credentials, reflector
from tests.fakes import kubernetes

FIRST = reflector.ListPage(next_page="", version="", limit=500)
WATCH = reflector.Watch(version="7", timeout=60)


async def test_a_page_asks_for_what_the_step_says() -> None:
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(*[kubernetes.page() for _ in range(3)])
        await api.page("/api/v1/pods", FIRST, {"fieldSelector": "spec.nodeName=n1"})
        await api.page("/api/v1/pods", replace(FIRST, version="0"))
        await api.page("/api/v1/pods", replace(FIRST, version="0", next_page="a/b="))
        assert [dict(r.query) for r in fake.requests] == [
            {"limit": "500", "fieldSelector": "spec.nodeName=n1"},
            {"limit": "500", "resourceVersion": "0"},
            {"limit": "500", "continue": "a/b="},
        ]
        assert {r.path for r in fake.requests} == {"/api/v1/pods"}
        assert fake.requests[0].headers["Accept-Encoding"] == "identity"
        assert "Authorization" not in fake.requests[0].headers


async def test_a_watch_yields_lines_however_they_are_cut() -> None:
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(kubernetes.Answer(body=b'{"a":1}\n{"b":2}\n{"unfinished'))
        async with api.watch("/api/v1/pods", WATCH, {"labelSelector": "a=b"}) as lines:
            assert [line async for line in lines] == [b'{"a":1}', b'{"b":2}']
        assert dict(fake.requests[0].query) == {
            "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "60",
            "resourceVersion": "7", "labelSelector": "a=b",
        }  # fmt: skip


async def test_long_lines_survive_being_read_in_pieces() -> None:
    long = b"x" * 1_000_000
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(kubernetes.Answer(body=long + b"\n" + long + b"\n"))
        async with api.watch("/w", WATCH) as lines:
            assert [line async for line in lines] == [long, long]


async def test_a_line_or_a_page_beyond_the_limit_is_refused() -> None:
    limits = client.Limits(max_page_bytes=100, max_line_bytes=100)
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url), limits) as api,
    ):
        fake.script(kubernetes.Answer(body=b"x" * 101), kubernetes.Answer(body=b"x" * 101))
        with pytest.raises(client.TooLong, match="exceeds 100 bytes; ask for fewer"):
            await api.page("/p", FIRST)
        async with api.watch("/w", WATCH) as lines:
            with pytest.raises(client.TooLong, match="event of /w exceeds 100 bytes"):
                await anext(lines)


async def test_a_refusal_has_status_reason_message_and_retry_after() -> None:
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(kubernetes.refusal(429, "TooManyRequests", "slow down", Retry_After="7"))
        with pytest.raises(client.Refused) as caught:
            await api.get("/x")
        assert (caught.value.status, caught.value.retry_after) == (429, 7.0)
        assert str(caught.value) == "429 TooManyRequests: slow down"


async def test_a_refusal_by_something_else_is_still_a_refusal() -> None:
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(kubernetes.Answer(status=502, body=b"<html>", headers={"Retry-After": "soon"}))
        with pytest.raises(client.Refused, match="502 Bad Gateway") as caught:
            await api.get("/x")
        assert caught.value.retry_after == 0.0


async def test_a_redirect_is_not_followed_with_our_token() -> None:
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(kubernetes.Answer(status=307, headers={"Location": "/elsewhere"}))
        with pytest.raises(client.Refused, match="307"):
            await api.get("/x")
        assert len(fake.requests) == 1


async def test_nobody_listening_is_unreachable_in_plain_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with client.connecting(credentials.anonymous(url)) as api:
            with pytest.raises(client.Unreachable, match=r"^connection refused$"):
                await api.get("/x")


async def test_silence_is_a_timeout() -> None:
    limits = client.Limits(request_timeout=3.0)
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url), limits) as api,
    ):
        fake.script(kubernetes.Answer(hang=True), kubernetes.Answer(hang=True))
        with pytest.raises(client.Unreachable, match=r"^timed out$"):
            await api.get("/x")
        start = asyncio.get_running_loop().time()
        async with api.watch("/w", WATCH) as lines:
            with pytest.raises(client.Unreachable, match=r"^timed out$"):
                await anext(lines)
        assert asyncio.get_running_loop().time() - start == pytest.approx(90, abs=2)


async def test_a_cut_connection_is_unreachable() -> None:
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(kubernetes.Answer(body=b"{}\n", cut=True))
        async with api.watch("/w", WATCH) as lines:
            assert await anext(lines) == b"{}"
            with pytest.raises(client.Unreachable):
                await anext(lines)


async def test_the_token_is_read_again_for_every_request(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    access = replace(
        credentials.anonymous("http://x"), authorization=credentials._token_file(tmp_path / "token")
    )
    async with (
        kubernetes.serving() as fake,
        client.connecting(replace(access, server=fake.url)) as api,
    ):
        fake.script(kubernetes.page(), kubernetes.page())
        await api.get("/x")
        (tmp_path / "token").write_text("two")
        await api.get("/x")
        assert [r.headers["Authorization"] for r in fake.requests] == ["Bearer one", "Bearer two"]
        (tmp_path / "token").unlink()
        with pytest.raises(client.Unreachable, match="no such file"):
            await api.get("/x")


async def test_objects_are_created_replaced_patched_and_deleted() -> None:
    async with (
        kubernetes.serving() as fake,
        client.connecting(credentials.anonymous(fake.url)) as api,
    ):
        fake.script(*[kubernetes.Answer(body=b'{"kind":"Pod"}') for _ in range(5)])
        assert await api.create("/pods", {"a": 1}) == b'{"kind":"Pod"}'
        await api.replace("/pods/x", {"a": 2})
        await api.patch("/pods/x", {"a": None})
        await api.patch("/pods/x", {"a": 3}, kind="apply", params={"fieldManager": "me"})
        await api.delete("/pods/x")
        seen = [(r.method, r.headers.get("Content-Type"), dict(r.query)) for r in fake.requests]
        assert seen[:4] == [
            ("POST", "application/json", {}), ("PUT", "application/json", {}),
            ("PATCH", "application/merge-patch+json", {}),
            ("PATCH", "application/apply-patch+yaml", {"fieldManager": "me"}),
        ]  # fmt: skip
        assert seen[4][0] == "DELETE"
        assert [msgspec.json.decode(b) for b in fake.bodies[:4]] == [
            {"a": 1},
            {"a": 2},
            {"a": None},
            {"a": 3},
        ]


@pytest.mark.wallclock  # names are looked up in a thread
async def test_a_host_that_is_no_name_is_unreachable() -> None:
    async with client.connecting(credentials.anonymous("http://api..cluster")) as api:
        with pytest.raises(client.Unreachable, match="not a host name"):
            await api.get("/")
