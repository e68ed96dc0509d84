"""Courtesies of backends are understood, and what is not understood does no harm."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given, settings, strategies as st

from common.exporters import answers
from common.wire import protobuf
from tests.fakes import backends

NOW = 1_790_000_000.0


def test_retry_after_in_seconds() -> None:
    assert [answers.retry_after(text, NOW) for text in ("0", " 120 ")] == [0.0, 120.0]


def date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)


def test_retry_after_as_a_date_counts_from_the_date_of_the_answer_whatever_our_clock_says() -> None:
    again, said = date(NOW + 90), date(NOW)
    for ours in (NOW, NOW - 3600, NOW + 3600):
        assert answers.retry_after(again, ours, said) == 90.0
        assert answers.retry_after(said, ours, again) == 0.0


@pytest.mark.parametrize("said", [None, "", "now"])
def test_without_a_date_of_the_answer_our_clock_has_to_do_and_may_be_wrong(said) -> None:
    assert answers.retry_after(date(NOW + 20), NOW, said) == 20.0
    assert answers.retry_after(date(NOW - 20), NOW, said) == 0.0
    assert answers.retry_after(date(NOW + 3600), NOW, said) == answers.MAX_GUESS


@pytest.mark.parametrize(
    "text", [None, "", "soon", "-5", "1.5", "²", "Wed, 99 Foo 2026 99:99:99 GMT"]
)
def test_a_retry_after_that_cannot_be_read_was_not_said(text) -> None:
    assert answers.retry_after(text, NOW) is None


def test_a_retry_after_of_a_million_digits_stays_a_number() -> None:
    assert answers.retry_after("9" * 1_000_000, NOW) == float("9" * 12)


def test_retry_info_is_found_among_other_details() -> None:
    status = Status(code=14, message="wait")
    info = RetryInfo()
    info.retry_delay.FromMilliseconds(2500)
    for detail in (BadRequest(), info):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    assert answers.retry_info(status.SerializeToString()) == 2.5


@pytest.mark.parametrize(("delay", "seconds"), [(0.0, 0.0), (-3.0, 0.0), (0.25, 0.25)])
def test_a_retry_info_without_a_positive_delay_still_allows_to_retry(delay, seconds) -> None:
    assert answers.retry_info(backends.status(8, "", retry_after=delay)) == seconds


def test_a_status_without_retry_info_says_nothing_about_retrying() -> None:
    assert answers.retry_info(backends.status(8, "full")) is None


@settings(max_examples=200)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=60).map(
            lambda junk: protobuf.framed(
                3, protobuf.framed(1, b"x/google.rpc.RetryInfo") + protobuf.framed(2, junk)
            )
        ),
    )
)
def test_hostile_details_never_raise(junk) -> None:
    after = answers.retry_info(junk)
    assert after is None or after >= 0
    answers.words(junk, "application/x-protobuf")


def test_the_message_of_a_protobuf_status_is_what_people_see() -> None:
    body = backends.status(3, "metric foo: no unit")
    assert answers.words(body, "application/x-protobuf; q=1") == "metric foo: no unit"


def test_text_is_taken_as_it_is_on_one_printable_line() -> None:
    assert answers.words(b"out of\r\n  order \x1b[31m \xff", "text/plain") == "out of order ?[31m �"


def test_prose_is_bounded() -> None:
    assert len(answers.line("word " * 100_000)) == 300
