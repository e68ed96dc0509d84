"""The OTLP messages around data points: metric, scope, resource, request.

From opentelemetry/proto/metrics/v1/metrics.proto:

    ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
    ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
    ScopeMetrics { InstrumentationScope scope = 1; repeated Metric metrics = 2;
                   string schema_url = 3; }
    Metric { string name = 1; string description = 2; string unit = 3;
             oneof data { Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9;
             ExponentialHistogram exponential_histogram = 10; Summary summary = 11; }
             repeated KeyValue metadata = 12; }
    Gauge, Sum, Histogram, ExponentialHistogram, Summary { repeated ... data_points = 1; ... }
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from typing_extensions import override

from agent.exposition import grammar, translate
from common.wire import otlp, otlp_attributes, protobuf

_CUMULATIVE, _MONOTONIC = b"\x10\x02", b"\x18\x01"  # aggregation_temporality, is_monotonic
# Of each kind: the tag of the data in a Metric, and what follows the points in it.
_DATA = {
    translate.Kind.GAUGE: (protobuf.tag(5, protobuf.BYTES), b""),
    translate.Kind.SUM: (protobuf.tag(7, protobuf.BYTES), _CUMULATIVE + _MONOTONIC),
    translate.Kind.UPDOWN: (protobuf.tag(7, protobuf.BYTES), _CUMULATIVE),
    translate.Kind.HISTOGRAM: (protobuf.tag(9, protobuf.BYTES), _CUMULATIVE),
    translate.Kind.SUMMARY: (protobuf.tag(11, protobuf.BYTES), b""),
    translate.Kind.EXPONENTIAL: (protobuf.tag(10, protobuf.BYTES), _CUMULATIVE),
}
_METRIC = protobuf.tag(2, protobuf.BYTES)  # of a Metric in ScopeMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose points they are, encoded: the same for all that one target ever sends."""

    resource: bytes  # the Resource message
    scope: bytes  # the InstrumentationScope message
    labels: grammar.Labels  # what the target adds to every point, job and instance excluded

    @classmethod
    def of(
        cls,
        *,
        job: str,
        instance: str,
        scope: tuple[str, str],
        attributes: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> Self:
        """Encode an origin.

        *job* becomes ``service.name`` and *instance* ``service.instance.id``; *attributes* are
        further ones (``server.address``, ``server.port``, ``url.scheme``, ``k8s.*``), *scope* is a
        name and a version. What is empty is left out.
        """
        pairs = {"service.name": job, "service.instance.id": instance, **attributes}
        name, version = (part.encode() for part in scope)
        return cls(
            resource=b"".join(otlp_attributes.attribute(k, v) for k, v in pairs.items() if v),
            scope=(protobuf.framed(1, name) if name else b"")
            + (protobuf.framed(2, version) if version else b""),
            labels=tuple(sorted((k.encode(), v.encode()) for k, v in labels.items() if v)),
        )

    def with_info(self, info: grammar.Labels) -> Self:
        """Return an origin whose resource has what ``target_info`` says of the target, too.

        Keys stay as they are; what the origin says itself is not overwritten. Where it has no
        ``service.name``, because nobody gave the target a job, the one of *info* counts, be it
        called ``service_name``, as it is where names may not have dots.
        """
        if not info:
            return self
        told = {name.decode(): value.decode() for name, value in info}
        if "service_name" in told:
            told.setdefault("service.name", told["service_name"])
        own = otlp_attributes.attribute_keys(self.resource)
        added = [otlp_attributes.attribute(k, v) for k, v in told.items() if k not in own]
        return replace(self, resource=b"".join((self.resource, *added)))

    def before(self, size: int) -> bytes:
        """Return what precedes metrics of *size* bytes to make a whole request of them."""
        scope_head = self.before_scope(translate.OWN, size)
        return self.before_scopes(len(scope_head) + size) + scope_head

    def request(self, metrics: bytes) -> otlp.Encoded:
        """Wrap encoded *metrics* into a request."""
        return otlp.Encoded(self.before(len(metrics)) + metrics)

    def before_scope(self, scope: translate.Scope, size: int) -> bytes:
        """Return what precedes metrics of *size* bytes to make those of one scope of them.

        The fields of a message may have any order; nothing comes behind the metrics.
        """
        own = scope._replace(whose=()) == translate.OWN
        message = self.scope if own else scope.message
        named = protobuf.framed(1, message) if message else b""
        if scope.schema_url:
            named += protobuf.framed(3, scope.schema_url)
        return protobuf.tag(2, protobuf.BYTES) + protobuf.varint(len(named) + size) + named

    def scoped(self, scope: translate.Scope, metrics: bytes) -> bytes:
        """Wrap encoded *metrics* into a ScopeMetrics of *scope*, as a field of ResourceMetrics."""
        return self.before_scope(scope, len(metrics)) + metrics

    def before_scopes(self, size: int, whose: grammar.Labels = ()) -> bytes:
        """Return what precedes *size* bytes of `scoped` metrics to make a request of them.

        *whose* is that of the scopes; requests one behind the other are one.
        """
        told = _claimed(self.resource, whose) if whose else self.resource
        resource = protobuf.framed(1, told) if told else b""
        head = protobuf.tag(1, protobuf.BYTES) + protobuf.varint(len(resource) + size)
        return head + resource


_KEYS = {b"job": "service.name", b"instance": "service.instance.id"}


@functools.lru_cache(maxsize=1024)  # a target with exemplars writes them anew at every scrape
def _claimed(resource: bytes, whose: grammar.Labels) -> bytes:
    # The resource of series that say themselves whose they are; a namespace would be part of a job.
    told = {_KEYS[name]: value.decode() for name, value in whose}
    gone = {*told, "service.namespace"} if "service.name" in told else {*told}
    others = otlp_attributes.without_attributes(resource, gone.__contains__)
    claims = [otlp_attributes.attribute(k, v) for k, v in told.items() if v]
    return b"".join((*claims, others))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """A metric without its points."""

    name: bytes
    kind: translate.Kind
    head: bytes  # name, description and unit
    tail: bytes  # metadata
    scope: translate.Scope = translate.OWN

    @override
    def __hash__(self) -> int:
        """Hash the name alone: bytes remember their hash, and few metrics share a name."""
        return hash(self.name)

    @classmethod
    def of(
        cls,
        name: bytes,
        kind: translate.Kind,
        word: bytes,
        described: bytes,
        *,
        unit: bytes = b"",
        scope: translate.Scope = translate.OWN,
    ) -> Self:
        """Encode the fields of a metric; *word* is Prometheus' name for the type."""
        described = protobuf.framed(2, described) if described else b""
        measured = protobuf.framed(3, unit) if unit else b""
        metadata = protobuf.framed(1, b"prometheus.type") + protobuf.framed(
            2, protobuf.framed(1, word)
        )
        return cls(
            name=name,
            kind=kind,
            head=protobuf.framed(1, name) + described + measured,
            tail=protobuf.framed(12, metadata),
            scope=scope,
        )

    def around(self, size: int) -> tuple[bytes, bytes]:
        """Return what goes before and behind *size* bytes of points, each behind its head."""
        tag, behind = _DATA[self.kind]
        data = self.head + tag + protobuf.varint(size + len(behind))
        behind += self.tail
        whole = len(data) + size + len(behind)
        return b"".join((_METRIC, protobuf.varint(whole), data)), behind

    def metric(self, payloads: list[bytes]) -> bytes:
        """Wrap data points into a metric of `ScopeMetrics`."""
        inner = b"".join(protobuf.framed(1, payload) for payload in payloads)
        before, behind = self.around(len(inner))
        return b"".join((before, inner, behind))


def point_head(size: int) -> bytes:
    """Return what precedes a data point of *size* bytes."""
    return b"\x0a" + protobuf.varint(size)
