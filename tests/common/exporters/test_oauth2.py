"""One token for all requests of a destination, renewed in time, whatever its endpoint does."""

import asyncio
import logging
import ssl
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import msgspec
import pytest

from common.config.outputs import Auth, OAuth2, OtlpOutput, Output
from common.config.shared import Tls
from common.exporters import oauth2
from common.exporters.http_posting import Answer
from common.exporters.outcomes import Proofs, Retry
from tests.fakes import backends, certificates
from tests.fakes.backends import Hang, Http

SETTINGS = OAuth2(token_url="https://me.test/token", client_id="me", client_secret="hunter2hunter2")


def output(settings: OAuth2 = SETTINGS, **other: object) -> Output:
    return Output(otlp=OtlpOutput(endpoint="http://b:1", auth=Auth(oauth2=settings), **other))


def token(value: str, life: float | None = 100) -> Answer:
    body = msgspec.json.encode({"access_token": value, "expires_in": life})
    return Answer(status=200, content_type="application/json", retry_after=None, body=body)


def refusal(status: int = 500, error: str = "", after: str | None = None) -> Answer:
    body = msgspec.json.encode({"error": error}) if error else b""
    return Answer(status=status, content_type="application/json", retry_after=after, body=body)


class Endpoint:
    """Stands where the poster stands: answers from a script, after a second of the test's time."""

    def __init__(self, *script: Answer | Retry) -> None:
        self.script = list(script)
        self.asked: list[tuple[dict[str, list[str]], str]] = []
        self.identity = oauth2._Identity()
        self.in_flight = 0

    def proofs(self) -> Proofs:
        return Proofs()

    async def post(self, body: bytes) -> Answer | Retry:
        assert not self.in_flight, "two requests for a token at once"
        self.in_flight += 1
        try:
            self.asked.append(
                (parse_qs(body.decode()), self.identity.headers.get("authorization", ""))
            )
            answer = self.script.pop(0)
            await asyncio.sleep(1.0)
            return answer
        finally:
            self.in_flight -= 1


def asking(endpoint: Endpoint, **other: object) -> oauth2.Tokens:
    return oauth2.Tokens(
        endpoint, endpoint.identity, output(**other), unix_now=lambda: 1_790_000_000.0
    )


async def used(tokens: oauth2.Tokens) -> str:
    headers = await tokens.headers()
    return headers.why if isinstance(headers, Retry) else headers["authorization"]


async def test_a_token_is_asked_for_at_its_first_use_and_kept() -> None:
    endpoint = Endpoint(token("one"))
    tokens = asking(endpoint, headers={"X-Tenant": "shop"})
    assert not endpoint.asked
    first = await tokens.headers()
    assert first == {"x-tenant": "shop", "authorization": "Bearer one"}
    assert await tokens.headers() is first
    ((form, authorization),) = endpoint.asked
    assert form == {"grant_type": ["client_credentials"]}
    assert authorization == "Basic bWU6aHVudGVyMmh1bnRlcjI="


async def test_all_who_wait_share_one_request_and_its_outcome() -> None:
    endpoint = Endpoint(refusal(503), token("one"))
    tokens = asking(endpoint)

    async def all_of_them() -> set[str]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(used(tokens)) for _ in range(20)]
        return {task.result() for task in tasks}

    assert await all_of_them() == {"no token from me.test: HTTP 503"}
    assert await all_of_them() == {"Bearer one"}
    assert tokens.proofs() == Proofs(tokens=1, token_failures=1)


async def test_who_gives_up_leaves_the_request_to_the_next_who_waits() -> None:
    endpoint = Endpoint(token("lost"), token("one"))
    tokens = asking(endpoint)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(used(tokens))
        second = group.create_task(used(tokens))
        await asyncio.sleep(0.5)
        first.cancel()
    assert second.result() == "Bearer one"


async def test_a_token_is_renewed_before_it_ends_and_used_meanwhile() -> None:
    endpoint = Endpoint(token("one"), token("two"))
    tokens = asking(endpoint)
    assert await used(tokens) == "Bearer one"  # asked for at 0, ends at 100
    await asyncio.sleep(78.0)
    assert await used(tokens) == "Bearer one"
    await asyncio.sleep(1.5)  # 80.5
    async with asyncio.TaskGroup() as group:
        renewing = group.create_task(used(tokens))
        await asyncio.sleep(0.5)
        assert await used(tokens) == "Bearer one"  # at once, by who need not wait
    assert renewing.result() == "Bearer two"
    assert await used(tokens) == "Bearer two"


async def test_a_renewal_that_fails_is_tried_again_while_the_token_is_good(caplog) -> None:
    endpoint = Endpoint(token("one"), refusal(503), refusal(500), refusal(500), token("two"))
    tokens = asking(endpoint)
    await tokens.headers()
    await asyncio.sleep(80.0)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert await used(tokens) == "Bearer one"  # one request for three
    assert len(endpoint.asked) == 2
    assert [record.error for record in caplog.records] == ["HTTP 503"]
    await asyncio.sleep(5.0)
    assert await used(tokens) == "Bearer one"
    assert len(endpoint.asked) == 3
    await asyncio.sleep(20.0)  # it has ended
    assert await used(tokens) == "no token from me.test: HTTP 500"
    assert await used(tokens) == "Bearer two"


async def test_a_token_without_an_end_is_used_until_it_is_refused() -> None:
    endpoint = Endpoint(token("one", None), token("two", None))
    tokens = asking(endpoint)
    first = await tokens.headers()
    await asyncio.sleep(1e6)
    assert await tokens.headers() is first
    assert tokens.refused(first)
    assert tokens.refused(first)  # by two requests at once: dropped once
    assert await used(tokens) == "Bearer two"
    assert tokens.refused(first)  # a late one; the new token stays
    assert await used(tokens) == "Bearer two"
    assert len(endpoint.asked) == 2


async def test_a_backend_that_refuses_every_token_does_not_wear_the_endpoint_out() -> None:
    endpoint = Endpoint(token("one"), token("two"), token("three"))
    tokens = asking(endpoint)
    assert tokens.refused(await tokens.headers())
    second = await tokens.headers()
    tokens._dropped = tokens._now()
    assert not tokens.refused(second)
    assert await tokens.headers() is second
    await asyncio.sleep(1.0)
    assert tokens.refused(second)
    assert await used(tokens) == "Bearer three"


async def test_a_token_that_ends_at_once_is_used_once() -> None:
    endpoint = Endpoint(token("one", 0), token("two", 0))
    tokens = asking(endpoint)
    assert await used(tokens) == "Bearer one"
    assert await used(tokens) == "Bearer two"


async def test_a_server_that_wants_to_read_who_we_are_in_the_form_is_obliged() -> None:
    unknown = refusal(401, "invalid_client")
    endpoint = Endpoint(unknown, token("one", 0), token("two", 0))
    tokens = asking(endpoint)
    assert await used(tokens) == "Bearer one"
    assert await used(tokens) == "Bearer two"  # and remembered
    names = [form.get("client_secret") for form, _ in endpoint.asked]
    assert names == [None, ["hunter2hunter2"], ["hunter2hunter2"]]
    assert [bool(header) for _, header in endpoint.asked] == [True, False, False]


async def test_a_client_that_is_unknown_everywhere_is_told_plainly() -> None:
    endpoint = Endpoint(refusal(401, "invalid_client"), refusal(400, "invalid_client"))
    why = await used(asking(endpoint))
    assert why == (
        "no token from me.test: HTTP 401: invalid_client; check client_id and client_secret"
    )


async def test_an_endpoint_says_how_long_to_wait() -> None:
    tokens = asking(Endpoint(refusal(429, after="7")))
    assert await tokens.headers() == Retry("no token from me.test: HTTP 429", 7.0)


async def test_a_new_secret_is_used_at_once_and_the_old_token_while_it_fails() -> None:
    endpoint = Endpoint(token("one"), refusal(503), token("two"))
    tokens = asking(endpoint)
    await tokens.headers()
    renewed = output(msgspec.structs.replace(SETTINGS, client_secret="new"), headers={"a": "b"})
    tokens.renew(renewed)
    assert await tokens.headers() == {"a": "b", "authorization": "Bearer one"}
    await asyncio.sleep(5.0)
    assert await tokens.headers() == {"a": "b", "authorization": "Bearer two"}
    assert endpoint.asked[-1][1] == "Basic bWU6bmV3"
    tokens.renew(output(msgspec.structs.replace(SETTINGS, client_secret="new")))  # a header only
    assert await tokens.headers() == {"authorization": "Bearer two"}
    assert len(endpoint.asked) == 3


async def test_a_secret_that_changes_while_a_token_is_asked_for_is_used_for_the_next() -> None:
    endpoint = Endpoint(token("one"), token("two"))
    tokens = asking(endpoint)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(used(tokens))
        await asyncio.sleep(0.5)
        tokens.renew(output(msgspec.structs.replace(SETTINGS, client_secret="new")))
    assert first.result() == "Bearer one"
    assert await used(tokens) == "Bearer two"
    assert endpoint.asked[1][1] == "Basic bWU6bmV3"


@asynccontextmanager
async def really_asking(url: str, **settings: object):
    found = msgspec.structs.replace(SETTINGS, token_url=url, **settings)
    async with oauth2.asking(
        output(found), user_agent="headgate-test/1", unix_now=lambda: 0.0
    ) as tokens:
        yield tokens


@pytest.mark.wallclock
async def test_over_the_network() -> None:
    script = [Http(body=b'{"access_token": "one"}', headers={"content-type": "application/json"})]
    async with (
        backends.http(script) as endpoint,
        really_asking(f"{endpoint.url}/t?x=y", scopes=("a", "b")) as tokens,
    ):
        assert await used(tokens) == "Bearer one"
    (received,) = endpoint.received
    assert received.path == "/t?x=y"
    assert received.headers["content-type"] == "application/x-www-form-urlencoded"
    assert received.headers["accept"] == "application/json"
    assert received.headers["authorization"] == "Basic bWU6aHVudGVyMmh1bnRlcjI="
    assert parse_qs(received.body.decode())["scope"] == ["a b"]


@pytest.mark.wallclock
async def test_whatever_goes_wrong_is_a_retry_that_tells_no_secret(unused_tcp_port: int) -> None:
    repeating = b"who is me:hunter2hunter2 (Basic bWU6aHVudGVyMmh1bnRlcjI=)?"
    script = [
        Http(status=400, body=repeating),
        Http(body=b"x" * (5 << 20)),
        Http(body=b'{"access_token": "hunter2hunter2 "}'),
        Hang(),
    ]
    words = [
        "HTTP 400: who is",
        f"{4 << 20} bytes that are no token",
        "access_token of 15 characters",
        "no answer within 1 s",
    ]
    async with (
        backends.http(script) as endpoint,
        really_asking(endpoint.url, timeout=1.0) as tokens,
    ):
        said = [await used(tokens) for _ in script]
    async with really_asking(f"http://127.0.0.1:{unused_tcp_port}/?k=hunter2hunter2") as tokens:
        said.append(await used(tokens))
    for why, word in zip(said, [*words, "Cannot connect"], strict=True):
        assert why.startswith("no token from 127.0.0.1:")
        assert word in why
        assert "hunter2" not in why
        assert "bWU6aHVudGVyMmh1bnRlcjI" not in why


@pytest.mark.wallclock
async def test_the_endpoint_is_verified_by_its_own_settings(tmp_path) -> None:
    files = certificates.write(tmp_path, "login.test")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    trusting = Tls(ca_file=str(files.authority), server_name="login.test")
    script = [Http(body=b'{"access_token": "one"}')]
    async with backends.http(script, context=context) as endpoint:
        async with really_asking(endpoint.url, tls=trusting) as tokens:
            assert await used(tokens) == "Bearer one"
        async with really_asking(endpoint.url) as tokens:
            assert "certificate verify failed" in await used(tokens)
    assert len(endpoint.received) == 1
