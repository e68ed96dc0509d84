"""What agents collected, as it arrived at a backend, point by point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from localcluster.cluster import Cluster
from tests.fakes import backends

Pairs = tuple[tuple[str, str], ...]
SCOPE = "io.kyma-project.telemetry/"
INTERVAL = 0.5  # seconds from one look at anything to the next
OFF: dict[str, Any] = {"enabled": False}


@dataclass(frozen=True, slots=True)
class Point:
    """One data point; *value* is ``None`` for what is no number, *kind* the type of the metric."""

    name: str
    kind: str
    scope: str
    version: str
    resource: Pairs
    attributes: Pairs
    at: int  # Unix nanoseconds
    value: float | None
    stale: bool

    @property
    def about(self) -> dict[str, str]:
        """Return the resource."""
        return dict(self.resource)

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.attributes)


@dataclass(frozen=True, slots=True)
class Around:
    """Configurations of a gateway and agents of one cluster, with their files in *folder*."""

    folder: Path
    home: Cluster

    @property
    def kubernetes(self) -> dict[str, str]:
        return {"source": "kubeconfig", "kubeconfig": str(self.home.kubeconfig_path)}

    @property
    def token(self) -> str:
        """Return the file with the token of agents."""
        path = self.folder / "token"
        path.write_text("agents\n")
        return str(path)

    def gateway(
        self,
        places: Mapping[str, backends.Backend],
        chosen: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Return a gateway with a pipeline to each of *places*, whose inputs are *chosen*."""
        return {
            "agents": {"token_file": self.token},
            "kubernetes": self.kubernetes,
            "enrichment": {
                "cluster_name": "east",
                "cluster_uid": "c1",
                "attributes": {"cloud.provider": "local"},
            },
            "pipelines": [
                {
                    "name": name,
                    "output": {"otlp": {"endpoint": places[name].url}},
                    "inputs": {"otlp": OFF, "prometheus": OFF, **inputs},
                    "batch": {"linger": 0.05},
                }
                for name, inputs in chosen.items()
            ],
        }

    def agent(self, node: str, gateway: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return an agent of *node* that collects *inputs* for the *gateway* at that URL."""
        return {
            "node": node,
            "kubernetes": self.kubernetes,
            "gateway": {"endpoint": gateway, "token_file": self.token, "batch": {"linger": 0.05}},
            "scraping": {"interval": INTERVAL, "timeout": INTERVAL},
            "inputs": inputs,
        }


class Arrived:
    """All points at one backend."""

    def __init__(self, backend: backends.Backend) -> None:
        self.points = [
            point
            for received in backend.received
            for point in points(Request.FromString(received.body))
        ]

    @property
    def names(self) -> set[str]:
        return {point.name for point in self.points}

    @property
    def scopes(self) -> set[str]:
        return {point.scope for point in self.points}

    @property
    def namespaces(self) -> set[str]:
        """Return the namespaces that anything is about, "" for what is in none."""
        return {point.about.get("k8s.namespace.name", "") for point in self.points}

    def of(self, *beginnings: str) -> list[Point]:
        """Return the points of metrics whose names begin so."""
        return [point for point in self.points if point.name.startswith(beginnings)]

    def keys(self, *beginnings: str) -> set[frozenset[str]]:
        """Return the sets of keys that resources of such metrics have."""
        return {frozenset(point.about) for point in self.of(*beginnings)}

    def twice(self) -> list[Any]:
        """Return what came more than once for one moment: the same series, the same time."""
        seen = Counter((p.name, p.resource, p.attributes, p.at) for p in self.points)
        return [each for each, count in seen.items() if count > 1]

    def times(self, name: str) -> list[float]:
        """Return the moments of a metric's points, in seconds since the first, sorted."""
        found = sorted({point.at for point in self.points if point.name == name})
        return [(at - found[0]) / 1e9 for at in found]


def points(request: Request) -> Iterator[Point]:
    """Take *request* apart."""
    for frame in request.resource_metrics:
        resource = _pairs(frame.resource.attributes)
        for scoped in frame.scope_metrics:
            scope, version = scoped.scope.name, scoped.scope.version
            for metric in scoped.metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points:
                    yield Point(
                        metric.name,
                        kind,
                        scope,
                        version,
                        resource,
                        _pairs(point.attributes),
                        point.time_unix_nano,
                        _value(point),
                        bool(point.flags & 1),
                    )


def _value(point: Any) -> float | None:
    if "as_int" not in point.DESCRIPTOR.fields_by_name:
        return None
    return float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)


def _pairs(attributes: Iterable[Message]) -> Pairs:
    found: Mapping[str, str] = {each.key: each.value.string_value for each in attributes}
    return tuple(sorted(found.items()))
