"""What is written is what an OTLP reader finds."""

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2

from agent.runtime import writing
from agent.runtime.writing import Metric, Point

USAGE = Metric("k8s.pod.cpu.usage", "{cpu}", "Cores in use", integer=False)
IO = Metric("k8s.pod.network.io", "By", "Bytes", kind="sum")
PODS = Metric("k8s.deployment.desired", "{pod}", "Pods wanted", kind="updown")
NOW = 1_700_000_000_000_000_000


def test_a_reader_finds_resources_metrics_and_points() -> None:
    body, points = writing.request(
        [
            (
                {"k8s.pod.name": "p", "k8s.node.name": ""},
                [
                    Point(USAGE, 0.25),
                    Point(
                        IO, 7, (("interface", "eth0"), ("direction", "receive")), started=NOW - 1
                    ),
                    Point(IO, 8, (("interface", "eth0"), ("direction", "transmit"))),
                ],
            ),
            ({"k8s.pod.name": "silent"}, []),
            ({"k8s.deployment.name": "d"}, [Point(PODS, -1)]),
        ],
        scope=("s", "1"),
        time_ns=NOW,
    )
    assert points == 4
    pod, deployment = metrics_service_pb2.ExportMetricsServiceRequest.FromString(
        body
    ).resource_metrics
    assert [(a.key, a.value.string_value) for a in pod.resource.attributes] == [
        ("k8s.pod.name", "p")
    ]
    (scope,) = pod.scope_metrics
    assert (scope.scope.name, scope.scope.version) == ("s", "1")
    usage, io = scope.metrics
    assert (usage.name, usage.unit, usage.description) == USAGE[:3]
    (point,) = usage.gauge.data_points
    assert (point.as_double, point.time_unix_nano, point.start_time_unix_nano) == (0.25, NOW, 0)
    assert io.sum.is_monotonic
    assert io.sum.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert [(p.as_int, p.start_time_unix_nano) for p in io.sum.data_points] == [
        (7, NOW - 1),
        (8, 0),
    ]
    assert [(a.key, a.value.string_value) for a in io.sum.data_points[1].attributes] == [
        ("interface", "eth0"),
        ("direction", "transmit"),
    ]
    (desired,) = deployment.scope_metrics[0].metrics
    assert not desired.sum.is_monotonic
    assert desired.sum.data_points[0].as_int == -1


def test_nothing_is_written_of_nothing() -> None:
    assert writing.request([], scope=("s", "1"), time_ns=NOW) == (b"", 0)
