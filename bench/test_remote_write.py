"""Remote write: what a known series costs, and a new one."""

from random import Random
from time import process_time_ns

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bench.references import remote_write as reference
from common.wire import otlp, remote_write, remote_write_known
from common.wire.remote_write import Options

NOW = 1_700_000_000_000


def body(salt, metrics=10, points=20, order=None, resource=""):
    """Return sums and gauges of 5 attributes a point; one of them is another for each *salt*."""
    request = ExportMetricsServiceRequest()
    frame = request.resource_metrics.add()
    for key in ("service.name", "service.instance.id", "k8s.pod.name", "k8s.namespace.name"):
        frame.resource.attributes.add(key=key).value.string_value = f"{key} {resource or salt}"
    scope = frame.scope_metrics.add()
    scope.scope.name = "bench"
    for m in range(metrics):
        metric = scope.metrics.add(name=f"http.server.requests.{m}", unit="s", description="Helps.")
        data = metric.sum if m % 2 else metric.gauge
        numbers = [*range(points)]
        if order is not None:
            order.shuffle(numbers)
        for p in numbers:
            point = data.data_points.add(start_time_unix_nano=1, time_unix_nano=NOW * 10**6)
            if m % 3:
                point.as_double = p + 0.5
            else:
                point.as_int = p
            for a in range(4):
                point.attributes.add(key=f"key.{a}").value.string_value = f"value {p % (a + 2)}"
            point.attributes.add(key="n").value.string_value = f"{p} {salt}"
        if m % 2:
            metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
    return otlp.Encoded(request.SerializeToString())


def histograms(points=20, buckets=10):
    """Return histograms with 10 bounds."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    metric = scope.metrics.add(name="http.server.duration", unit="s")
    metric.histogram.aggregation_temporality = 2
    for p in range(points):
        point = metric.histogram.data_points.add(time_unix_nano=NOW * 10**6, count=p, sum=p)
        point.explicit_bounds.extend(range(buckets))
        point.bucket_counts.extend([1] * (buckets + 1))
        point.attributes.add(key="n").value.string_value = str(p)
    return otlp.Encoded(request.SerializeToString())


def compared(guard, request):
    """Guard the conversion of *request*, known by now, against the obvious one."""
    converter = remote_write.Converter(Options(), 64 << 20)
    obvious = reference.Reference(Options())
    guard(
        lambda: converter.convert(request, NOW),
        reference=lambda: obvious.convert(request, NOW),
    )


def test_convert_known_series(guard):
    compared(guard, body("known"))


def test_convert_shuffled_series(guard, monkeypatch):
    # A known sender whose points come in an order that was not there before.
    monkeypatch.setattr(remote_write_known, "OFTEN", 1 << 60)
    monkeypatch.setattr(remote_write_known, "ORDERS", 0)
    converter = remote_write.Converter(Options(), 64 << 20, seed=1)
    for _ in range(2):
        converter.convert(body("known"), NOW)
    shuffled = body("known", order=Random(1))
    obvious = reference.Reference(Options())
    guard(
        lambda: converter.convert(shuffled, NOW),
        reference=lambda: obvious.convert(shuffled, NOW),
    )
    assert converter.known.learnt == 1


def test_a_sender_that_never_repeats_itself_costs_little_more_than_without_a_memory():
    # Other series with each send: what looking for them in vain, and learning some of them in vain,
    # may cost altogether. The bar is 1.3.
    bodies = [body(f"{n}", metrics=5, resource="one") for n in range(250)]

    def spent(remember):
        converter = remote_write.Converter(Options(), 64 << 20, seed=1)
        if not remember:
            converter.known.senders.max_bytes = 0
        start = process_time_ns()
        for each in bodies:
            converter.convert(each, NOW)
        return process_time_ns() - start

    turns = [(spent(remember=True), spent(remember=False)) for _ in range(4)]
    assert min(keen for keen, _ in turns) <= 1.3 * min(plain for _, plain in turns)


def test_convert_known_histograms(guard):
    compared(guard, histograms())


def test_convert_new_series(guard):
    # A new converter knows nothing: metrics, attributes and series are all translated.
    request = body("new")
    guard(
        lambda: remote_write.Converter(Options(), 64 << 20).convert(request, NOW),
        reference=lambda: reference.Reference(Options()).convert(request, NOW),
    )
