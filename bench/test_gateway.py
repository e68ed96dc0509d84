"""Guards of the gateway: a request from behind the door to the queues, whole and filtered."""

import functools
from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bench.references import gateway as reference
from common.config import runtime_metrics
from common.config.agent_inputs import RuntimeResources
from common.config.gateway import Input, Inputs, RuntimeInput
from common.config.shared import Names, Namespaces
from common.enrichment import attributes, enricher, pods
from common.service.ledger import Ledger
from common.wire import layout, otlp
from gateway import filters, intake, routing

CONSTANTS = {"k8s.cluster.name": "east"}
SELECTED = Inputs(otlp=Input(namespaces=Namespaces(exclude=("kube-system",))))
NAMED = Inputs(otlp=Input(metrics=Names(include=("http_*",), exclude=("*_7",))))
RUNTIME = Inputs(runtime=RuntimeInput(enabled=True, resources=RuntimeResources(volume=False)))
SAME = Inputs(  # by globs
    otlp=Input(metrics=Names(exclude=("k8s.volume.*", *sorted(runtime_metrics.ADDITIONAL))))
)


def request(points: int, *names: str, source: str = "") -> bytes:
    built = ExportMetricsServiceRequest()
    frame = built.resource_metrics.add()
    if source:
        frame.resource.attributes.add(key="kyma.input.name").value.string_value = source
    for key in ("service.name", "k8s.namespace.name", "host.name", "telemetry.sdk.language"):
        frame.resource.attributes.add(key=key).value.string_value = f"value-of-{key}"
    scope = frame.scope_metrics.add()
    for i in range(points):
        if i % 50 == 0:
            name = names[i // 50] if names else f"http_requests_{i // 50}"
            metric = scope.metrics.add(name=name, unit="1")
        point = metric.sum.data_points.add(time_unix_nano=1_700_000_000_000_000_000, as_double=i)
        for key in ("method", "route", "code", "host", "zone"):
            point.attributes.add(key=key).value.string_value = f"{key}-{i % 50}"
    return built.SerializeToString()


class Outlet:
    """A queue that is always empty."""

    durable = False

    def __init__(self) -> None:
        self.ledger = Ledger("bench")

    def has_room(self, _: int) -> bool:
        return True

    def offer(self, _: otlp.Encoded, points: int, __: otlp.Spans) -> bool:
        self.ledger.deliver(points)
        return True


def heart(inputs: Inputs, frames: intake.Frames) -> intake.Intake:
    rules = attributes.Rules(constants=tuple(CONSTANTS.items()))
    built = intake.Intake(enricher.Enricher(rules, pods.PodIndex(), 1 << 20), frames)
    route = routing.Route(name="p", selections=filters.selections(inputs), outlet=Outlet())
    built.routes = routing.Routes(generation=1, pipelines=(route,))
    return built


def check(guard, body: bytes, inputs: Inputs, frames: intake.Frames = otlp.frames) -> None:
    subject = heart(inputs, frames)
    for _ in range(3):  # so that shapes are learnt, if *frames* learns any
        subject.take(body, "10.0.0.1", trusted=False)
    guard(
        lambda: subject.take(body, "10.0.0.1", trusted=False),
        reference=lambda: reference.take(
            body, trusted=False, constants=CONSTANTS, pipelines={"p": inputs}
        ),
    )


@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_choosing_runtime_metrics_costs_no_more_than_choosing_names(guard, known: bool) -> None:  # noqa: FBT001
    names = sorted(runtime_metrics.NAMES)[::6]
    takes: dict[str, Callable[[], object]] = {}
    ledgers: dict[str, Ledger] = {}
    for inputs, source in ((RUNTIME, "runtime"), (SAME, "otlp")):
        frames = layout.Recogniser(1 << 24, 1).frames if known else otlp.frames
        taking, body = heart(inputs, frames), request(50 * len(names), *names, source=source)
        takes[source] = functools.partial(taking.take, body, None, trusted=True)
        for _ in range(3):
            takes[source]()
        (route,) = taking.routes.pipelines
        ledgers[source] = route.outlet.ledger
    assert ledgers["runtime"].delivered == ledgers["otlp"].delivered > 0
    assert ledgers["runtime"].delivered < ledgers["runtime"].received
    guard(takes["runtime"], reference=takes["otlp"])


def test_taking_a_request_of_1000_points(guard) -> None:
    check(guard, request(1000), SELECTED)


def test_taking_a_request_of_50_points(guard) -> None:
    check(guard, request(50), SELECTED)


def test_taking_a_request_filtered_by_metric_name(guard) -> None:
    check(guard, request(1000), NAMED)


@pytest.mark.parametrize("points", [1000, 50])
def test_taking_a_request_of_known_shape(guard, points: int) -> None:
    recogniser = layout.Recogniser(1 << 24, 1)
    check(guard, request(points), SELECTED, recogniser.frames)
    assert recogniser.parsed == 2


def test_taking_a_request_of_known_shape_filtered_by_metric_name(guard) -> None:
    recogniser = layout.Recogniser(1 << 24, 1)
    check(guard, request(1000), NAMED, recogniser.frames)
    assert recogniser.parsed == 2
