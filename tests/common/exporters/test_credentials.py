"""A request has the user's headers and at most one authorization, and no message repeats them."""

import msgspec
import pytest

from common.config.outputs import Auth, BasicAuth, OtlpOutput, Output, RemoteWriteOutput
from common.exporters import credentials
from common.exporters.outcomes import Proofs, Retry


def otlp(**settings: object) -> Output:
    return Output(otlp=OtlpOutput(**{"endpoint": "http://b:1", **settings}))


@pytest.mark.parametrize(
    ("output", "headers"),
    [
        (otlp(), {}),
        (otlp(headers={"X-Tenant": "shop"}), {"x-tenant": "shop"}),
        # The example of RFC 7617, section 2, and that of 2.1: in UTF-8.
        (
            otlp(auth=Auth(basic=BasicAuth(username="Aladdin", password="open sesame"))),
            {"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
        ),
        (
            otlp(auth=Auth(basic=BasicAuth(username="test", password="123£"))),
            {"authorization": "Basic dGVzdDoxMjPCow=="},
        ),
        (
            otlp(auth=Auth(bearer_token="mF_9.B5f-4.1JqM")),
            {"authorization": "Bearer mF_9.B5f-4.1JqM"},
        ),
        (
            otlp(endpoint="http://Aladdin:open%20sesame@b:1"),
            {"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
        ),
        (
            Output(remote_write=RemoteWriteOutput(url="http://me@b:1/x", headers={"a": "b"})),
            {"a": "b", "authorization": "Basic bWU6"},
        ),
    ],
)
def test_headers_of_an_output(output, headers) -> None:
    assert credentials.headers_of(output) == headers


async def test_a_renewed_password_is_used_from_the_next_request_on() -> None:
    output = otlp(auth=Auth(bearer_token="one"), headers={"x-key": "one"})
    proof = credentials.Given(output)
    before = await proof.headers()
    assert await proof.headers() is before
    proof.renew(otlp(auth=Auth(bearer_token="two"), headers={"x-key": "two"}))
    assert before == {"authorization": "Bearer one", "x-key": "one"}
    assert await proof.headers() == {"authorization": "Bearer two", "x-key": "two"}


class Scripted(credentials.Proof):
    """Gives headers from a list, and asks for others as long as there are some."""

    def __init__(self, *given: str | Retry) -> None:
        self.given = list(given)

    async def headers(self):
        first = self.given[0]
        return first if isinstance(first, Retry) else {"authorization": first}

    def refused(self, headers) -> bool:
        assert headers == {"authorization": self.given[0]}
        del self.given[0]
        return bool(self.given)


@pytest.mark.parametrize(
    ("given", "outcome", "attempts"),
    [
        (["good"], "yes", ["good"]),
        (["bad"], "no bad", ["bad"]),
        (["bad", "good"], "yes", ["bad", "good"]),
        (["bad", "worse", "good"], "no worse", ["bad", "worse"]),
        ([Retry("none")], Retry("none"), []),
        (["bad", Retry("none")], Retry("none"), ["bad"]),
    ],
)
async def test_who_is_not_believed_tries_once_more_if_there_is_another_proof(
    given, outcome, attempts
) -> None:
    made = []

    async def attempt(headers):
        made.append(headers["authorization"])
        return "yes" if made[-1] == "good" else f"no {made[-1]}"

    found = await credentials.proven(
        Scripted(*given), attempt, lambda answer: answer.startswith("no")
    )
    assert (found, made) == (outcome, attempts)


async def test_who_asks_for_a_token_that_is_kept_current_elsewhere_is_patient() -> None:
    tokens = ["old", "old", "new", "new"]
    proof = credentials.Asked(lambda: {"authorization": tokens.pop(0)})
    made = []

    async def attempt(headers):
        made.append(headers["authorization"])
        return made[-1]

    for _ in range(2):
        await credentials.proven(proof, attempt, lambda answer: answer == "old")
    assert made == ["old", "new"], "what is as it was is not tried at once"
    assert proof.proofs() == Proofs(refusals=1)
    assert proof.patient
    assert not credentials.Given(otlp()).patient


async def test_a_token_that_changed_since_it_was_refused_is_tried_at_once() -> None:
    tokens = ["old", "new", "new"]
    proof = credentials.Asked(lambda: {"authorization": tokens.pop(0)})

    async def attempt(headers):
        return headers["authorization"]

    assert await credentials.proven(proof, attempt, lambda answer: answer == "old") == "new"
    assert proof.proofs() == Proofs(refusals=1)


def test_what_a_server_repeats_is_blotted_out_and_keeps_its_length() -> None:
    output = otlp(
        headers={"x-api-key": "k3y-of-mine", "x-tenant": "shop"},
        auth=Auth(basic=BasicAuth(username="me", password="hunter2-hunter2")),
    )
    headers = credentials.headers_of(output)
    code = headers["authorization"].partition(" ")[2]
    said = f"shop: key k3y-of-mine, me:hunter2-hunter2, Basic {code}, and {code}?".encode()
    clean = credentials.blotted(said, credentials.secrets_of(headers))
    assert len(clean) == len(said)
    for secret in ("k3y-of-mine", "hunter2", code):
        assert secret.encode() not in clean
    assert clean.startswith(b"shop: key ***")


@pytest.mark.parametrize("value", ["Basic", "Basic %%%", "basic /w==", "Digest x", ""])
def test_an_authorization_that_is_none_is_no_trouble(value) -> None:
    found = credentials.secrets_of({"authorization": value})
    assert credentials.blotted(b"said", found) == b"said"


def test_an_output_without_a_destination_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="BUG"):
        credentials.headers_of(msgspec.structs.replace(otlp(), otlp=None))
