"""Refusals are one header block that any client understands."""

import base64
from urllib.parse import unquote_to_bytes

import hpack
from google.rpc import status_pb2
from hypothesis import given, strategies as st

from gateway.receivers import grpc_answers
from gateway.receivers.grpc_answers import Refused


def fields(refused: Refused) -> dict[bytes, bytes]:
    return dict(hpack.Decoder().decode(grpc_answers.refusal(refused), raw=True))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_messages_survive_their_encoding(message: str) -> None:
    escaped = grpc_answers.escaped(message)
    assert all(0x20 <= byte <= 0x7E for byte in escaped)
    assert unquote_to_bytes(escaped) == message.encode()


def test_details_are_base64_without_padding() -> None:
    for words in ("a", "ab", "abc", "größer", "x" * 5000):
        found = fields(Refused(3, words))
        text = found[b"grpc-status-details-bin"]
        assert b"=" not in text
        status = status_pb2.Status.FromString(base64.b64decode(text + b"=" * (-len(text) % 4)))
        assert (status.code, status.message) == (3, words[:1024])
        assert found[b":status"] == b"200"
        assert found[b"grpc-status"] == b"3"
        assert b"grpc-accept-encoding" not in found


def test_messages_are_framed() -> None:
    assert grpc_answers.framed(b"") == grpc_answers.EMPTY
    assert grpc_answers.framed(b"x" * 300) == b"\0\0\0\x01\x2c" + b"x" * 300
