"""A recognised frame is what a parsed one would have been; nothing invalid is recognised."""

import contextlib
import re
import struct
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from common.wire import layout, layout_slots, otlp, protobuf
from common.wire.errors import Malformed
from tests.fakes import otlp_wire

SEED = 0x5EED
FIXTURES = [HealthCheck.function_scoped_fixture]  # it sets the same for all examples


def request(
    time: int = 1,
    value: float = 1.0,
    *,
    points: int = 30,
    pod: str = "a",
    count: int = 5,
    resource: bool = True,
    gauge: str = "g",
) -> bytes:
    request = ExportMetricsServiceRequest()
    frame = request.resource_metrics.add()
    if resource:
        frame.resource.attributes.add(key="pod").value.string_value = pod
    metrics = frame.scope_metrics.add().metrics
    numbers, total = metrics.add(name=gauge).gauge, metrics.add(name="s").sum
    for n in range(points):
        for data in (numbers, total):
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


@pytest.fixture
def _nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the small messages which hypothesis invents are worth remembering."""
    monkeypatch.setattr(layout, "SMALL", 0)
    monkeypatch.setattr(layout, "SMALL_METRIC", 0)
    monkeypatch.setattr(layout, "LARGE", 0)


def judge(name: str) -> str | None:
    return {"": "none", "a": "one"}.get(name)


def agree(recogniser: layout.Recogniser, body: bytes) -> None:
    """Fail unless *recogniser* makes of *body* what the plain path makes of it."""
    try:
        expected = otlp.frames(body)
    except Malformed as error:
        with pytest.raises(Malformed, match=f"^{re.escape(str(error))}$"):
            recogniser.frames(body)
        return
    found = recogniser.frames(body)
    assert found == expected
    for frame in found:
        if frame.layout is not None:
            recipe = frame.layout.recipe(frame.rest, "choice", judge)
            plain = otlp.recipe(frame.rest, judge)
            assert recipe.cut(frame.rest) == plain.cut(frame.rest)
            assert (recipe.removed, recipe.total) == (plain.removed, plain.total)


def test_the_third_request_of_a_shape_is_recognised() -> None:
    recogniser = taught(request(1, 1.5), request(2, 2.5))
    assert (recogniser.recognised, recogniser.parsed) == (0, 2)
    agree(recogniser, request(3, -0.25, count=9))
    assert (recogniser.recognised, recogniser.parsed) == (1, 2)


def test_replicas_share_what_is_known_of_their_shape() -> None:
    recogniser = taught(request(1), request(2), request(3, pod="b"))
    assert (recogniser.recognised, recogniser.parsed) == (1, 2)  # a new Resource is parsed alone
    agree(recogniser, request(4, pod="b"))
    assert (recogniser.recognised, recogniser.shapes.lessons) == (2, 1)


def test_another_shape_is_parsed() -> None:
    assert taught(request(), request(2), request(points=31)).parsed == 3


@pytest.mark.parametrize(
    "head", [b"\x0a\x80\x80\x80\x80\x80\x00", b"\x0a\x7f", b"\x0a", b"\x0a\xff\xff\xff\xff\x7f"]
)
def test_a_broken_resource_before_a_known_rest_is_malformed(head: bytes) -> None:
    body = request(resource=False)
    recogniser = taught(body, body, body)
    assert recogniser.recognised == 1
    ((_, _, _, at, _),) = protobuf.fields(body)
    agree(recogniser, protobuf.framed(1, head + body[at:]))
    agree(recogniser, protobuf.framed(1, b"\x0a\x03\x0a\x01\xff" + body[at:]))


def test_metrics_of_a_new_frame_are_recognised_one_by_one() -> None:
    recogniser = taught(request(1, points=300), request(2, points=300))
    changed = ExportMetricsServiceRequest.FromString(request(3, points=300))
    metrics = changed.resource_metrics[0].scope_metrics[0].metrics
    metrics[0].gauge.data_points[3].exemplars.add(time_unix_nano=5, as_double=1)
    metrics.add(name="new").gauge.data_points.add(as_int=5)
    agree(recogniser, changed.SerializeToString())
    assert recogniser.recognised == 0
    assert recogniser.metrics_recognised == 1  # g is changed, h is small, s is known


def test_metrics_in_a_new_order_are_recognised_one_by_one() -> None:
    recogniser = taught(request(1, points=300), request(2, points=300))
    changed = ExportMetricsServiceRequest.FromString(request(3, points=300))
    metrics = list(changed.resource_metrics[0].scope_metrics[0].metrics)
    del changed.resource_metrics[0].scope_metrics[0].metrics[:]
    changed.resource_metrics[0].scope_metrics[0].metrics.extend(reversed(metrics))
    agree(recogniser, changed.SerializeToString())
    assert (recogniser.recognised, recogniser.metrics_recognised) == (0, 2)


def test_where_no_metric_is_ever_known_few_frames_are_looked_into() -> None:
    recogniser = layout.Recogniser(1 << 20, SEED)
    for n in range(100):
        agree(recogniser, request(1, points=300 + n))  # of two metrics that are large
    assert recogniser.metrics.misses == 2 * (layout.PATIENCE + 1 + (99 - layout.PATIENCE) // 8)


def test_what_is_wrong_beside_metrics_that_are_known_is_malformed() -> None:
    recogniser = taught(request(1, points=300), request(2, points=300))
    body = request(3, points=300)
    agree(recogniser, body.replace(b"\x0a\x01h", b"\x0a\x01\xff"))
    agree(recogniser, body[:-1])
    agree(recogniser, body + b"\x0a\x02\x12\x01")
    agree(recogniser, body + b"\x0f")


def test_unknown_frames_of_a_request_do_not_keep_the_others_from_being_recognised() -> None:
    recogniser = taught(request(1), request(2))
    agree(recogniser, request(3, pod="new") + request(3) + request(points=0) + request(points=1))
    assert (recogniser.recognised, recogniser.parsed) == (2, 4)


def test_metrics_without_a_name_are_refused_when_recognised_too() -> None:
    recogniser = taught(*[request(n, gauge="") for n in (1, 2)])
    agree(recogniser, request(3, gauge=""))
    assert recogniser.recognised == 1
    (frame,) = recogniser.frames(request(4, gauge=""))
    assert (frame.points, frame.refused) == (31, 30)
    assert otlp.frames(otlp.splice(frame, b""))[0].refused == 0


def test_every_byte_outside_the_slots_counts() -> None:
    recogniser = taught(request(resource=False), request(2, resource=False))
    body = request(3, resource=False)
    ((_, _, _, start, _),) = protobuf.fields(body)
    slots = {
        start + n for slot in layout_slots.of_metrics(body[start:]) for n in range(slot, slot + 8)
    }
    for at in range(start, len(body)):
        if at in slots:
            continue
        broken = body[:at] + bytes([body[at] ^ 0x41]) + body[at + 1 :]
        recognised = recogniser.recognised
        agree(recogniser, broken)
        assert recogniser.recognised == recognised, f"byte {at} was taken for a slot"
        agree(recogniser, body)  # or else its key would be given up in time


@given(st.binary(min_size=8, max_size=8))
def test_any_eight_bytes_in_a_slot_are_recognised_and_valid(value: bytes) -> None:
    recogniser = taught(request(), request(2))
    body = bytearray(request(3))
    marker = struct.pack("<Q", 3)
    at = body.index(marker)
    body[at : at + 8] = value
    agree(recogniser, bytes(body))
    assert recogniser.recognised == 1


@pytest.mark.usefixtures("_nothing_is_small")
@settings(max_examples=150, deadline=None, suppress_health_check=FIXTURES)
@given(otlp_wire.requests, st.integers(1, 4))
def test_it_agrees_with_the_plain_path_on_anything(body: bytes, times: int) -> None:
    recogniser = layout.Recogniser(1 << 20, SEED)
    for _ in range(times):
        agree(recogniser, body)


@pytest.mark.usefixtures("_nothing_is_small")
@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES)
@given(otlp_wire.histories)
def test_it_agrees_with_the_plain_path_whatever_was_sent_before(sent: list[bytes]) -> None:
    recogniser = layout.Recogniser(1 << 20, SEED)
    for body in sent:
        agree(recogniser, body)


def test_what_hypothesis_invents_is_recognised_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SMALL", 0)
    monkeypatch.setattr(layout, "SMALL_METRIC", 0)
    monkeypatch.setattr(layout, "LARGE", 0)
    counts = Counter[str]()
    for seed in range(100):
        recogniser = layout.Recogniser(1 << 20, SEED)
        for body in otlp_wire.history(seed):
            with contextlib.suppress(Malformed):
                counts["refused"] += sum(frame.refused for frame in recogniser.frames(body))
        counts["frames"] += recogniser.recognised
        counts["parsed"] += recogniser.parsed
        counts["metrics"] += recogniser.metrics_recognised
    assert all(counts[name] > 15 for name in ("frames", "metrics", "parsed", "refused")), counts


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_hostile_changes_to_a_known_shape_end_as_on_the_plain_path(data: st.DataObject) -> None:
    recogniser, body = taught(request(), request(2), request(3)), bytearray(request(4))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    agree(recogniser, bytes(body))


def test_many_small_fields_are_left_to_the_plain_path() -> None:
    frame = protobuf.framed(2, b"") * (layout.MAX_FIELDS + 1)
    metric = protobuf.framed(2, protobuf.framed(2, b"\x0a\x01n" + protobuf.framed(5, b"\x0a\x00")))
    body = protobuf.framed(1, frame + metric)
    recogniser = taught(body, body, body, body)
    agree(recogniser, body)
    assert recogniser.recognised == 0


def test_memory_is_bounded() -> None:
    recogniser = layout.Recogniser(160_000, SEED)
    for n in range(60):
        for time in (1, 2, 3):
            for frame in recogniser.frames(request(time, pod=f"{n:0200}", points=180 + n)):
                if frame.layout is not None:
                    frame.layout.recipe(frame.rest, n, judge)
    assert sum([memo.size for memo in recogniser.memos]) <= 160_000
    assert sum([memo.max_bytes for memo in recogniser.memos]) <= 160_000
    assert all(memo.evictions for memo in recogniser.memos)
