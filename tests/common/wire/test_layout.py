"""A recognised frame is what a parsed one would have been; nothing invalid is recognised."""

import struct

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from common.wire import layout, otlp, protobuf
from common.wire.errors import Malformed
from tests.fakes import otlp_wire

SEED = 0x5EED


def request(
    time: int = 1, value: float = 1.0, *, points: int = 30, pod: str = "a", count: int = 5
) -> bytes:
    request = ExportMetricsServiceRequest()
    frame = request.resource_metrics.add()
    frame.resource.attributes.add(key="pod").value.string_value = pod
    metrics = frame.scope_metrics.add().metrics
    gauge, total = metrics.add(name="g").gauge, metrics.add(name="s").sum
    for n in range(points):
        for data in (gauge, total):
            point = data.data_points.add(
                time_unix_nano=time, start_time_unix_nano=7, as_double=value
            )
            point.attributes.add(key="n").value.string_value = str(n)
    histogram = metrics.add(name="h").histogram.data_points.add(
        time_unix_nano=time, count=count, sum=value
    )
    histogram.bucket_counts.extend([count, 0, 2])
    histogram.explicit_bounds.extend([0.1, 1])
    return request.SerializeToString()


def taught(*bodies: bytes) -> layout.Recogniser:
    recogniser = layout.Recogniser(1 << 20, SEED)
    for body in bodies:
        recogniser.frames(body)
    return recogniser


def test_the_third_request_of_a_shape_is_recognised() -> None:
    recogniser = taught(request(1, 1.5), request(2, 2.5))
    assert (recogniser.recognised, recogniser.parsed) == (0, 2)
    body = request(3, -0.25, count=9)
    assert recogniser.frames(body) == otlp.frames(body)
    assert (recogniser.recognised, recogniser.parsed) == (1, 2)


@pytest.mark.parametrize("changed", [request(points=31), request(pod="b")])
def test_another_shape_is_parsed(changed: bytes) -> None:
    recogniser = taught(request(), request(2), changed)
    assert recogniser.parsed == 3


def test_every_byte_outside_the_slots_counts() -> None:
    recogniser, body = taught(request(), request(2)), request(3)
    ((_, _, _, start, _),) = protobuf.fields(body)
    slots = {start + n for slot in layout._slots(body[start:]) for n in range(slot, slot + 8)}
    for at in range(start, len(body)):
        if at in slots:
            continue
        broken = body[:at] + bytes([body[at] ^ 0x41]) + body[at + 1 :]
        recognised = recogniser.recognised
        try:
            expected = otlp.frames(broken)
        except Malformed:
            with pytest.raises(Malformed):
                recogniser.frames(broken)
        else:
            assert recogniser.frames(broken) == expected
        assert recogniser.recognised == recognised, f"byte {at} was taken for a slot"


@given(st.binary(min_size=8, max_size=8))
def test_any_eight_bytes_in_a_slot_are_recognised_and_valid(value: bytes) -> None:
    recogniser = taught(request(), request(2))
    body = bytearray(request(3))
    marker = struct.pack("<Q", 3)
    at = body.index(marker)
    body[at : at + 8] = value
    assert recogniser.frames(bytes(body)) == otlp.frames(bytes(body))
    assert recogniser.recognised == 1


@settings(max_examples=150, deadline=None)
@given(otlp_wire.requests, st.integers(1, 4))
def test_it_agrees_with_the_plain_path_on_anything(body: bytes, times: int) -> None:
    recogniser = layout.Recogniser(1 << 20, SEED)
    for _ in range(times):
        try:
            expected = otlp.frames(body)
        except Malformed:
            with pytest.raises(Malformed):
                recogniser.frames(body)
        else:
            assert recogniser.frames(body) == expected


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_hostile_changes_to_a_known_shape_end_as_on_the_plain_path(data) -> None:
    recogniser, body = taught(request(), request(2), request(3)), bytearray(request(4))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        expected = otlp.frames(bytes(body))
    except Malformed:
        with pytest.raises(Malformed):
            recogniser.frames(bytes(body))
    else:
        assert recogniser.frames(bytes(body)) == expected


def test_a_shape_that_always_changes_is_not_learnt_for_ever() -> None:
    bodies = []
    for n in range(12):
        parsed = ExportMetricsServiceRequest.FromString(request())
        points = parsed.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
        points[0].attributes[0].key, points[n + 1].attributes[0].key = "x", "y"
        bodies.append(parsed.SerializeToString())
    recogniser = taught(*bodies, *bodies)
    assert next(iter(recogniser.memo._entries.values()))[0].lessons == layout.LESSONS


def test_memory_is_bounded() -> None:
    recogniser = layout.Recogniser(20_000, SEED)
    for n in range(60):
        for _ in range(2):
            recogniser.frames(request(pod=f"{n:02}"))
    assert recogniser.memo.size <= 20_000
    assert recogniser.memo.evictions > 0
