"""Our encoding of google.rpc.Status is read back by the official messages."""

import json

import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings, strategies as st

from gateway.receivers import status

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=50)
@given(st.sampled_from([3, 4, 8, 14]), TEXTS, st.one_of(st.none(), st.floats(0, 1e6)))
def test_protobuf_and_json_say_the_same(code: int, words: str, after: float | None) -> None:
    read = status_pb2.Status.FromString(status.encoded(code, words, retry_after=after))
    said = json.loads(status.as_json(code, words, retry_after=after))
    assert (read.code, read.message) == (code, words) == (said["code"], said["message"])
    details = said.get("details", [])
    assert len(read.details) == len(details) == (after is not None) + (code == 3)
    for packed, plain in zip(read.details, details, strict=True):
        name = packed.TypeName()
        assert plain["@type"] == packed.type_url
        kind = {
            "google.rpc.RetryInfo": error_details_pb2.RetryInfo,
            "google.rpc.BadRequest": error_details_pb2.BadRequest,
        }[name]
        message = kind()
        assert packed.Unpack(message)
        if name == "google.rpc.RetryInfo":
            parsed = json_format.ParseDict({"retryDelay": plain["retryDelay"]}, kind())
            apart = parsed.retry_delay.ToNanoseconds() - message.retry_delay.ToNanoseconds()
            assert abs(apart) <= 500_000
        else:
            assert message.field_violations[0].description == words


@pytest.mark.parametrize(("after", "seconds", "nanos"), [(0, 0, 0), (1.5, 1, 500_000_000)])
def test_a_retry_delay_is_a_duration(after: float, seconds: int, nanos: int) -> None:
    read = status_pb2.Status.FromString(status.encoded(14, "x", retry_after=after))
    info = error_details_pb2.RetryInfo()
    assert read.details[0].Unpack(info)
    assert (info.retry_delay.seconds, info.retry_delay.nanos) == (seconds, nanos)
