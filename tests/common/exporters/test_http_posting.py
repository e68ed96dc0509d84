"""A POST ends in an answer or in words; what a backend sends back is bounded and harmless."""

import asyncio
import gzip
import socket
import ssl
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from common.config.shared import Tls
from common.exporters import credentials, http_posting
from common.exporters.http_posting import Answer
from common.exporters.outcomes import Retry
from tests.fakes import backends, certificates
from tests.fakes.backends import Break, BreakBody, Hang, Http

pytestmark = pytest.mark.wallclock

NOBODY = credentials.Asked(dict)


def posting(url: str, attempt_timeout: float = 5.0):
    return http_posting.posting(
        url,
        headers={"x-tenant": "shop"},
        proof=NOBODY,
        attempt_timeout=attempt_timeout,
        tls=Tls(),
    )


async def test_the_body_arrives_with_the_headers_and_asks_for_no_compression() -> None:
    async with backends.http() as backend, posting(f"{backend.url}/a?b=c") as poster:
        answer = await poster.post(b"hello")
    assert isinstance(answer, Answer)
    assert (answer.status, answer.why) == (200, "HTTP 200")
    (received,) = backend.received
    assert (received.path, received.body) == ("/a?b=c", b"hello")
    assert received.headers["x-tenant"] == "shop"
    assert received.headers["accept-encoding"] == "identity"


async def test_a_user_in_the_url_is_not_sent_that_is_what_the_proof_is_for() -> None:
    async with (
        backends.http() as backend,
        posting(backend.url.replace("//", "//me:secret@")) as poster,
    ):
        await poster.post(b"")
    assert "authorization" not in backend.received[0].headers


async def test_cookies_are_not_kept_and_redirects_not_followed() -> None:
    script = [Http(status=307, headers={"location": "/other", "set-cookie": "a=b"})]
    async with backends.http(script) as backend, posting(backend.url) as poster:
        assert (await poster.post(b"")).status == 307
        await poster.post(b"")
    assert [received.path for received in backend.received] == ["/", "/"]
    assert "cookie" not in backend.received[1].headers


async def test_a_connection_is_used_again() -> None:
    async with backends.http() as backend, posting(backend.url) as poster:
        for _ in range(3):
            await poster.post(b"x")
        connector = poster._pool.session.connector
        assert connector is not None
        assert sum(len(idle) for idle in connector._conns.values()) == 1


@pytest.mark.parametrize("trouble", [Break(), Hang()])
async def test_no_answer_is_worth_another_attempt(trouble) -> None:
    async with backends.http([trouble]) as backend, posting(backend.url, 0.2) as poster:
        verdict = await poster.post(b"x")
    assert isinstance(verdict, Retry)
    assert verdict.after is None
    assert ("0.2 s" if trouble == Hang() else "ServerDisconnectedError") in verdict.why


async def test_nobody_there_is_worth_another_attempt_and_said_without_secrets(
    unused_tcp_port: int,
) -> None:
    async with posting(f"http://me:secret@127.0.0.1:{unused_tcp_port}/?token=secret") as poster:
        verdict = await poster.post(b"x")
    assert isinstance(verdict, Retry)
    assert f"127.0.0.1:{unused_tcp_port}" in verdict.why
    assert "secret" not in verdict.why


async def test_a_body_that_breaks_off_does_not_undo_the_status() -> None:
    async with backends.http([BreakBody()]) as backend, posting(backend.url) as poster:
        answer = await poster.post(b"x")
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, b"")


async def test_an_answer_is_read_up_to_a_limit() -> None:
    script = [Http(status=status, body=b"x" * (6 << 20)) for status in (200, 500)]
    async with backends.http(script) as backend, posting(backend.url) as poster:
        sizes = [len((await poster.post(b"x")).body) for _ in script]
    assert sizes == [4 << 20, 64 << 10]


async def test_a_compressed_answer_is_inflated_within_the_limit() -> None:
    zipped = {"content-encoding": "gzip", "content-type": "text/plain"}
    bomb = gzip.compress(bytes(40 << 20), 9)
    assert len(bomb) < 60 << 10
    script = [
        Http(status=400, body=gzip.compress(b"no such tenant"), headers=zipped),
        Http(status=400, body=bomb, headers=zipped),
        Http(status=400, body=b"x", headers={"content-encoding": "rot13"}),
    ]
    async with backends.http(script) as backend, posting(backend.url) as poster:
        answers = [await poster.post(b"x") for _ in script]
    assert [answer.why for answer in answers] == [
        "HTTP 400: no such tenant",
        "HTTP 400",
        "HTTP 400",
    ]


async def test_tls_verifies_the_name_and_shows_the_client_s_certificate(tmp_path) -> None:
    files = certificates.write(tmp_path, "backend.test")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.authority))
    context.load_cert_chain(files.certificate, files.key)
    context.verify_mode = ssl.CERT_REQUIRED
    pair = {"cert_file": str(files.certificate), "key_file": str(files.key)}
    authority = str(files.authority)
    choices = [
        Tls(ca_file=authority, server_name="backend.test", **pair),
        Tls(insecure_skip_verify=True, **pair),
        Tls(ca_file=authority, **pair),  # the address is not in the certificate
        Tls(server_name="backend.test", **pair),  # nobody trusts that authority
        Tls(ca_file=authority, server_name="backend.test"),  # no certificate of our own
    ]
    outcomes = []
    async with backends.http(context=context) as backend:
        for tls in choices:
            async with http_posting.posting(
                backend.url, headers={}, proof=NOBODY, attempt_timeout=5.0, tls=tls
            ) as poster:
                outcomes.append(type(await poster.post(b"x")))
    assert outcomes == [Answer, Answer, Retry, Retry, Retry]


async def test_cancelling_an_attempt_cancels_it() -> None:
    async with backends.http([Hang()]) as backend, posting(backend.url) as poster:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await poster.post(b"x")


async def test_an_answer_that_is_no_http_does_not_tell_the_secrets_of_the_url() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"garbage\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with posting(f"http://me:hunter2@127.0.0.1:{port}/?key=hunter2") as poster:
            answer = await poster.post(b"x")
    assert isinstance(answer, Retry)
    assert "status line" in answer.why
    assert "hunter2" not in answer.why


async def test_a_host_that_is_no_name_is_a_retry_not_a_crash() -> None:
    async with posting("http://otel..svc:4318") as poster:
        assert isinstance(await poster.post(b"x"), Retry)


class Names(AbstractResolver):
    """Resolves every name to the addresses that it has now."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = list(hosts)

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(
                hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for each in self.hosts
        ]

    async def close(self) -> None:
        raise AssertionError("it is ours, and used again")


@asynccontextmanager
async def replica(seen: list[str], host: str, port: int = 0):
    """Serve on an address of its own, and note in *seen* that it was asked."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        seen.append(host)
        return web.Response()

    runner = web.ServerRunner(web.Server(take, access_log=None), shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_new_addresses_get_traffic_when_connections_are_worn(monkeypatch) -> None:
    seen: list[str] = []
    names = Names("127.0.0.2")
    async with (
        replica(seen, "127.0.0.2") as port,
        replica(seen, "127.0.0.3", port),
        http_posting.posting(
            f"http://backend.test:{port}",
            headers={},
            proof=NOBODY,
            attempt_timeout=5.0,
            tls=Tls(),
            resolver=names,
        ) as poster,
    ):
        monkeypatch.setattr(http_posting, "MAX_AGE", 3600.0)
        await poster.post(b"x")
        names.hosts = ["127.0.0.3", "127.0.0.2"]
        await poster.post(b"x")
        assert seen == ["127.0.0.2"] * 2  # it is not worn yet
        poster._pool.worn = 0.0
        await poster.post(b"x")
        assert seen[2:] == ["127.0.0.3"]
        names.hosts = ["127.0.0.9", "127.0.0.3"]  # nobody listens at the first
        poster._pool.worn = 0.0
        assert isinstance(await poster.post(b"x"), Answer)
        assert seen[3:] == ["127.0.0.3"]


async def test_connections_serve_for_a_minute_more_or_less() -> None:
    async with backends.http() as backend, posting(backend.url) as poster:
        begun = asyncio.get_running_loop().time()
        await poster.post(b"x")
        age = poster._pool.worn - begun
    assert 0.9 * http_posting.MAX_AGE <= age < 1.1 * http_posting.MAX_AGE + 1


async def test_a_request_ends_on_the_connection_that_it_began_on() -> None:
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        if await request.read() == b"slow":
            arrived.set()
            await answer.wait()
        return web.Response(text=request.path)

    async with (
        await asyncio.get_running_loop().create_server(
            web.Server(take, access_log=None), "127.0.0.1", 0
        ) as server,
        posting(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x") as poster,
        asyncio.TaskGroup() as tasks,
    ):
        slow = tasks.create_task(poster.post(b"slow"))
        await arrived.wait()
        former = poster._pool
        former.worn = 0.0
        assert (await poster.post(b"x")).body == b"/x"
        assert poster._pool is not former
        assert not former.session.closed
        answer.set()
        assert (await slow).body == b"/x"
        assert former.session.closed
    assert poster._pool.session.closed


async def test_a_worn_connection_without_requests_is_closed_at_once() -> None:
    async with backends.http() as backend, posting(backend.url) as poster:
        await poster.post(b"x")
        former = poster._pool
        former.worn = 0.0
        await poster.post(b"x")
        assert former.session.closed
        assert not poster._former
