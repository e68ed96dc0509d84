"""Requests are taken apart and put together without losing a byte that matters."""

import pytest
from hypothesis import example, given, settings
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from bench.references import otlp as reference
from common.wire import errors, otlp, protobuf
from tests.fakes import otlp_wire

Request = metrics_service_pb2.ExportMetricsServiceRequest
Response = metrics_service_pb2.ExportMetricsServiceResponse
GAUGE = metrics_pb2.Metric(
    name="g", gauge={"data_points": [{"as_int": 1}, {"as_double": 2.0}]}
).SerializeToString()
SCOPE = protobuf.framed(2, protobuf.framed(2, GAUGE))


def request(*messages: bytes) -> bytes:
    return b"".join([protobuf.framed(1, message) for message in messages])


def resource(**attributes: str) -> bytes:
    return b"".join([otlp.attribute(key, value) for key, value in attributes.items()])


def test_a_frame_is_its_resource_and_the_rest() -> None:
    rest = SCOPE + protobuf.framed(3, b"schema")
    body = request(protobuf.framed(1, resource(a="b")) + rest)
    assert otlp.frames(body) == (otlp.Frame(resource=resource(a="b"), rest=rest, points=2),)
    assert otlp.splice(otlp.frames(body)[0], resource(a="b")) == body


def test_a_frame_without_a_resource_has_an_empty_one() -> None:
    assert otlp.frames(request(SCOPE)) == (otlp.Frame(resource=b"", rest=SCOPE, points=2),)


def test_resources_in_odd_places_are_merged_and_the_rest_keeps_its_order() -> None:
    one, two = protobuf.framed(1, resource(a="b")), protobuf.framed(1, resource(c="d"))
    schema = protobuf.framed(3, b"schema")
    (frame,) = otlp.frames(request(SCOPE + one + schema + two + SCOPE))
    assert frame == otlp.Frame(
        resource=resource(a="b", c="d"), rest=SCOPE + schema + SCOPE, points=4
    )


def test_frames_without_points_are_left_out() -> None:
    body = request(b"", protobuf.framed(1, resource(a="b")), SCOPE, protobuf.framed(2, b""))
    assert [frame.points for frame in otlp.frames(body)] == [2]
    assert otlp.frames(b"") == ()


def test_only_the_kind_of_data_that_upb_keeps_is_counted() -> None:
    def points(number: int, n: int) -> bytes:
        return protobuf.framed(number, protobuf.framed(1, b"") * n)

    def counted(metric: bytes) -> int:
        return otlp.count(request(protobuf.framed(2, protobuf.framed(2, metric))))

    assert counted(points(5, 3) + points(7, 2)) == 2
    assert counted(points(5, 3) + points(5, 2)) == 5
    assert counted(points(5, 3) + points(7, 2) + points(5, 1)) == 1


@pytest.mark.parametrize("kind", ["gauge", "sum", "histogram", "exponential_histogram", "summary"])
def test_every_kind_of_data_is_counted(kind: str) -> None:
    body = Request()
    metric = body.resource_metrics.add().scope_metrics.add().metrics.add()
    getattr(metric, kind).data_points.add()
    getattr(metric, kind).data_points.add()
    assert otlp.count(body.SerializeToString()) == 2


@settings(max_examples=100)
@given(otlp_wire.requests)
def test_frames_agree_with_upb_on_points_and_resources(body: bytes) -> None:
    expected = [
        (frame.resource.SerializeToString(), *tally)
        for frame, tally in zip(
            Request.FromString(body).resource_metrics, reference.tallies(body), strict=True
        )
        if any(tally)
    ]
    found = [
        (
            resource_pb2.Resource.FromString(frame.resource).SerializeToString(),
            frame.points,
            frame.refused,
        )
        for frame in otlp.frames(body)
    ]
    assert found == expected
    assert otlp.count(body) == sum(points + refused for _, points, refused in expected)


def test_metrics_without_a_name_are_refused_and_the_rest_is_taken() -> None:
    nameless = GAUGE.replace(b"\x0a\x01g", b"")
    metrics = protobuf.framed(2, nameless) + protobuf.framed(2, GAUGE)
    frame = protobuf.framed(1, resource(a="b")) + protobuf.framed(2, metrics)
    alone = protobuf.framed(2, protobuf.framed(2, nameless))
    whole, none = otlp.frames(request(frame, alone))
    assert whole == otlp.Frame(resource(a="b"), SCOPE, points=2, refused=2)
    assert none == otlp.Frame(b"", b"", points=0, refused=2)


def test_metrics_without_name_and_points_are_not_worth_a_word() -> None:
    frame = SCOPE + protobuf.framed(2, protobuf.framed(2, b""))
    assert otlp.frames(request(frame)) == (otlp.Frame(b"", frame, points=2),)


@settings(max_examples=100)
@given(otlp_wire.requests)
def test_splicing_its_own_resource_back_changes_nothing(body: bytes) -> None:
    spliced = [otlp.splice(frame, frame.resource) for frame in otlp.frames(body) if frame.points]
    kept, after = reference.named(body), Request.FromString(b"".join(spliced)).resource_metrics
    for frame in (*kept, *after):
        if not frame.resource.ByteSize():
            frame.ClearField("resource")  # present but empty is as good as absent
    assert [f.SerializeToString() for f in kept] == [f.SerializeToString() for f in after]


@settings(max_examples=50)
@given(otlp_wire.requests, otlp_wire.resources)
def test_splicing_another_resource_in_is_what_upb_would_do(body: bytes, other: bytes) -> None:
    enriched = [otlp.splice(frame, other) for frame in otlp.frames(body) if frame.points]
    kept = reference.named(body)
    for frame in kept:
        if other:
            frame.resource.ParseFromString(other)
        else:
            frame.ClearField("resource")
    found = Request.FromString(b"".join(enriched)).resource_metrics
    assert [f.SerializeToString() for f in found] == [f.SerializeToString() for f in kept]


@settings(max_examples=200)
@given(otlp_wire.hostile)
@example(b"\x0a\x03\x1a\x01\xff")
def test_hostile_bytes_end_in_what_upb_says(body: bytes) -> None:
    try:
        expected = [tally for tally in reference.tallies(body) if any(tally)]
    except Exception:  # noqa: BLE001 - whatever it is, we must say Malformed
        with pytest.raises(errors.Malformed, match="not an ExportMetricsServiceRequest"):
            otlp.frames(body)
        with pytest.raises(errors.Malformed):
            otlp.count(body)
    else:
        assert [(frame.points, frame.refused) for frame in otlp.frames(body)] == expected


def nested(levels: int) -> bytes:
    value = b""
    for _ in range(levels):
        value = protobuf.framed(5, protobuf.framed(1, value))  # AnyValue.array_value.values
    return request(protobuf.framed(1, protobuf.framed(1, protobuf.framed(2, value))) + SCOPE)


def test_nesting_is_bounded() -> None:
    assert otlp.count(nested(48)) == 2
    with pytest.raises(errors.Malformed, match="MaxDepth"):
        otlp.frames(nested(49))


def test_full_success_is_an_empty_response() -> None:
    assert otlp.response() == b""
    assert otlp.partial_success(b"") == (0, "")


@pytest.mark.parametrize(("rejected", "text"), [(3, "over quota"), (0, "mind the gap"), (7, "")])
def test_partial_success_goes_there_and_back(rejected: int, text: str) -> None:
    partial = Response.FromString(otlp.response(rejected, text)).partial_success
    assert (partial.rejected_data_points, partial.error_message) == (rejected, text)
    assert otlp.partial_success(otlp.response(rejected, text)) == (rejected, text)


def test_a_backend_cannot_reject_a_negative_number_of_points() -> None:
    answer = Response(partial_success={"rejected_data_points": -5, "error_message": "?"})
    assert otlp.partial_success(answer.SerializeToString()) == (0, "?")


def test_a_response_that_is_none_is_malformed() -> None:
    with pytest.raises(errors.Malformed, match="not an ExportMetricsServiceResponse"):
        otlp.partial_success(b"\x0a\xff")
