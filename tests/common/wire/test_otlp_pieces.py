"""Splitting conserves every point, in order, with all that it belongs to."""

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from bench.references import otlp as reference
from common.wire import errors, otlp, otlp_pieces, protobuf
from tests.fakes import otlp_wire

Request = metrics_service_pb2.ExportMetricsServiceRequest


def sums(names: str = "abc", points: int = 4, resources: int = 1) -> otlp.Encoded:
    body = Request()
    for index in range(resources):
        frame = body.resource_metrics.add(schema_url="https://schema")
        frame.resource.attributes.add(key="i").value.int_value = index
        scope = frame.scope_metrics.add(scope={"name": "scope", "version": "1"}, schema_url="s")
        for name in names:
            metric = scope.metrics.add(name=name, unit="s", description="d" * 20)
            metric.sum.aggregation_temporality = 2
            metric.sum.is_monotonic = True
            for n in range(points):
                point = metric.sum.data_points.add(as_int=n, time_unix_nano=1 + n)
                point.attributes.add(key="k").value.string_value = f"{index}{name}{n}"
    return otlp.Encoded(body.SerializeToString())


def everything(pieces: list[tuple[otlp.Encoded, int]]) -> list[tuple[bytes | None, ...]]:
    return [leaf for body, _ in pieces for leaf in reference.leaves(body)]


def test_a_request_that_fits_is_one_piece() -> None:
    body = sums()
    assert otlp.split(body, len(body)) == [(body, 12)]


def test_cuts_fall_between_resources_where_that_suffices() -> None:
    one = len(sums("a", 1))
    pieces = otlp.split(sums("a", 1, resources=4), 2 * one + 10)
    assert [(len(Request.FromString(body).resource_metrics), n) for body, n in pieces] == [
        (2, 2),
        (2, 2),
    ]


def test_a_large_metric_is_cut_between_points_with_all_its_headers() -> None:
    body = sums("a", 50)
    pieces = otlp.split(body, 400)
    assert len(pieces) > 5
    assert everything(pieces) == list(reference.leaves(body))
    assert max(len(piece) for piece, _ in pieces) <= 400


def inside(data: bytes, *path: int) -> list[bytes]:
    """The payloads of all the fields that *path*, of field numbers, leads to."""
    found = [data]
    for number in path:
        found = [
            outer[at:end]
            for outer in found
            for field, _, _, at, end in protobuf.fields(outer)
            if field == number
        ]
    return found


def test_pieces_of_one_metric_have_its_data_once() -> None:
    for piece, points in otlp.split(sums("ab", 20), 300):
        metrics = inside(piece, 1, 2, 2)
        assert [len(inside(metric, 7)) for metric in metrics] == [1] * len(metrics)
        assert len(inside(piece, 1, 2, 2, 7, 1)) == points


def test_pieces_have_the_resource_before_the_metrics() -> None:
    for piece, _ in otlp.split(sums("ab", 20), 300):
        ((_, _, _, at, end),) = protobuf.fields(piece)
        assert [field[0] for field in protobuf.fields(piece, at, end)] == [1, 3, 2]


def test_a_limit_below_the_headers_gives_single_points() -> None:
    assert [n for _, n in otlp.split(sums("a", 5), 1)] == [1] * 5


def test_headers_that_would_multiply_the_bytes_are_not_repeated() -> None:
    body = Request.FromString(sums("a", 100))
    body.resource_metrics[0].resource.attributes.add(key="x").value.string_value = "x" * 100_000
    whole = otlp.Encoded(body.SerializeToString())
    assert otlp.split(whole, 50_000) == [(whole, 100)]
    metric = Request.FromString(sums("a", 100))
    metric.resource_metrics[0].scope_metrics[0].metrics[0].description = "x" * 100_000
    whole = otlp.Encoded(metric.SerializeToString())
    ((piece, points),) = otlp.split(whole, 50_000)
    assert (reference.canonical(piece), points) == (whole, 100)


@settings(max_examples=100)
@given(otlp_wire.requests, st.integers(0, 3000))
def test_splitting_conserves_everything_in_order(body: bytes, max_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(otlp_pieces, "_MAX_GROWTH", 10**9)
        pieces = otlp.split(otlp.Encoded(body), max_bytes)
    assert everything(pieces) == list(reference.leaves(body))
    assert [points for _, points in pieces] == [reference.count(piece) for piece, _ in pieces]
    assert all(len(piece) <= max_bytes or points <= 1 for piece, points in pieces)


@settings(max_examples=50)
@given(otlp_wire.requests, st.integers(0, 3000))
def test_splitting_never_multiplies_the_bytes(body: bytes, max_bytes: int) -> None:
    pieces = otlp.split(otlp.Encoded(body), max_bytes)
    assert everything(pieces) == list(reference.leaves(body))
    assert sum(len(piece) for piece, _ in pieces) <= 8 * len(body)


def test_pieces_joined_again_are_a_request_of_all_the_points() -> None:
    body = sums("abc", 20, resources=3)
    joined = b"".join([piece for piece, _ in otlp.split(body, 500)])
    assert list(reference.leaves(joined)) == list(reference.leaves(body))


def test_broken_framing_is_malformed() -> None:
    broken = otlp.Encoded(b"\x0a\x05")
    with pytest.raises(errors.Malformed):
        otlp.split(broken, 1)
