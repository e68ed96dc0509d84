"""OTLP requests of 1,000 points: 20 sums of 50 points with 5 attributes each, one resource."""

from collections.abc import Callable

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from bench.references import otlp as reference
from common.wire import otlp

Guard = Callable[..., None]


def _request(metrics: int = 20, points: int = 50) -> otlp.Encoded:
    body = metrics_service_pb2.ExportMetricsServiceRequest()
    frame = body.resource_metrics.add()
    for index in range(8):
        attribute = frame.resource.attributes.add(key=f"k8s.attribute.{index}")
        attribute.value.string_value = f"value-{index}-of-eight"
    scope = frame.scope_metrics.add(scope={"name": "io.example"})
    for number in range(metrics):
        metric = scope.metrics.add(name=f"http.server.metric.{number}", unit="s")
        for index in range(points):
            point = metric.sum.data_points.add(
                start_time_unix_nano=1_699_999_999_000_000_000,
                time_unix_nano=1_700_000_000_000_000_000 + index,
                as_double=index + 0.5,
            )
            for key in range(5):
                attribute = point.attributes.add(key=f"key{key}")
                attribute.value.string_value = f"value{key}.{index}"
    return otlp.Encoded(body.SerializeToString())


REQUEST = _request()
RESOURCE = otlp.frames(REQUEST)[0].resource
ENRICHED = RESOURCE + otlp.attribute("k8s.pod.name", "checkout-5d8c7bf6f-abcde")


def _enriched() -> bytes:
    (frame,) = otlp.frames(REQUEST)
    return otlp.splice(frame, ENRICHED)


def test_splice(guard: Guard) -> None:
    (frame,) = otlp.frames(REQUEST)
    expected = reference.splice(REQUEST, ENRICHED)
    assert reference.canonical(otlp.splice(frame, ENRICHED)) == expected
    guard(
        lambda: otlp.splice(frame, ENRICHED),
        reference=lambda: reference.splice(REQUEST, ENRICHED),
    )


def test_frames_and_splice(guard: Guard) -> None:
    guard(_enriched, reference=lambda: reference.splice(REQUEST, ENRICHED))


def test_count(guard: Guard) -> None:
    assert otlp.count(REQUEST) == reference.count(REQUEST) == 1_000
    guard(lambda: otlp.count(REQUEST), reference=lambda: reference.count(REQUEST))


def _odd(name: str) -> str | None:
    return None if name[-1] in "02468" else "odd"


def test_select_half(guard: Guard) -> None:
    (frame,) = otlp.frames(REQUEST)

    def select() -> otlp.Encoded:
        recipe = otlp.recipe(frame.rest, _odd)
        return otlp.splice(otlp.Frame(frame.resource, recipe.cut(frame.rest), 500), frame.resource)

    assert reference.canonical(select()) == reference.select(REQUEST, lambda n: _odd(n) is None)
    guard(select, reference=lambda: reference.select(REQUEST, lambda n: _odd(n) is None))


def test_select_everything(guard: Guard) -> None:
    (frame,) = otlp.frames(REQUEST)
    guard(
        lambda: otlp.recipe(frame.rest, lambda _: None),
        reference=lambda: reference.select(REQUEST, lambda _: True),
    )


def test_split(guard: Guard) -> None:
    pieces = otlp.split(REQUEST, 20_000)
    leaves = list(reference.leaves(REQUEST))
    assert [leaf for piece, _ in pieces for leaf in reference.leaves(piece)] == leaves
    assert sum(map(reference.count, reference.split(REQUEST, 20_000))) == 1_000
    guard(
        lambda: otlp.split(REQUEST, 20_000),
        reference=lambda: reference.split(REQUEST, 20_000),
    )


def test_string_attributes(guard: Guard) -> None:
    assert otlp.string_attributes(RESOURCE) == reference.string_attributes(RESOURCE)
    guard(
        lambda: otlp.string_attributes(RESOURCE),
        reference=lambda: reference.string_attributes(RESOURCE),
    )
