"""A refusal is told in the encoding of the request, and in words where that is unknown."""

import json

import pytest
from google.rpc import error_details_pb2, status_pb2

from common.wire import compression
from gateway.receivers import door, refusals


def test_protobuf_json_and_words_say_the_same() -> None:
    refusal = refusals.too_large("20 bytes", 10)
    words = "the body has 20 bytes, the limit is 10; send smaller requests"
    protobuf, in_json, text = (
        refusals.response(refusal, kind) for kind in (refusals.PROTOBUF, refusals.JSON, "a/b")
    )
    assert {r.status for r in (protobuf, in_json, text)} == {413}
    assert status_pb2.Status.FromString(protobuf.body).message == words
    assert json.loads(in_json.body) == {"code": 8, "message": words}
    assert (text.kind, text.body) == (refusals.TEXT, f"{words}\n".encode())


def test_a_delay_is_told_in_whole_seconds_never_too_few() -> None:
    answer = refusals.response(refusals.come_again(1.01), "")
    assert dict(answer.headers)["Retry-After"] == "2"


@pytest.mark.parametrize(
    ("refusal", "http", "code"),
    [(refusals.come_again(2.5), 503, 14), (refusals.one_at_a_time(2.5), 429, 8)],
)
def test_who_shall_come_again_is_told_when_in_the_body_too(refusal, http: int, code: int) -> None:
    answer = refusals.response(refusal, refusals.PROTOBUF)
    said = status_pb2.Status.FromString(answer.body)
    assert (answer.status, said.code) == (http, code)
    retry = error_details_pb2.RetryInfo()
    assert said.details[0].Unpack(retry)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 2.5


def test_long_reasons_are_cut() -> None:
    said = json.loads(refusals.response(refusals.bad("x" * 10_000), refusals.JSON).body)
    assert said["message"] == "x" * door.MAX_REASON


def test_the_encodings_that_are_named_are_known() -> None:
    assert all(map(compression.known, refusals.ENCODINGS.split(", ")))
    assert not compression.known("br")


def test_a_missing_token_and_a_wrong_one_are_told_apart() -> None:
    missing, wrong = (refusals.unauthenticated(shown=shown) for shown in (False, True))
    assert missing.message != wrong.message
    assert missing.headers == wrong.headers == (("WWW-Authenticate", "Bearer"),)
