"""Batches are turned once, when they are prepared; the exporter within does all else."""

from __future__ import annotations

from typing import Any, final

import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from typing_extensions import override

from common.config import outputs
from common.exporters.outcomes import (
    Batch,
    Delivered,
    Encoding,
    Exporter,
    Prepared,
    Recognition,
    Request,
    Verdict,
)
from common.exporters.turning import TurningExporter
from common.service.ledger import DropReason
from common.wire import otlp, temporality
from common.wire.temporality import Reason
from tests.fakes import points

OUTPUT = outputs.Output(otlp=outputs.OtlpOutput(endpoint="http://backend:4317"))
RECOGNITION = Recognition(recognised=1, rearranged=2, learnt=3, evictions=4, size=5, max_bytes=6)


@final
class Within(Exporter):
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    @override
    def recognition(self) -> Recognition:
        return RECOGNITION

    @override
    def identity(self, resource: bytes) -> bytes:
        return resource[::-1]

    @override
    def renew(self, output: outputs.Output) -> None:
        self.asked.append(output)

    @override
    def prepare(self, batch: Batch) -> Prepared:
        self.asked.append(batch)
        return Prepared(batch=batch, dropped={DropReason.OUT_OF_ORDER: 1, DropReason.UNNAMEABLE: 2})

    @override
    def encode(self, batch: Batch) -> Encoding:
        return Encoding(requests=(Request(body=batch.body, points=batch.points),))

    @override
    async def send(self, request: Request) -> Verdict:
        return Delivered(request.points)


def totals(*values: int, at: int = 0) -> otlp.Encoded:
    request = metrics_service_pb2.ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
    for n, value in enumerate(values, at or 1):
        metric.sum.data_points.add(as_int=value, time_unix_nano=n)
    return otlp.Encoded(request.SerializeToString())


def turning() -> tuple[TurningExporter, Within]:
    within = Within()
    turner = temporality.Differ(max_bytes=1 << 20, expiry=60.0, seed=1, began=1.0)
    return TurningExporter(within, turner, lambda: 1_790_000_000.0), within


def batch(body: otlp.Encoded, count: int) -> Batch:
    return Batch(body=body, points=count, oldest=4.5)


def test_points_are_turned_when_they_are_prepared() -> None:
    exporter, within = turning()
    prepared = exporter.prepare(batch(totals(5, 7, 7), 3))
    assert within.asked == [prepared.batch]
    assert (prepared.batch.points, prepared.batch.oldest) == (2, 4.5)
    request: Any = metrics_service_pb2.ExportMetricsServiceRequest.FromString(prepared.batch.body)
    found = request.resource_metrics[0].scope_metrics[0].metrics[0].sum
    assert found.aggregation_temporality == 1
    assert [point.as_int for point in found.data_points] == [2, 0]


def test_drops_of_both_add_up() -> None:
    exporter, _ = turning()
    exporter.prepare(batch(totals(5), 1))
    prepared = exporter.prepare(batch(totals(5), 1))
    assert prepared.dropped == {DropReason.OUT_OF_ORDER: 2, DropReason.UNNAMEABLE: 2}


def test_a_batch_may_be_left_with_nothing() -> None:
    exporter, _ = turning()
    prepared = exporter.prepare(batch(totals(5), 1))
    assert (prepared.batch.body, prepared.batch.points) == (b"", 0)
    assert prepared.dropped[DropReason.BASELINE] == 1


def test_what_is_not_affected_is_the_same_object() -> None:
    exporter, _ = turning()
    body = points.request([1.0, 2.0])
    assert exporter.prepare(batch(body, 2)).batch.body is body


async def test_all_else_is_asked_of_the_exporter_within() -> None:
    exporter, within = turning()
    assert exporter.recognition() is RECOGNITION
    assert exporter.identity(b"abc") == b"cba"
    exporter.renew(OUTPUT)
    assert within.asked == [OUTPUT]
    (request,) = exporter.encode(batch(points.request([1.0]), 1)).requests
    assert await exporter.send(request) == Delivered(1)


def test_series_are_those_that_are_remembered() -> None:
    exporter, within = turning()
    exporter.prepare(batch(totals(5), 1))
    assert exporter.series().series == 1
    assert within.series() is None


@pytest.mark.parametrize("why", list(Reason))
def test_every_reason_has_one_in_the_ledger(why: Reason) -> None:
    assert DropReason[why.name] == why.value
