"""A refusal is told in the encoding of the request, and in words where that is unknown."""

import json

from google.rpc import status_pb2

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
    assert text.text == f"{words}\n"


def test_a_delay_is_told_in_whole_seconds_never_too_few() -> None:
    assert refusals.response(refusals.come_again(1.01), "").headers["Retry-After"] == "2"


def test_long_reasons_are_cut() -> None:
    said = json.loads(refusals.response(refusals.bad("x" * 10_000), refusals.JSON).body)
    assert said["message"] == "x" * door.MAX_REASON
