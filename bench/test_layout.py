"""Guards: recognising known shapes costs a fraction of validation, and new ones little more."""

import gc
from collections.abc import Callable, Iterator
from time import process_time_ns

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bench import loads
from common.wire import layout, otlp, otlp_recipes, shapes

MOST = 1.3  # times the plain path: what shapes may cost that change every time
Bodies = Callable[[bytes], Iterator[bytes]]


def texts(body: bytes) -> Iterator[bytes]:
    """The same length every time, another label in every metric."""
    return (body.replace(b"/r0001", b"/%05d" % n) for n in range(1000))


def lengths(body: bytes) -> Iterator[bytes]:
    """Another length of every metric every time."""
    return (body_of_length(body, n) for n in range(1000))


def body_of_length(body: bytes, n: int) -> bytes:
    built = ExportMetricsServiceRequest.FromString(body)
    for metric in built.resource_metrics[0].scope_metrics[0].metrics:
        metric.description = "x" * n
    return built.SerializeToString()


def shuffled(body: bytes) -> bytes:
    """Put the metrics in another order."""
    built = ExportMetricsServiceRequest.FromString(body)
    metrics = built.resource_metrics[0].scope_metrics[0].metrics
    others = list(reversed(metrics))
    del metrics[:]
    metrics.extend(others)
    return built.SerializeToString()


def taught(sender: loads.Sender) -> layout.Recogniser:
    recogniser = layout.Recogniser(1 << 24, 1)
    for time in range(1, 4):
        recogniser.frames(sender.body(time))
    return recogniser


@pytest.mark.parametrize("points", [1000, 50])
def test_recognising_a_known_shape(guard, points: int) -> None:
    sender = loads.sender(1, points)
    recogniser, body = taught(sender), sender.body(4)
    assert recogniser.frames(body) == otlp.frames(body)
    guard(lambda: recogniser.frames(body), reference=lambda: otlp.frames(body))
    assert recogniser.parsed == 2


def test_recognising_known_metrics_in_a_new_frame(guard) -> None:
    sender = loads.sender(1, 1000)
    recogniser, body = taught(sender), shuffled(sender.body(4))
    recogniser.shapes = shapes.Shapes(1 << 24, 1, lambda _: None)  # so that it stays a new frame
    assert recogniser.frames(body) == otlp.frames(body)
    assert (recogniser.recognised, recogniser.metrics_recognised) == (1, 20)
    guard(lambda: recogniser.frames(body), reference=lambda: otlp.frames(body))
    assert recogniser.recognised == 1


def test_selecting_metrics_of_a_known_shape(guard) -> None:
    sender = loads.sender(1, 1000)
    (frame,) = taught(sender).frames(sender.body(4))

    def odd(name: str) -> str | None:
        return "even" if int(name.rpartition("_")[2]) % 2 == 0 else None

    def select() -> bytes:
        return frame.layout.recipe(frame.rest, "choice", odd).cut(frame.rest)

    assert select() == otlp_recipes.recipe(frame.rest, odd).cut(frame.rest)
    guard(select, reference=lambda: otlp_recipes.recipe(frame.rest, odd).cut(frame.rest))


@pytest.mark.parametrize("points", [1000, 50])
@pytest.mark.parametrize("bodies", [texts, lengths])
def test_shapes_that_always_change(
    bodies: Bodies, points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes, "CREDIT", 1 << 17)  # what is saved up shall not hide the rest
    body = loads.sender(1, points).body(1)
    ratios = []
    for _ in range(3):
        recogniser = layout.Recogniser(1 << 24, 1)
        ours = theirs = 0
        gc.disable()
        for n, each in enumerate(bodies(body)):
            start = process_time_ns()
            recogniser.frames(each)
            middle = process_time_ns()
            otlp.frames(each)
            end = process_time_ns()
            if n > 300:
                ours += middle - start
                theirs += end - middle
        gc.enable()
        ratios.append(ours / theirs)
        assert not recogniser.recognised
    print(f"{bodies.__name__} {points}: {min(ratios):.2f} times the plain path")
    assert min(ratios) <= MOST
