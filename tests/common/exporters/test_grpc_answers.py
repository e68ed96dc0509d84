"""Every way a gRPC call can end, read off its frames."""

import base64

import pytest

from common.exporters import grpc_answers
from common.exporters.grpc_answers import Answer, Reply
from common.wire.http2 import Code, Head, heads


def response(status: int = 200, *fields: tuple[bytes, bytes]) -> Head:
    head = heads.response([(b":status", str(status).encode()), *fields])
    assert not head.problem
    return head


def trailers(*fields: tuple[bytes, bytes]) -> Head:
    return heads.trailers(fields)


def reply(head: Head | None, *pieces: bytes, most: int = 100) -> Reply:
    collected = Reply(most)
    collected.head = head
    assert all(collected.add(piece) for piece in pieces)
    return collected


def test_a_message_behind_its_prefix_and_a_status_of_0_is_a_success() -> None:
    answer = reply(response(), b"\0\0\0", b"\0\2h", b"i").ended(trailers((b"grpc-status", b"0")))
    assert answer == Answer(code=0, body=b"hi")


@pytest.mark.parametrize("body", [b"", b"\0\0\0\0\1", b"\0\0\0\0\0x", b"\1\0\0\0\0"])
def test_a_success_without_one_whole_plain_message_is_an_internal_error(body: bytes) -> None:
    answer = reply(response(), body).ended(trailers((b"grpc-status", b"0")))
    assert answer.code == grpc_answers.INTERNAL


def test_an_error_has_a_message_and_details_and_may_come_without_a_body() -> None:
    details = base64.b64encode(b"status").rstrip(b"=")
    head = response(
        200,
        (b"grpc-status", b"14"),
        (b"grpc-message", b"%C3%A4h, full"),
        (b"grpc-status-details-bin", details),
    )
    answer = reply(head).ended(None)
    assert answer == Answer(code=14, message="äh, full", details=b"status")
    assert answer.name == "UNAVAILABLE"


def test_details_that_are_no_base64_count_as_not_sent() -> None:
    said = trailers((b"grpc-status", b"3"), (b"grpc-status-details-bin", b"!"))
    assert reply(response()).ended(said) == Answer(code=3)


@pytest.mark.parametrize(
    ("http", "code"),
    [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14),
     (200, 2), (418, 2)],
)  # fmt: skip
def test_an_answer_without_a_grpc_status_is_sorted_by_its_http_status(http: int, code: int) -> None:
    answer = reply(response(http)).ended(None)
    assert answer.code == code
    assert f"HTTP {http} without a grpc-status" in answer.message


@pytest.mark.parametrize("status", [b"", b"-1", b"one", b"99999"])
def test_a_status_that_is_no_number_counts_as_none(status: bytes) -> None:
    assert reply(response()).ended(trailers((b"grpc-status", status))).code == grpc_answers.UNKNOWN


def test_a_code_without_a_name_is_shown_as_its_number() -> None:
    assert reply(response()).ended(trailers((b"grpc-status", b"77"))).name == "77"


def test_an_answer_is_taken_up_to_its_limit() -> None:
    collected = Reply(3)
    assert collected.add(bytes(8))
    assert not collected.add(b"x")


def test_a_stream_that_ends_without_headers_is_an_internal_error() -> None:
    assert reply(None).ended(None).code == grpc_answers.INTERNAL


@pytest.mark.parametrize(
    ("reset", "code"),
    [(Code.REFUSED_STREAM, 14), (Code.CANCEL, 1), (Code.ENHANCE_YOUR_CALM, 8),
     (Code.INADEQUATE_SECURITY, 7), (Code.PROTOCOL_ERROR, 13), (0x1234, 13)],
)  # fmt: skip
def test_resets_are_sorted_as_grpc_says(reset: int, code: int) -> None:
    answer = grpc_answers.reset(reset, "")
    assert answer.code == code
    assert answer.unprocessed == (reset == Code.REFUSED_STREAM)
    assert "the server reset the stream" in answer.message
