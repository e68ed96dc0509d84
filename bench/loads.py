"""Requests as senders make them: 20 metrics, 5 attributes a point, about 130 bytes a point."""

import struct
from dataclasses import dataclass
from random import Random

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

METRICS = 20
CLIENTS = 200
SHUFFLED_EVERY = 10
MARK = 0x1122334455667788
KEY = b"http.route"  # once in every point
LABEL = b"http_route"  # and what remote write makes of it


@dataclass(slots=True, eq=False)
class Sender:
    """One client: the same bytes again but for times and values, one request in ten shuffled."""

    plain: np.ndarray
    shuffled: np.ndarray
    slots: np.ndarray
    shuffled_slots: np.ndarray
    sent: int = 0

    def body(self, time_ns: int) -> bytes:
        """Return the next request, its points at *time_ns*."""
        self.sent += 1
        odd = self.sent % SHUFFLED_EVERY == 0
        body = (self.shuffled if odd else self.plain).copy()
        slots = self.shuffled_slots if odd else self.slots
        body[slots[:, None] + np.arange(8)] = np.frombuffer(struct.pack("<Q", time_ns), np.uint8)
        return body.tobytes()


def sender(client: int, points: int, seed: str = "") -> Sender:
    """Make the sender of *client*: a pod of its own, *points* data points a request."""
    order = list(range(points))
    mixed = order.copy()
    Random(client).shuffle(mixed)
    plain, shuffled = _request(client, order, seed), _request(client, mixed, seed)
    return Sender(
        plain=np.frombuffer(plain, np.uint8),
        shuffled=np.frombuffer(shuffled, np.uint8),
        slots=_marks(plain),
        shuffled_slots=_marks(shuffled),
    )


def _request(client: int, order: list[int], seed: str) -> bytes:
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add()
    attributes = {
        "service.name": f"service-{client % 40}",
        "service.instance.id": f"instance-{client}{seed}",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        "k8s.pod.ip": f"10.0.{client // 250}.{client % 250}",
    }
    for key, value in attributes.items():
        resource_metrics.resource.attributes.add(key=key).value.string_value = value
    scope = resource_metrics.scope_metrics.add()
    scope.scope.name = "bench"
    metrics = []
    for n in range(min(METRICS, len(order))):
        metric = scope.metrics.add(
            name=f"http.server.metric_{n}", unit="1", description="A metric."
        )
        if n % 2:
            metric.sum.is_monotonic = True
            metric.sum.aggregation_temporality = 2
        metrics.append(metric)
    for n in order:
        metric = metrics[n % len(metrics)]
        point = (metric.sum if (n % len(metrics)) % 2 else metric.gauge).data_points.add(
            start_time_unix_nano=1_700_000_000_000_000_000, time_unix_nano=MARK, as_double=n * 1.5
        )
        for key, value in (
            ("http.route", f"/r{n // METRICS:04}"),
            ("http.method", "GET"),
            ("status", "200"),
            ("zone", "a"),
            ("seed", seed or "s"),
        ):
            point.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def _marks(body: bytes) -> np.ndarray:
    needle, found, at = struct.pack("<Q", MARK), [], -1
    while (at := body.find(needle, at + 1)) >= 0:
        found.append(at)
    return np.array(found)
