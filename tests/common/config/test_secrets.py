"""What is secret may change while a destination runs; everything else makes another one."""

import msgspec
import pytest

from common.config import secrets
from common.config.outputs import Auth, BasicAuth, OAuth2, OtlpOutput, Output, RemoteWriteOutput

OTLP = OtlpOutput(endpoint="https://b:4317", headers={"x-key": "one"})
WRITE = RemoteWriteOutput(url="https://u:one@b/api?x=y")
BASIC = Auth(basic=BasicAuth(username="me", password="one"))
TOKENS = OAuth2(
    token_url="https://t/x", client_id="me", client_secret="one", params={"audience": "one"}
)


def same(old: object, new: object) -> bool:
    outputs = [
        Output(otlp=section) if isinstance(section, OtlpOutput) else Output(remote_write=section)
        for section in (old, new)
    ]
    assert secrets.same_but_secrets(*reversed(outputs)) == secrets.same_but_secrets(*outputs)
    return secrets.same_but_secrets(*outputs)


def otlp(**changes: object) -> OtlpOutput:
    return msgspec.structs.replace(OTLP, **changes)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (OTLP, OTLP),
        (OTLP, otlp(headers={"x-key": "two"})),
        (
            otlp(auth=BASIC),
            otlp(auth=Auth(basic=BasicAuth(username="me", password="two"))),
        ),
        (otlp(auth=Auth(bearer_token="one")), otlp(auth=Auth(bearer_token="two"))),
        (
            otlp(auth=Auth(oauth2=TOKENS)),
            otlp(
                auth=Auth(
                    oauth2=msgspec.structs.replace(
                        TOKENS, client_secret="two", params={"audience": "two"}
                    )
                )
            ),
        ),
        (WRITE, msgspec.structs.replace(WRITE, url="https://u:two@b/api?x=y")),
    ],
)
def test_secrets_make_no_difference(old, new) -> None:
    assert same(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (OTLP, WRITE),
        (OTLP, otlp(endpoint="https://b:4318")),
        (OTLP, otlp(headers={"x-key": "one", "x-other": "one"})),
        (OTLP, otlp(headers={"X-Key": "one"})),
        (OTLP, otlp(timeout=1.0)),
        (OTLP, otlp(auth=Auth(bearer_token="one"))),
        (otlp(auth=BASIC), otlp(auth=Auth(bearer_token="one"))),
        (
            otlp(auth=BASIC),
            otlp(auth=Auth(basic=BasicAuth(username="you", password="one"))),
        ),
        (
            otlp(auth=Auth(oauth2=TOKENS)),
            otlp(auth=Auth(oauth2=msgspec.structs.replace(TOKENS, client_id="you"))),
        ),
        (WRITE, msgspec.structs.replace(WRITE, url="https://v:one@b/api?x=y")),
        (WRITE, msgspec.structs.replace(WRITE, url="https://u@b/api?x=y")),
        (WRITE, msgspec.structs.replace(WRITE, url="https://u:one@b/api?x=z")),
    ],
)
def test_everything_else_does(old, new) -> None:
    assert not same(old, new)


def test_a_url_is_shown_without_user_password_and_query() -> None:
    assert secrets.shown("https://me:one@[::1]:8/p?key=one#x") == "https://***@[::1]:8/p?***#x"
    assert secrets.shown("http://b:1/x") == "http://b:1/x"
