"""The client gets the body, keeps the connection, and says in words what went wrong."""

import asyncio
import contextlib
import gzip
import socket
import ssl
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from agent.scraping import fetch
from agent.scraping.response import Cause, Failed, Fetched, Outcome
from tests.agent.exposer import GREET, HANG, HANG_UP, Exposer, Say, exposing, page
from tests.fakes import certificates

pytestmark = pytest.mark.wallclock


def client(url: str, *, timeout: float = 5.0, tls: ssl.SSLContext | None = None) -> fetch.Client:
    request = fetch.Request(url=url, timeout=timeout, max_bytes=1_000_000, user_agent="test/1")
    return fetch.Client(request, tls)


async def once(url: str, *, timeout: float = 5.0, tls: ssl.SSLContext | None = None) -> Outcome:  # noqa: ASYNC109 - the client's own limit is under test
    with contextlib.closing(client(url, timeout=timeout, tls=tls)) as asking:
        return await asking.fetch()


def failure(outcome: Outcome) -> tuple[Cause, str]:
    assert isinstance(outcome, Failed), outcome
    return outcome.cause, outcome.why


def body(outcome: Outcome) -> bytes:
    assert isinstance(outcome, Fetched), outcome
    return outcome.body


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_scrapes_share_a_connection_and_say_what_they_understand() -> None:
    async with exposing(page(b"a 1\n"), page(b"a 2\n")) as target:
        with contextlib.closing(client(f"{target.url}?x=1", timeout=2.5)) as asking:
            assert [body(await asking.fetch()) for _ in range(3)] == [b"a 1\n", b"a 2\n", b"a 2\n"]
    assert target.connections == 1
    assert target.requests[0].decode().split("\r\n") == [
        "GET /metrics?x=1 HTTP/1.1",
        f"Host: 127.0.0.1:{target.port}",
        "User-Agent: test/1",
        f"Accept: {fetch.ACCEPT}",
        "Accept-Encoding: identity",
        "X-Prometheus-Scrape-Timeout-Seconds: 2.5",
    ]


async def test_a_large_body_in_small_pieces_arrives_whole() -> None:
    large = b"".join(b"series_%d 1\n" % i for i in range(50_000))
    said = page(large)
    async with exposing(Say(said.data, step=30_011)) as target:
        assert body(await once(target.url)) == large


async def test_gzip_is_understood_though_not_asked_for() -> None:
    async with exposing(page(gzip.compress(b"a 1\n"), b"Content-Encoding: gzip")) as target:
        assert body(await once(target.url)) == b"a 1\n"


async def test_a_connection_that_the_target_closed_meanwhile_is_made_anew() -> None:
    async with exposing(page(b"a 1\n")) as target:
        with contextlib.closing(client(target.url)) as asking:
            await asking.fetch()
            target.drop_connections()
            assert body(await asking.fetch()) == b"a 1\n"  # perhaps before we noticed
            target.drop_connections()
            await target.until(lambda: not target.open)
            assert body(await asking.fetch()) == b"a 1\n"
    assert target.connections == 3


async def test_a_target_that_always_hangs_up_is_not_asked_for_ever() -> None:
    async with exposing(page(b"a 1\n"), HANG_UP) as target:
        with contextlib.closing(client(target.url)) as asking:
            await asking.fetch()
            cause, why = failure(await asking.fetch())
    assert cause is Cause.CLOSED_EARLY
    assert "no answer came" in why
    assert len(target.requests) == 3


async def test_a_connection_with_bytes_nobody_asked_for_is_not_used_again() -> None:
    async with exposing(Say(page(b"a 1\n").data + b"junk"), page(b"a 2\n")) as target:
        with contextlib.closing(client(target.url)) as asking:
            assert body(await asking.fetch()) == b"a 1\n"
            assert body(await asking.fetch()) == b"a 2\n"
    assert target.connections == 2


@pytest.mark.parametrize(
    ("said", "cause", "why"),
    [
        (HANG, Cause.TIMEOUT, "timeout: no complete answer within 0.2 s (no answer came)"),
        (
            Say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na 1\n"),
            Cause.TIMEOUT,
            "timeout: no complete answer within 0.2 s (4 bytes of the body came)",
        ),
        (HANG_UP, Cause.CLOSED_EARLY, "closed early: the connection was closed before the"),
        (
            Say(page(b"a 1\n").data[:-2], close=True),
            Cause.CLOSED_EARLY,
            "closed early: the connection was closed before the response was complete (2 bytes",
        ),
        (page(b"", status=b"503 Busy"), Cause.STATUS, "status 503 Busy"),
        (page(b"x" * 1_000_001), Cause.TOO_LARGE, "too large: the body has 1000001 bytes"),
        (Say(b"220 smtp.example ESMTP\r\n"), Cause.NOT_HTTP, "not an HTTP/1.1 response: "),
    ],
)
async def test_a_failure_is_said_in_words(said: Say, cause: Cause, why: str) -> None:
    async with exposing(said) as target:
        got = failure(await once(target.url, timeout=0.2))
    assert got[0] is cause
    assert got[1].startswith(why)


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (HANG_UP, "closed early: the connection was closed before the response was complete"),
        (GREET, "closed early: bytes came that nobody asked for before the response"),
    ],
)
async def test_a_server_that_does_not_wait_for_a_request_is_a_failure(first: Say, why: str) -> None:
    async with exposing(page(b"a 1\n"), first=first) as target:
        for _ in range(20):  # the end may come before or after the request is sent
            got = failure(await once(target.url))
            assert got[0] in {Cause.CLOSED_EARLY, Cause.NOT_HTTP}
            assert got[1].startswith((why, "not an HTTP", "closed early: connection reset"))


async def test_after_a_failure_the_next_scrape_has_a_new_connection() -> None:
    async with exposing(HANG, page(b"a 1\n")) as target:
        with contextlib.closing(client(target.url, timeout=0.1)) as asking:
            failure(await asking.fetch())
            assert body(await asking.fetch()) == b"a 1\n"
    assert target.connections == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_listening_is_refused(host: str) -> None:
    outcome = await once(f"http://{host}:{unused_port()}/metrics")
    assert failure(outcome) == (Cause.REFUSED, "connection refused")


async def test_a_name_without_an_address_is_a_matter_of_dns() -> None:
    cause, why = failure(await once("http://no-such-host.invalid/metrics"))
    assert cause is Cause.DNS
    assert why.startswith("dns: no address for 'no-such-host.invalid': ")


async def test_a_cancelled_scrape_leaves_no_connection_behind() -> None:
    async with exposing(HANG) as target:
        with contextlib.closing(client(target.url)) as asking:
            async with asyncio.TaskGroup() as tasks:
                scrape = tasks.create_task(asking.fetch())
                await target.until(lambda: bool(target.requests))
                scrape.cancel()
            await target.until(lambda: not target.open)


def contexts(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    files = certificates.write(folder, name)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(files.certificate, files.key)
    return server, ssl.create_default_context(cafile=str(files.authority))


def secure(target: Exposer, host: str) -> str:
    return f"https://{host}:{target.port}/metrics"


async def test_https_is_verified(tmp_path: Path) -> None:
    server, trusting = contexts(tmp_path, "localhost")
    async with exposing(page(b"a 1\n"), tls=server) as target:
        assert body(await once(secure(target, "localhost"), tls=trusting)) == b"a 1\n"
        distrust = await once(secure(target, "localhost"), tls=ssl.create_default_context())
        assert failure(distrust)[0] is Cause.TLS
        assert failure(distrust)[1].startswith("tls: unable to get local issuer certificate")
        misnamed = await once(secure(target, "127.0.0.1"), tls=trusting)
        assert failure(misnamed)[0] is Cause.TLS
        assert "mismatch" in failure(misnamed)[1]


async def test_https_to_a_plain_port_is_explained() -> None:
    hello = b"\x16\x03\x01"
    async with exposing(Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), end=hello) as target:
        outcome = await once(secure(target, "127.0.0.1"), tls=ssl.create_default_context())
    assert failure(outcome) == (
        Cause.TLS,
        "tls: wrong version number (does the target speak plain http?)",
    )


async def test_a_real_prometheus_client_is_scraped() -> None:
    registry = CollectorRegistry()
    Gauge("temperature", "In words.", registry=registry).set(21.5)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        with contextlib.closing(client(f"http://127.0.0.1:{server.server_port}/metrics")) as asking:
            for _ in range(2):
                fetched = await asking.fetch()
                assert b"\ntemperature 21.5\n" in body(fetched)
                assert isinstance(fetched, Fetched)
                assert not fetched.unlabelled
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
