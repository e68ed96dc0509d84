"""Slots are where values lie; filling them with anything keeps a request valid and its series."""

import struct

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2

from common.wire import errors, layout_slots, otlp, protobuf
from tests.fakes import otlp_wire

WORD = 0x1122334455667788
DOUBLE = struct.unpack("<d", struct.pack("<Q", WORD))[0]
EXEMPLAR = {
    "time_unix_nano": WORD,
    "as_double": DOUBLE,
    "span_id": WORD.to_bytes(8, "little"),
    "trace_id": WORD.to_bytes(8, "little") * 2,
    "filtered_attributes": [{"key": "e", "value": {"string_value": "f"}}],
}
COMMON = {
    "time_unix_nano": WORD,
    "start_time_unix_nano": WORD,
    "attributes": [{"key": "a", "value": {"string_value": "b"}}] * 3,
    "flags": 1,
}
KINDS = {
    "gauge": ({**COMMON, "as_double": DOUBLE}, 3),
    "sum": ({**COMMON, "as_int": WORD, "exemplars": [EXEMPLAR]}, 3 + 5),
    "histogram": (
        {
            **COMMON,
            "count": WORD,
            "sum": DOUBLE,
            "bucket_counts": [WORD] * 4,
            "explicit_bounds": [1, 2, 3],
            "min": DOUBLE,
            "max": DOUBLE,
            "exemplars": [EXEMPLAR, EXEMPLAR],
        },
        8 + 2 + 2 * 5,
    ),
    "exponential_histogram": (
        {
            **COMMON,
            "count": WORD,
            "sum": DOUBLE,
            "scale": 3,
            "zero_count": WORD,
            "positive": {"offset": 1, "bucket_counts": [1, 2, 300]},
            "min": DOUBLE,
            "max": DOUBLE,
            "zero_threshold": DOUBLE,
            "exemplars": [EXEMPLAR],
        },
        8 + 5,
    ),
    "summary": (
        {
            **COMMON,
            "count": WORD,
            "sum": DOUBLE,
            "quantile_values": [{"quantile": q, "value": DOUBLE} for q in (0.5, 0.9)],
        },
        6,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_of_every_kind_lies_in_a_slot(kind: str) -> None:
    point, slots = KINDS[kind]
    metric = metrics_pb2.Metric(name="m", **{kind: {"data_points": [point] * 2}})
    body = metric.SerializeToString()
    word = WORD.to_bytes(8, "little")
    found = layout_slots.of_metric(body)
    assert len(found) == len(set(found)) == 2 * slots == body.count(word)
    assert {body[slot : slot + 8] for slot in found} == {word}


def test_bounds_are_no_slots_even_unpacked() -> None:
    counts = b"".join([protobuf.tag(6, 1) + bytes(8)] * 2)
    bounds = b"".join([protobuf.tag(7, 1) + bytes(8)])
    metric = protobuf.framed(9, protobuf.framed(1, counts + bounds + counts))
    start = len(metric) - 5 * 9
    assert layout_slots.of_metric(metric) == [start + 1 + 9 * n for n in (0, 1, 3, 4)]


def test_offsets_are_those_in_the_whole() -> None:
    point, slots = KINDS["gauge"]
    metric = metrics_pb2.Metric(gauge={"data_points": [point]}).SerializeToString()
    framed = protobuf.framed(2, protobuf.framed(2, metric))
    alone = layout_slots.of_metric(metric)
    shift = len(framed) - len(metric)
    assert layout_slots.of_metric(b"x" + metric + b"y", 1, 1 + len(metric)) == [
        slot + 1 for slot in alone
    ]
    assert layout_slots.of_metrics(framed) == [slot + shift for slot in alone]
    assert len(alone) == slots


def identity(body: bytes) -> list[object]:
    """Everything about a request by which its series and its framing could differ."""
    found: list[object] = []
    for frame in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        found.append(frame.resource.SerializeToString())
        for scope in frame.scope_metrics:
            found += [scope.scope.SerializeToString(), scope.schema_url]
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                found += [metric.name, metric.unit, metric.description, kind]
                for point in getattr(metric, kind).data_points if kind else ():
                    found += [[a.SerializeToString() for a in point.attributes], point.flags]
                    if kind == "histogram":
                        bounds = struct.pack(
                            f"{len(point.explicit_bounds)}d", *point.explicit_bounds
                        )
                        found += [bounds, len(point.bucket_counts)]
                    elif kind == "summary":
                        found += [struct.pack("d", q.quantile) for q in point.quantile_values]
                    elif kind in {"gauge", "sum"}:
                        found.append(point.WhichOneof("value"))
    return found


@settings(max_examples=300, deadline=None)
@given(otlp_wire.requests, st.randoms(use_true_random=False))
def test_anything_in_the_slots_keeps_validity_and_identity(body: bytes, random) -> None:
    filled = bytearray(body)
    for number, wire_type, _, at, end in protobuf.fields(body):
        if number == 1 and wire_type == protobuf.BYTES:
            slots = layout_slots.of_metrics(body, at, end)
            assert all(at <= slot <= end - 8 for slot in slots)
            for slot in slots:
                filled[slot : slot + 8] = random.randbytes(8)
    assert [(f.points, f.resource) for f in otlp.frames(bytes(filled))] == [
        (f.points, f.resource) for f in otlp.frames(body)
    ]
    assert identity(bytes(filled)) == identity(body)


@settings(max_examples=200, deadline=None)
@given(otlp_wire.hostile)
def test_hostile_bytes_end_in_offsets_or_malformed(body: bytes) -> None:
    for find in (layout_slots.of_metrics, layout_slots.of_metric):
        try:
            slots = find(body)
        except errors.Malformed:
            continue
        assert all(0 <= slot <= len(body) - 8 for slot in slots)
