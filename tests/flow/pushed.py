"""What every client of tests/flow/clients pushes, and whether it arrived as it was meant."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE, Metric

from tests.fakes import backends
from tests.flow import programs

DOORS = ("lean", "grpcio")  # of listen.grpc_door
POINTS = 3  # a counter, a histogram, a gauge
SECONDS = 60  # for one client, however slow the machine


async def everything_arrives(
    folder: Path,
    grpc_door: str,
    client: tuple[list[str], dict[str, str]],
    ways: Iterable[tuple[str, str]],
) -> None:
    """Push by *client* in all *ways* (protocol, compression); check all that comes out behind."""
    command, environment = client
    ways = list(ways)
    async with backends.otlp_grpc() as backend:
        pipeline = {
            "name": "p",
            "output": {"otlp": {"endpoint": backend.url}},
            "batch": {"linger": 0.05},
        }
        document = {"listen": {"grpc_door": grpc_door}, "pipelines": [pipeline]}
        async with programs.gateway(folder, document) as gateway:
            async with asyncio.TaskGroup() as tasks:
                for protocol, compression in ways:
                    where = gateway.grpc if protocol == "grpc" else gateway.http
                    arguments = (protocol, where, compression, f"{protocol}-{compression}")
                    tasks.create_task(run([*command, *arguments], environment))

            async def delivered() -> bool:
                return (await gateway.ledger("p"))["delivered"] >= POINTS * len(ways)

            await programs.until(delivered, "everything is delivered")
            ledger = await gateway.ledger("p")
            assert (ledger["received"], ledger["dropped"]) == (POINTS * len(ways), 0)
    found = {
        service: told
        for received in backend.received
        for service, told in read(received.body).items()
    }
    assert sorted(found) == sorted(f"{protocol}-{compression}" for protocol, compression in ways)
    for service, told in found.items():
        assert told == EXPECTED, service


async def run(command: list[str], environment: Mapping[str, str]) -> None:
    """Run a client to its end, which must be a good one."""
    child = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0, f"{command} ended with {child.returncode}: {said.decode()}"


EXPECTED = {
    "resource": {"team": "t"},
    "scope": ("flow", "1.0"),
    "orders": ("{order}", "Orders taken.", True, {"shop": "ä"}, 7.0),
    "latency": ("s", "", {"shop": "ä"}, [0.1, 1.0], [1, 1, 1], 3, 5.55),
    "room": ("By", "", {"shop": "ä"}, 12.5),
}


def read(body: bytes) -> dict[str, dict[str, object]]:
    """Return what a request says of each service, in the form of `EXPECTED`."""
    found: dict[str, dict[str, object]] = {}
    for frame in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        resource = {a.key: a.value.string_value for a in frame.resource.attributes}
        service = resource.pop("service.name")
        assert resource.pop("service.instance.id") == f"{service}-1"
        assert service not in found
        (scope,) = frame.scope_metrics
        found[service] = {
            "resource": {key: resource[key] for key in resource if not key.startswith("k8s.")},
            "scope": (scope.scope.name, scope.scope.version),
            **{metric.name: _metric(metric) for metric in scope.metrics},
        }
    return found


def _metric(metric: Metric) -> tuple[object, ...]:
    kind = metric.WhichOneof("data")
    held = getattr(metric, kind)
    (point,) = held.data_points
    attributes = {a.key: a.value.string_value for a in point.attributes}
    assert point.time_unix_nano
    about = (metric.unit, metric.description)
    if kind == "histogram":
        assert held.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
        return (*about, attributes, bounds, counts, point.count, round(point.sum, 9))
    value = point.as_double if point.WhichOneof("value") == "as_double" else point.as_int
    if kind == "sum":
        assert held.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        return (*about, held.is_monotonic, attributes, value)
    return (*about, attributes, value)
