"""What cannot prove us to a backend is said with its key when the document is read."""

import json

import pytest

from common.config import outputs
from common.config.gateway import Gateway
from common.service import settings

TOKENS = {"token_url": "https://t/x", "client_id": "me", "client_secret": "s3cret"}


def problems(**otlp: object) -> list[str]:
    """Return the keys, relative to the output; no message may show a secret."""
    section = {"endpoint": "https://b:4317", **otlp}
    document = {"pipelines": [{"name": "a", "output": {"otlp": section}}]}
    try:
        settings.load(json.dumps(document), Gateway, environ={}, read=lambda _: "")
    except settings.SettingsError as error:
        found = error
    else:
        return []
    assert "s3cret" not in str(found)
    return [p.key.removeprefix("pipelines[0].output.otlp.") for p in found.problems]


@pytest.mark.parametrize(
    "otlp",
    [
        {"auth": {}},
        {"auth": {"basic": {"username": "me", "password": ""}}},
        {"auth": {"basic": {"username": "", "password": "a:b c-ä"}}},
        {"auth": {"bearer_token": "s3cret=="}},
        {"auth": {"oauth2": TOKENS}},
        {"auth": {"oauth2": {**TOKENS, "scopes": ["a", "b/.default"], "params": {"audience": ""}}}},
        {"headers": {"authorization": "s3cret"}},
        {"endpoint": "https://me:s3cret@b:4317"},
    ],
    ids=range(8),
)
def test_ways_to_prove_ourselves(otlp) -> None:
    assert problems(**otlp) == []


@pytest.mark.parametrize(
    ("otlp", "key"),
    [
        (
            {"auth": {"bearer_token": "s3cret", "basic": {"username": "a", "password": "s3cret"}}},
            "auth",
        ),
        ({"auth": {"basic": {"username": "a:b", "password": "s3cret"}}}, "auth.basic.username"),
        ({"auth": {"basic": {"username": "a", "password": "s3cret\n1"}}}, "auth.basic.password"),
        ({"auth": {"basic": {"username": "a"}}}, "auth.basic.password"),
        ({"auth": {"bearer_token": "s3cret 1"}}, "auth.bearer_token"),
        ({"auth": {"bearer_token": "s3cret-ä"}}, "auth.bearer_token"),
        ({"auth": {"oauth2": {**TOKENS, "token_url": "t"}}}, "auth.oauth2.token_url"),
        (
            {"auth": {"oauth2": {**TOKENS, "token_url": "https://me:s3cret@t"}}},
            "auth.oauth2.token_url",
        ),
        ({"auth": {"oauth2": {**TOKENS, "client_id": ""}}}, "auth.oauth2.client_id"),
        (
            {"auth": {"oauth2": {**TOKENS, "client_secret": "s3cret\x00"}}},
            "auth.oauth2.client_secret",
        ),
        (
            {"auth": {"oauth2": {**TOKENS, "params": {"grant_type": "s3cret"}}}},
            "auth.oauth2.params.grant_type",
        ),
        ({"auth": {"oauth2": {**TOKENS, "scopes": ["a b"]}}}, "auth.oauth2.scopes"),
        (
            {"auth": {"bearer_token": "s3cret"}, "headers": {"Authorization": "s3cret"}},
            "headers.Authorization",
        ),
        ({"auth": {"oauth2": TOKENS}, "endpoint": "https://me:s3cret@b:4317"}, "endpoint"),
        ({"headers": {"grpc-key": "s3cret"}}, "headers.grpc-key"),
    ],
    ids=range(15),
)
def test_what_cannot_work_is_said_with_its_key(otlp, key) -> None:
    assert problems(**otlp) == [key]


@pytest.mark.parametrize(
    ("otlp", "key"),
    [
        ({"auth": {"basic": {"username": "me", "password": 271828}}}, "auth.basic.password"),
        ({"auth": {"bearer_token": 271828}}, "auth.bearer_token"),
        ({"auth": {"oauth2": {**TOKENS, "client_secret": [271828]}}}, "auth.oauth2.client_secret"),
        ({"auth": {"oauth2": {**TOKENS, "params": {"a": 271828}}}}, "auth.oauth2.params.a"),
        ({"headers": {"x-key": 271828}}, "headers.x-key"),
        ({"auth": "me:271828"}, "auth"),
        ({"auth": {"basic": "me:271828"}}, "auth.basic"),
        ({"headers": "x-key=271828"}, "headers"),
        ({"headers": ["x-key=271828"]}, "headers"),
    ],
    ids=range(9),
)
def test_a_secret_of_the_wrong_type_is_not_shown_either(otlp, key) -> None:
    section = {"endpoint": "https://b:4317", **otlp}
    document = {"pipelines": [{"name": "a", "output": {"otlp": section}}]}
    with pytest.raises(settings.SettingsError) as error:
        settings.load(json.dumps(document), Gateway, environ={}, read=lambda _: "")
    (problem,) = error.value.problems
    assert problem.key == f"pipelines[0].output.otlp.{key}"
    assert problem.message.startswith("expected ")
    assert "271828" not in problem.message


def test_headers_of_remote_write_are_those_of_http() -> None:
    write = {"url": "http://u:s3cret@b/w", "headers": {"grpc-key": "x", "Host": "x", "a b": "x"}}
    document = {"pipelines": [{"name": "a", "output": {"remote_write": write}}]}
    with pytest.raises(settings.SettingsError) as error:
        settings.load(json.dumps(document), Gateway, environ={}, read=lambda _: "")
    keys = [p.key.removeprefix("pipelines[0].output.remote_write.") for p in error.value.problems]
    assert keys == ["headers.Host", "headers.a b"]


def test_by_default_remote_write_tells_apart_what_is_no_instance_of_a_service() -> None:
    written = outputs.RemoteWriteOutput(url="http://b/write")
    assert (written.promote, written.promote_without_instance) == ((), outputs.IDENTITY)
