"""Pages that may send are told so, and nobody else."""

import pytest

from common.config.doors import Cors
from gateway.receivers import cors

ORIGIN = "Access-Control-Allow-Origin"
CREDENTIALS = "Access-Control-Allow-Credentials"


def test_without_origins_nothing_is_said() -> None:
    policy = cors.Policy(Cors())
    assert not policy
    assert policy.answer("https://a") == policy.preflight("https://a", "") == ()


def test_an_origin_that_is_named_may_send_with_credentials() -> None:
    policy = cors.Policy(Cors(allowed_origins=("https://app.example.com",)))
    assert policy
    assert dict(policy.answer("https://app.example.com")) == {
        "Vary": "Origin",
        ORIGIN: "https://app.example.com",
        CREDENTIALS: "true",
    }
    for other in ("https://app.example.com.evil", "http://app.example.com", "", "null"):
        assert policy.answer(other) == (("Vary", "Origin"),)


def test_any_origin_may_send_but_not_with_credentials() -> None:
    policy = cors.Policy(Cors(allowed_origins=("*", "https://named")))
    assert dict(policy.answer("https://x")) == {"Vary": "Origin", ORIGIN: "https://x"}
    assert CREDENTIALS in dict(policy.answer("https://named"))


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://a.examplexcom", False),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://.example.com", True),
        ("HTTPS://*.Example.com", "https://a.example.COM", True),
        ("http://localhost:*", "http://localhost:3000", True),
        ("http://localhost:*", "http://localhost", False),
        ("https://*.*.example.com", "https://a.b.example.com", True),
        ("https://*.*.example.com", "https://a.example.com", False),
        ("https://a+b.example", "https://aab.example", False),
        ("aba*ba", "ababa", True),
        ("aba*ba", "aba", False),
        ("a*b*c*", "abc", True),
        ("a*b*c*", "acb", False),
    ],
)
def test_a_star_is_any_run_of_characters_and_all_else_is_text(
    pattern: str,
    origin: str,
    allowed: bool,  # noqa: FBT001
) -> None:
    policy = cors.Policy(Cors(allowed_origins=(pattern,)))
    assert (ORIGIN in dict(policy.answer(origin))) is allowed


def test_an_origin_made_for_backtracking_takes_no_time() -> None:
    policy = cors.Policy(Cors(allowed_origins=("*a" * 20 + "b",)))
    assert policy.answer("a" * 10_000) == (("Vary", "Origin"),)


def test_a_preflight_is_told_what_is_allowed_of_what_it_asks_for() -> None:
    policy = cors.Policy(
        Cors(allowed_origins=("https://a",), allowed_headers=("X-Tenant",), max_age=600.0)
    )
    told = dict(policy.preflight("https://a", "content-type, x-tenant, x-other,X-TENANT"))
    assert told["Access-Control-Allow-Headers"] == "content-type, x-tenant"
    assert told["Access-Control-Allow-Methods"] == "POST"
    assert told["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Headers" not in dict(policy.preflight("https://a", "x-other"))
    assert policy.preflight("https://b", "content-type") == (("Vary", "Origin"),)
