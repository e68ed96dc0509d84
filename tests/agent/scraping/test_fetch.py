"""The client gets the body, keeps the connection, and says in words what went wrong."""

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from agent.exposition.model import Format
from agent.scraping import credentials, fetch, negotiation
from agent.scraping.response import Cause, Failed, Fetched, Outcome
from agent.scraping.room import Room
from common.config import agent_inputs, shared
from tests.agent.exposer import GREET, HANG, HANG_UP, Exposer, Say, exposing, page
from tests.fakes import certificates

pytestmark = pytest.mark.wallclock


def now() -> float:
    return asyncio.get_running_loop().time()


def profile(tls: shared.Tls | None = None, **auth: object) -> credentials.Credentials:
    trust = tls or shared.Tls()
    return credentials.Credentials(
        credentials.Trust(trust, now),
        agent_inputs.ScrapeAuth(**auth),
        where="inputs.prometheus",
        now=now,
        server_name=trust.server_name,
    )


def client(
    url: str,
    *,
    timeout: float = 5.0,
    proven: credentials.Credentials | None = None,
    room: Room | None = None,
    **wishes: object,
) -> fetch.Client:
    request = fetch.Request(
        url=url, timeout=timeout, max_bytes=1_000_000, user_agent="test/1", **wishes
    )
    return fetch.Client(request, proven or profile(), room or Room(2_000_000))


async def once(url: str, **wishes: object) -> Outcome:
    with contextlib.closing(client(url, **wishes)) as asking:
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
        f"Accept: {negotiation.accept(protobuf=False)}",
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


def doors(folder: Path, name: str) -> tuple[ssl.SSLContext, certificates.Files]:
    files = certificates.write(folder, name)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(files.certificate, files.key)
    return server, files


def secure(target: Exposer, host: str) -> str:
    return f"https://{host}:{target.port}/metrics"


async def test_https_is_verified(tmp_path: Path) -> None:
    server, files = doors(tmp_path, "localhost")
    trusting = profile(shared.Tls(ca_file=str(files.authority)))
    async with exposing(page(b"a 1\n"), tls=server) as target:
        assert body(await once(secure(target, "localhost"), proven=trusting)) == b"a 1\n"
        distrust = await once(secure(target, "localhost"))
        assert failure(distrust)[0] is Cause.TLS
        assert failure(distrust)[1].startswith("tls: unable to get local issuer certificate")
        misnamed = await once(secure(target, "127.0.0.1"), proven=trusting)
        assert failure(misnamed)[0] is Cause.TLS
        assert "mismatch" in failure(misnamed)[1]
        named = profile(shared.Tls(ca_file=str(files.authority), server_name="localhost"))
        assert body(await once(secure(target, "127.0.0.1"), proven=named)) == b"a 1\n"
        careless = profile(shared.Tls(insecure_skip_verify=True))
        assert body(await once(secure(target, "127.0.0.1"), proven=careless)) == b"a 1\n"


async def test_who_asks_for_a_client_certificate_is_shown_it(tmp_path: Path) -> None:
    server, files = doors(tmp_path, "localhost")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(files.authority)
    ca = str(files.authority)
    shown = shared.Tls(ca_file=ca, cert_file=str(files.certificate), key_file=str(files.key))
    async with exposing(page(b"a 1\n"), tls=server) as target:
        url = secure(target, "localhost")
        assert body(await once(url, proven=profile(shown))) == b"a 1\n"
        nothing = await once(url, proven=profile(shared.Tls(ca_file=ca)))
        assert failure(nothing)[0] in {Cause.TLS, Cause.CLOSED_EARLY}


async def test_a_changed_authority_ends_the_connection_that_the_former_made(tmp_path: Path) -> None:
    server, files = doors(tmp_path, "localhost")
    time = [0.0]
    settings = shared.Tls(ca_file=str(files.authority))
    trust = credentials.Trust(settings, lambda: time[0])
    proven = credentials.Credentials(
        trust, agent_inputs.ScrapeAuth(), where="", now=lambda: time[0]
    )
    async with exposing(page(b"a 1\n"), tls=server) as target:
        with contextlib.closing(client(secure(target, "localhost"), proven=proven)) as asking:
            for _ in range(2):
                body(await asking.fetch())
            assert target.connections == 1
            other = tmp_path / "other"
            other.mkdir()
            certificates.write(other, "localhost").authority.replace(files.authority)
            time[0] = 2.0
            assert failure(await asking.fetch())[0] is Cause.TLS
    assert trust.reloads == 1


async def test_credentials_go_with_every_request_and_a_new_token_is_taken(tmp_path: Path) -> None:
    file, time = tmp_path / "token", [0.0]
    file.write_text("first-token\n", encoding="utf-8")
    proven = credentials.Credentials(
        credentials.Trust(shared.Tls(), now),
        agent_inputs.ScrapeAuth(bearer_token_file=str(file)),
        where="static_targets[0]",
        now=lambda: time[0],
    )
    async with exposing(page(b"a 1\n")) as target:
        with contextlib.closing(client(target.url, proven=proven)) as asking:
            await asking.fetch()
            new = tmp_path / "new"
            new.write_text("second-token", encoding="utf-8")
            new.replace(file)
            time[0] = 1.0
            await asking.fetch()
    tokens = [said.decode().rpartition("Authorization: ")[2] for said in target.requests]
    assert tokens == ["Bearer first-token", "Bearer second-token"]
    assert target.connections == 1


async def test_without_its_token_a_target_is_not_asked(tmp_path: Path) -> None:
    async with exposing(page(b"a 1\n")) as target:
        outcome = await once(target.url, proven=profile(bearer_token_file=str(tmp_path / "no")))
        cause, why = failure(outcome)
    assert cause is Cause.CREDENTIALS
    assert why.startswith("inputs.prometheus.auth.bearer_token_file: ")
    assert why.endswith("/no: No such file or directory")
    assert target.connections == 0


async def test_https_to_a_plain_port_is_explained() -> None:
    hello = b"\x16\x03\x01"
    async with exposing(Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), end=hello) as target:
        outcome = await once(secure(target, "127.0.0.1"))
    assert failure(outcome) == (
        Cause.TLS,
        "tls: wrong version number (does the target speak plain http?)",
    )


async def test_what_is_asked_for_follows_the_wishes() -> None:
    async with exposing(page(b"a 1\n")) as target:
        await once(target.url, compression=True, protobuf=True)
    asked = target.requests[0].decode()
    assert "Accept-Encoding: zstd,gzip;q=0.9\r\n" in asked
    assert "Accept: application/vnd.google.protobuf;proto=" in asked


def moved(where: str, *headers: bytes, body: bytes = b"moved") -> Say:
    return page(body, b"Location: " + where.encode(), *headers, status=b"302 Found")


async def test_a_redirect_to_another_path_is_followed_on_the_same_connection() -> None:
    async with exposing(moved("/m?x=1"), page(b"a 1\n")) as target:
        fetched = await once(target.url, max_redirects=1, proven=profile(bearer_token="longsecret"))
    assert isinstance(fetched, Fetched)
    assert (fetched.body, fetched.redirects, target.connections) == (b"a 1\n", 1, 1)
    second = target.requests[1].decode()
    assert second.startswith("GET /m?x=1 HTTP/1.1\r\n")
    assert "Authorization: Bearer longsecret" in second


async def test_a_redirect_with_the_end_of_the_connection_takes_another() -> None:
    said = Say(moved("/m", b"Connection: close").data, close=True)
    async with exposing(said, page(b"a 1\n")) as target:
        assert body(await once(target.url, max_redirects=1)) == b"a 1\n"
    assert target.connections == 2


async def test_redirects_elsewhere_are_not_followed() -> None:
    async with exposing(page(b"a 1\n")) as other, exposing(moved(other.url)) as target:
        cause, why = failure(await once(target.url, max_redirects=3))
    assert cause is Cause.REDIRECT
    assert why.startswith(f"status 302 Found: it redirects to {other.url}, but only")
    assert other.connections == 0


async def test_a_circle_of_redirects_ends_and_costs_no_more_than_the_limit() -> None:
    async with exposing(moved("/a"), moved("/metrics")) as target:
        cause, why = failure(await once(target.url, max_redirects=9))
    assert cause is Cause.REDIRECT
    assert why.endswith("in a circle: /metrics -> /a -> /metrics")
    endless = [moved(f"/{n}") for n in range(20)]
    async with exposing(*endless) as target:
        _, why = failure(await once(target.url, max_redirects=3))
    assert "it redirects more than 3 times, at last to http://127.0.0.1:" in why
    assert len(target.requests) == 4


async def test_after_a_redirect_that_timed_out_nothing_of_it_is_taken_for_an_answer() -> None:
    async with exposing(moved("/m"), HANG, page(b"a 2\n")) as target:
        with contextlib.closing(client(target.url, timeout=0.2, max_redirects=1)) as asking:
            assert failure(await asking.fetch())[0] is Cause.TIMEOUT
            assert body(await asking.fetch()) == b"a 2\n"
    assert target.connections == 2


async def test_bodies_wait_for_room_and_take_their_turn() -> None:
    room = Room(1_000_000)
    others = room.lease()
    others.grow(900_000, lambda: None)
    large = page(b"series 1\n" * 80_000)
    async with exposing(large) as target, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(once(target.url, room=room))
        await until(lambda: room.waiting == 1)
        assert room.used == 900_000
        others.release()
        assert len(body(await asking)) == 720_000
    assert (room.used, room.waits) == (0, 1)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nobody tells of a change
            await asyncio.sleep(0.001)


async def test_who_finds_no_room_in_time_says_so() -> None:
    room = Room(1_000_000)
    room.lease().grow(900_000, lambda: None)
    async with exposing(page(b"series 1\n" * 80_000), page(b"a 1\n")) as target:
        with contextlib.closing(client(target.url, timeout=0.2, room=room)) as asking:
            cause, why = failure(await asking.fetch())
            assert cause is Cause.NO_ROOM
            assert why == (
                "no room: for 0.2 s others' bodies held 900000 of 1000000 bytes, and this one "
                "wants 720000; raise scraping.max_fetching_bytes"
            )
            assert room.waiting == 0
            assert body(await asking.fetch()) == b"a 1\n"  # what is small needs none


async def test_a_body_of_unknown_length_takes_room_as_it_grows() -> None:
    room = Room(1_000_000)
    piece = b"x 1\n" * 2_500
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for _ in range(60))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with exposing(Say(head + chunks)) as target:  # and the end never comes
        with contextlib.closing(client(target.url, timeout=0.3, room=room)) as asking:
            async with asyncio.TaskGroup() as tasks:
                fetching = tasks.create_task(asking.fetch())
                await until(lambda: room.used >= 600_000)
                assert failure(await fetching)[0] is Cause.TIMEOUT
    assert room.used == 0


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
                assert fetched.format is Format.OPEN_METRICS
                assert fetched.fallback == ""
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
