"""What headers ask for."""

import pytest

from common.wire.http2 import heads
from gateway.receivers import grpc_request
from gateway.receivers.grpc_call import Answered, Asked
from gateway.receivers.grpc_methods import Health

METHOD = Health(lambda: True)
FIELDS = [
    (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a"), (b":authority", b"x"),
    (b"content-type", b"application/grpc"),
]  # fmt: skip


def read(*more: tuple[bytes, bytes]) -> Asked | Answered:
    head = heads.request([*FIELDS, *more])
    assert not head.problem
    return grpc_request.read(head, {b"/a": METHOD})


def test_everything_that_can_be_said() -> None:
    assert read() == Asked(method=METHOD)
    assert read(
        (b"grpc-encoding", b"Gzip"),
        (b"grpc-timeout", b"250m"),
        (b"content-length", b"77"),
        (b"authorization", b"Bearer \xff"),
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"x-forwarded-for", b"10.0.0.2, 10.0.0.3"),
    ) == Asked(
        method=METHOD,
        encoding="gzip",
        timeout=0.25,
        length=77,
        authorization=b"Bearer \xff",
        forwarded=("10.0.0.1", "10.0.0.2, 10.0.0.3"),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"4m", 0.004), (b"5u", 5e-6), (b"99999999n", 0.1)],
)
def test_units_of_time(text: bytes, seconds: float) -> None:
    asked = read((b"grpc-timeout", text))
    assert isinstance(asked, Asked)
    assert asked.timeout == pytest.approx(seconds)


@pytest.mark.parametrize("text", [b"", b"S", b"1", b"-1S", b"123456789S", b"1s", b"1.5S"])
def test_times_that_are_none(text: bytes) -> None:
    answered = read((b"grpc-timeout", text))
    assert isinstance(answered, Answered)
    assert answered.code == "internal"
