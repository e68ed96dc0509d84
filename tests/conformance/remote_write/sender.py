"""A sender of remote write 2.0 under test: what is given to it, and how it is run."""

from __future__ import annotations

import asyncio
import struct
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from common.config import outputs
from common.exporters import build, remote_write as client
from common.exporters.outcomes import Batch, Delivered, Encoding, Exporter, Verdict
from common.wire import otlp, protobuf, remote_write, remote_write_series
from tests.fakes import remote_write_v2 as strict
from tests.flow import programs

CUMULATIVE = 2
NOW = 1_790_000_000  # seconds since 1970; of all points here, unless they say otherwise
MS = NOW * 1000


def _points(data: Any, points: Sequence[tuple[float, Mapping[str, str], int]]) -> None:
    for value, attributes, seconds in points:
        point = data.data_points.add(as_double=value, time_unix_nano=seconds * 10**9)
        for key, text in attributes.items():
            point.attributes.add(key=key).value.string_value = text


def gauge(name: str, value: float, *, at: int = NOW, **attributes: str) -> Metric:
    """Make a gauge of one point, *at* seconds."""
    metric = Metric(name=name)
    _points(metric.gauge, [(value, attributes, at)])
    return metric


def counter(name: str, value: float, *, at: int = NOW, **attributes: str) -> Metric:
    """Make a monotonic cumulative sum of one point."""
    metric = Metric(name=name)
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, CUMULATIVE
    _points(metric.sum, [(value, attributes, at)])
    return metric


def histogram(name: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> Metric:
    """Make a cumulative histogram of one point."""
    metric = Metric(name=name)
    metric.histogram.aggregation_temporality = CUMULATIVE
    point = metric.histogram.data_points.add(time_unix_nano=NOW * 10**9, sum=total)
    point.explicit_bounds.extend(bounds)
    point.bucket_counts.extend(counts)
    point.count = sum(counts)
    return metric


def summary(name: str, quantiles: Mapping[float, float], count: int, total: float) -> Metric:
    """Make a summary of one point."""
    metric = Metric(name=name)
    point = metric.summary.data_points.add(time_unix_nano=NOW * 10**9, count=count, sum=total)
    for quantile, value in quantiles.items():
        point.quantile_values.add(quantile=quantile, value=value)
    return metric


def request(*metrics: Metric, **resource: str) -> otlp.Encoded:
    """Encode a request of one resource, by default the instance 1 of a shop."""
    made = ExportMetricsServiceRequest()
    frame = made.resource_metrics.add()
    given = resource or {"service.name": "shop", "service.instance.id": "1"}
    for key, value in given.items():
        frame.resource.attributes.add(key=key).value.string_value = value
    frame.scope_metrics.add().metrics.extend(metrics)
    return otlp.Encoded(made.SerializeToString())


@asynccontextmanager
async def exporting(url: str, **settings: Any) -> AsyncIterator[Exporter]:
    """Give the exporter that a configuration with protocol 2.0 and *settings* leads to."""
    section = outputs.RemoteWriteOutput(url=url, protocol="2.0", **settings)
    async with build.exporting(
        outputs.Output(remote_write=section), now=lambda: float(NOW)
    ) as exporter:
        yield exporter


def encoded(exporter: Exporter, body: otlp.Encoded) -> Encoding:
    """Encode *body* as delivery does; nothing of it may be dropped."""
    points = otlp.count(body)
    prepared = exporter.prepare(Batch(body=body, points=points, oldest=0.0))
    encoding = exporter.encode(prepared.batch)
    assert not prepared.dropped and not encoding.dropped
    return encoding


async def sent(exporter: Exporter, body: otlp.Encoded) -> list[Verdict]:
    """Encode *body*, and make one attempt with each request."""
    return [await exporter.send(made) for made in encoded(exporter, body).requests]


async def told(*bodies: otlp.Encoded, utf8: bool = False, **settings: Any) -> list[strict.Write]:
    """Send *bodies* to a strict receiver, which must find nothing wrong; return what it got."""
    async with (
        strict.receiving(utf8=utf8) as receiver,
        exporting(receiver.url, **settings) as exporter,
    ):
        for body in bodies:
            assert all(verdict == Delivered() for verdict in await sent(exporter, body))
    assert receiver.problems == []
    assert {write.version for write in receiver.writes} <= {"2.0"}
    return receiver.writes


async def series_told(*metrics: Metric, name: str, **settings: Any) -> list[strict.Series]:
    """Send *metrics* in one request; return the series called *name*."""
    (write,) = await told(request(*metrics), **settings)
    return write.named(name)


async def drafted(*series: bytes, metadata: bytes = b"") -> strict.Write:
    """Send TimeSeries as a conversion with start times makes them; return what arrived."""
    made = remote_write.Request(body=b"".join([*series, metadata]), points=1, samples=1)

    class Converter(remote_write.Converter):
        def convert(self, body: otlp.Encoded, now_ms: int) -> remote_write.Converted:
            del body, now_ms
            return remote_write.Converted(requests=(made,), dropped={})

    async with (
        strict.receiving() as receiver,
        exporting(receiver.url, deltas="drop") as exporter,  # which has nothing around it
    ):
        assert isinstance(exporter, client.RemoteWriteExporter)
        exporter._converter = Converter(remote_write.Options(), 1 << 20)
        encoding = exporter.encode(Batch(body=otlp.Encoded(b""), points=1, oldest=0.0))
        assert [await exporter.send(one) for one in encoding.requests] == [Delivered()]
    assert receiver.problems == []
    return receiver.writes[0]


def labels(**pairs: str) -> bytes:
    """Encode labels; ``name`` becomes ``__name__``."""
    named = {"__name__" if key == "name" else key: value for key, value in pairs.items()}
    return b"".join([remote_write_series.label(*pair) for pair in sorted(named.items())])


def spelt(start: int) -> bytes:
    """Encode a start_timestamp as conversions do: in six bytes, even if it is 0, which is none."""
    groups = [start >> n & 127 | 128 for n in (0, 7, 14, 21, 28)]
    return bytes((0x18, *groups, start >> 35))


def started(name: str, start: int) -> bytes:
    """Encode a series of one sample with a start."""
    sample = b"\x09" + struct.pack("<d", 1.5) + remote_write_series.stamp(MS) + spelt(start)
    return protobuf.framed(1, labels(name=name) + protobuf.framed(2, sample))


def draft(message: Any) -> bytes:
    """Encode a TimeSeries of a draft."""
    return protobuf.framed(1, message.SerializeToString())


def pipeline(name: str, url: str, **output: Any) -> dict[str, Any]:
    """Configure a pipeline that speaks 2.0 with *url*, and does not wait long for anything."""
    return {
        "name": name,
        "output": {"remote_write": {"url": url, "protocol": "2.0", "timeout": 1.0, **output}},
        "batch": {"linger": 0.05},
        "retry": {"initial": 0.05, "max_interval": 0.4, "max_age": 30},
    }


async def push(gateway: programs.Gateway, body: bytes) -> None:
    """Push *body* over HTTP; it must be accepted."""

    def send() -> int:
        headers = {"Content-Type": "application/x-protobuf"}
        asked = urllib.request.Request(f"{gateway.http}/v1/metrics", body, headers)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status

    assert await asyncio.to_thread(send) == 200


async def settled(gateway: programs.Gateway, *names: str) -> dict[str, dict[str, Any]]:
    """Wait until nothing is held; return the ledgers of the pipelines called *names*."""

    async def ledgers() -> dict[str, dict[str, Any]]:
        found = {name: await gateway.ledger(name) for name in names}
        return found if all(one["received"] and not one["held"] for one in found.values()) else {}

    return await programs.until(ledgers, f"the points of {names} met their fate")


def log(folder: Path) -> str:
    """Return what the gateway has logged."""
    return (folder / "gateway.log").read_text()
