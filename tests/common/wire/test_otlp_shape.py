"""Reading a request by its shape loses nothing."""

import pytest
from hypothesis import given, settings

from bench.references import otlp as reference
from common.wire import errors, otlp_shape
from tests.fakes import otlp_wire


@settings(max_examples=100)
@given(otlp_wire.requests)
def test_writing_back_what_was_read_keeps_the_meaning(body: bytes) -> None:
    again = otlp_shape.read(body).SerializeToString()
    assert reference.canonical(again) == reference.canonical(body)


@settings(max_examples=100)
@given(otlp_wire.requests)
def test_points_are_counted_as_the_full_schema_counts_them(body: bytes) -> None:
    frames = otlp_shape.read(body).resource_metrics
    assert [otlp_shape.points_in(frame) for frame in frames] == reference.points_per_frame(body)
    for frame in frames:
        metrics = [metric for scope in frame.scope_metrics for metric in scope.metrics]
        assert sum(map(otlp_shape.points_of, metrics)) == otlp_shape.points_in(frame)


def test_broken_framing_is_malformed() -> None:
    with pytest.raises(errors.Malformed, match="not an ExportMetricsServiceRequest"):
        otlp_shape.read(b"\x0a\x05")
