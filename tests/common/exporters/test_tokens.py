"""What is asked of a token endpoint, and what each of its answers means."""

import json
from math import inf
from urllib.parse import parse_qs

import pytest
from hypothesis import given, strategies as st

from common.config.outputs import OAuth2
from common.exporters import tokens
from common.exporters.tokens import Failed, Token

SECRET = "s3cr/t &and:more"
SETTINGS = OAuth2(
    token_url="https://t/x",
    client_id="me:too",
    client_secret=SECRET,
    scopes=("metrics.write", "other"),
    params={"audience": "our-audience-of-one"},
)


def read(status: int, said: object, *, asked: float = 100.0) -> Token | Failed:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return tokens.read(status, body, SETTINGS, asked=asked)


def test_the_form_of_a_request() -> None:
    fields = {
        "grant_type": ["client_credentials"],
        "scope": ["metrics.write other"],
        "audience": ["our-audience-of-one"],
    }
    assert parse_qs(tokens.body(SETTINGS, in_form=False).decode(), strict_parsing=True) == fields
    named = {**fields, "client_id": ["me:too"], "client_secret": [SECRET]}
    assert parse_qs(tokens.body(SETTINGS, in_form=True).decode(), strict_parsing=True) == named


def test_who_we_are_is_form_encoded_before_it_is_basic() -> None:
    # me%3Atoo:s3cr%2Ft+%26and%3Amore
    assert tokens.authorization(SETTINGS) == "Basic bWUlM0F0b286czNjciUyRnQrJTI2YW5kJTNBbW9yZQ=="


@pytest.mark.parametrize(
    ("life", "renew_at", "ends_at"),
    [
        (3600, 3640.0, 3700.0),
        (100, 180.0, 200.0),
        ("1800", 1840.0, 1900.0),
        (0, 100.0, 100.0),
        (-5, 100.0, 100.0),
        (None, inf, inf),
        ("soon", inf, inf),
    ],
)
def test_a_token_is_renewed_in_time(life, renew_at, ends_at) -> None:
    said = {"access_token": "abc", "token_type": "bearer", "expires_in": life, "more": []}
    found = read(200, said)
    assert found == Token(value="abc", renew_at=renew_at, ends_at=ends_at)


def test_what_is_null_is_not_said() -> None:
    said = {"access_token": "abc", "token_type": None, "expires_in": None, "error": None}
    assert read(200, said) == Token(value="abc", renew_at=inf, ends_at=inf)


def test_a_life_of_ages_is_not_believed() -> None:
    found = read(200, b'{"access_token": "abc", "expires_in": 1e300}', asked=0.0)
    assert isinstance(found, Token)
    assert found.ends_at == 10 * 365 * 86400


@pytest.mark.parametrize(
    ("status", "said", "word"),
    [
        (200, {}, "access_token of 0"),
        (200, {"access_token": "s3cret with spaces"}, "access_token of 18"),
        (200, {"access_token": "s3cret" * 9000}, "expected 1 to 16384"),
        (200, {"access_token": "s3cret", "token_type": "mac"}, "'mac'"),
        (200, b"s3cret", "6 bytes that are no token"),
        (200, {"access_token": ["s3cret"]}, "no token"),
        (200, {"error": "server_error"}, "HTTP 200: server_error"),
        (302, b"", "redirects are not followed"),
        (503, b"down\nfor repair", "HTTP 503: down for repair"),
        (500, b"\xff", "HTTP 500"),
        (400, {"error": "invalid_scope", "error_description": "no such"}, "invalid_scope: no such"),
        (401, {"error": "invalid_client"}, "invalid_client; check client_id and client_secret"),
    ],
)
def test_no_token_is_said_in_words(status, said, word) -> None:
    found = read(status, said)
    assert isinstance(found, Failed)
    assert word in found.why
    assert "s3cret" not in found.why


@pytest.mark.parametrize(
    ("status", "said", "elsewhere"),
    [
        (401, b"", True),
        (401, {"error": "invalid_client"}, True),
        (400, {"error": "invalid_client"}, True),
        (400, {"error": "invalid_request"}, True),
        (400, {"error": "invalid_scope"}, False),
        (403, b"", False),
        (500, b"", False),
    ],
)
def test_who_we_are_may_be_wanted_elsewhere(status, said, elsewhere) -> None:
    found = read(status, said)
    assert isinstance(found, Failed)
    assert found.elsewhere == elsewhere


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_server_that_repeats_what_it_was_sent_tells_no_secret(status) -> None:
    code = tokens.authorization(SETTINGS)
    form = tokens.body(SETTINGS, in_form=True).decode()
    heard = f"{code} {form} {SECRET}"
    for said in (heard.encode(), {"error": heard}, {"error": "no", "error_description": heard}):
        found = read(status, said)
        assert isinstance(found, Failed)
        for secret in (SECRET, "s3cr", code[6:], "our-audience-of-one"):
            assert secret not in found.why


@given(st.integers(200, 599), st.binary(max_size=200))
def test_whatever_is_answered_is_a_token_or_words(status, said) -> None:
    found = read(status, said)
    assert isinstance(found, Token | Failed)
