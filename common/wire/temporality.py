"""OTLP metrics of one temporality as those of the other: deltas to totals, and totals to deltas.

Requests go in and requests come out. Whatever is not affected is copied; a body without anything
affected is returned as it is. This module is the front of its room, and its walk from the request
down to the metrics: what tells series apart is in `temporality_identity`, what is remembered of
them in `temporality_state`, what becomes of a point in `temporality_rules`.

Source: the OpenTelemetry metrics data model, "Temporality", and
opentelemetry/proto/metrics/v1/metrics.proto.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from typing_extensions import override

from common.wire import (
    protobuf,
    temporality_identity,
    temporality_points,
    temporality_rules,
    temporality_shape as shape,
    temporality_state,
)
from common.wire.otlp_pieces import Encoded
from common.wire.temporality_rules import Reason

__all__ = ["Accumulator", "Differ", "Reason", "Stats", "Turned"]

# Of the bytes of a state, what digests of Resources and scopes may take: one part in so many.
_IDENTITY_PART = 16

_Metrics = list[list[bool]]
"""Of each scope of a frame, and each metric of it: is it affected?"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """A request in the other temporality; its points and those dropped are those that came."""

    body: Encoded
    points: int
    dropped: Mapping[Reason, int]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What is remembered of series; counts only grow."""

    series: int
    size: int  # bytes
    max_bytes: int
    evictions: int  # series forgotten for lack of room
    expiries: int  # series forgotten because they no longer came
    resets: int  # of totals: noticed, or made by us where a delta could not be added


class Turner(ABC):
    """What both directions share: the walk, and the state."""

    _rule: ClassVar[temporality_rules.Rule]
    _result: ClassVar[int]
    """The AggregationTemporality that affected metrics get."""
    _tokens: ClassVar[tuple[bytes, ...]]
    """One of these is in the outline of every request with affected metrics."""

    __slots__ = ("_identities", "_max_bytes", "_states")

    def __init__(self, *, max_bytes: int, expiry: float, seed: int, horizon: int) -> None:
        part = max_bytes // _IDENTITY_PART
        self._max_bytes = max_bytes
        self._identities = temporality_identity.Identities(seed, part)
        self._states = temporality_state.States(max_bytes - part, expiry, horizon)

    def stats(self) -> Stats:
        """Return what is remembered, and what was forgotten so far."""
        states = self._states
        return Stats(
            series=len(states),
            size=states.size + self._identities.size,
            max_bytes=self._max_bytes,
            evictions=states.evictions,
            expiries=states.expiries,
            resets=states.resets,
        )

    def convert(self, body: Encoded, points: int, now: float) -> Turned:
        """Return *body*, which has so many *points*, in the other temporality.

        It must have been validated, as `otlp.frames` does. *now*, in seconds since the Unix epoch,
        is when it came. What is remembered of its series changes, so every body is to be converted
        once, in the order in which bodies came. Raises `errors.Malformed` if the framing is broken.
        """
        self._states.expire(now)
        outline = shape.outline(body)
        # 1,000 points cost 12 µs up to here: they are skipped, and what is left is the temporality
        # of each metric, in one spelling whatever the sender's.
        outline.DiscardUnknownFields()
        skeleton = outline.SerializeToString()
        if not any(token in skeleton for token in self._tokens):
            return Turned(body=body, points=points, dropped={})
        turning = temporality_points.Points(self._rule, self._identities, self._states, now)
        # message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
        parts: list[bytes] = []
        frames = iter(outline.resource_metrics)
        start = 0
        for number, wire_type, tag_at, at, end in protobuf.fields(body):
            if number != shape.RESOURCE_METRICS or wire_type != protobuf.BYTES:
                continue
            metrics = [
                [self._affects(metric) for metric in scope.metrics]
                for scope in next(frames).scope_metrics
            ]
            if any(map(any, metrics)):
                parts.append(body[start:tag_at])
                start = end
                turned = self._frame(body[at:end], metrics, turning)
                if turned:
                    parts.append(protobuf.framed(shape.RESOURCE_METRICS, turned))
        parts.append(body[start:])
        left = points - sum(turning.dropped.values())
        return Turned(body=Encoded(b"".join(parts)), points=left, dropped=turning.dropped)

    @abstractmethod
    def _affects(self, metric: shape.Outline) -> bool:
        """Say whether the points of *metric* are to be turned."""

    def _frame(
        self, encoded: bytes, affected: _Metrics, turning: temporality_points.Points
    ) -> bytes:
        """Return a ResourceMetrics with its affected metrics turned; empty if nothing is left."""
        frame = shape.frame(encoded)
        resource = self._identities.resource(b"".join(frame.resource))
        scopes: list[bytes] = []
        for scope, metrics in zip(frame.scope_metrics, affected, strict=True):
            if any(metrics):
                turned = self._scope(scope, metrics, resource, turning)
                if turned:
                    scopes.append(protobuf.framed(shape.SCOPE_METRICS, turned))
            else:
                scopes.append(protobuf.framed(shape.SCOPE_METRICS, scope.SerializeToString()))
        if not scopes:
            return b""
        frame.ClearField("scope_metrics")
        return b"".join((frame.SerializeToString(), *scopes))

    def _scope(
        self,
        scope: shape.Scope,
        affected: Iterable[bool],
        resource: bytes,
        turning: temporality_points.Points,
    ) -> bytes:
        """Return a ScopeMetrics with its affected metrics turned; empty if no metric is left."""
        digest = self._identities.scope(b"".join(scope.scope))
        metrics: list[bytes] = []
        for encoded, turns in zip(scope.metrics, affected, strict=True):
            metric = self._metric(encoded, resource, digest, turning) if turns else encoded
            if metric or not turns:
                metrics.append(protobuf.framed(shape.METRICS, metric))
        if not metrics:
            return b""
        scope.ClearField("metrics")
        return b"".join((scope.SerializeToString(), *metrics))

    def _metric(
        self, encoded: bytes, resource: bytes, scope: bytes, turning: temporality_points.Points
    ) -> bytes:
        """Return an affected Metric turned; empty if no point of it is left."""
        metric = shape.metric(encoded)
        kind = metric.WhichOneof("data")
        if kind is None or kind not in shape.NUMBERS:
            raise RuntimeError(f"BUG: a metric with {kind} is affected")
        content: shape.Content = getattr(metric, kind)
        monotonic = kind == "sum" and content.is_monotonic
        label = f"{kind} {monotonic}".encode()
        digest = self._identities.metric(resource, scope, label, metric.name, metric.unit)
        if kind == "sum":
            points = turning.numbers(content.data_points, digest, monotonic=monotonic)
        elif kind == "histogram":
            points = turning.histograms(content.data_points, digest)
        else:
            points = turning.exponentials(content.data_points, digest)
        if not points:
            return b""
        content.ClearField("data_points")
        content.aggregation_temporality = self._result
        points.append(content.SerializeToString())
        metric.ClearField(kind)
        data = protobuf.framed(shape.NUMBERS[kind], b"".join(points))
        return metric.SerializeToString() + data


@final
class Accumulator(Turner):
    """Adds deltas up to totals: Sums, Histograms and ExponentialHistograms.

    Of a series that it does not know, or no longer, the total begins with the next delta, which is
    a reset for whoever reads it.
    """

    _rule = staticmethod(temporality_rules.accumulate)
    _result = shape.CUMULATIVE
    _tokens: ClassVar[tuple[bytes, ...]] = (b"\x10\x01",)

    __slots__ = ()

    def __init__(self, *, max_bytes: int, expiry: float, seed: int) -> None:
        """Remember series in *max_bytes*, each until *expiry* seconds after its latest point.

        The *seed*, of 64 bits, is for digests and not to be guessed by those who send.
        """
        super().__init__(max_bytes=max_bytes, expiry=expiry, seed=seed, horizon=0)

    @override
    def _affects(self, metric: shape.Outline) -> bool:
        kind = metric.WhichOneof("data")
        if kind is None or kind not in shape.NUMBERS:
            return False
        content: shape.Content = getattr(metric, kind)
        return content.aggregation_temporality == shape.DELTA


@final
class Differ(Turner):
    """Takes each total from the one after: monotonic Sums, Histograms, ExponentialHistograms.

    Sums that are not monotonic stay as they are, since their deltas would say nothing more.
    """

    _rule = staticmethod(temporality_rules.difference)
    _result = shape.DELTA
    # A monotonic sum; a Histogram; an ExponentialHistogram.
    _tokens: ClassVar[tuple[bytes, ...]] = (
        b"\x10\x02\x18\x01",
        b"\x4a\x02\x10\x02",
        b"\x52\x02\x10\x02",
    )

    __slots__ = ()

    def __init__(self, *, max_bytes: int, expiry: float, seed: int, began: float) -> None:
        """Remember series as an `Accumulator` does.

        *began*, in seconds since the Unix epoch, is since when totals have been coming here: the
        first total of a series that began later is all new, and sent.
        """
        horizon = max(0, int(began * 1e9))
        super().__init__(max_bytes=max_bytes, expiry=expiry, seed=seed, horizon=horizon)

    @override
    def _affects(self, metric: shape.Outline) -> bool:
        kind = metric.WhichOneof("data")
        if kind is None or kind not in shape.NUMBERS:
            return False
        content: shape.Content = getattr(metric, kind)
        return content.aggregation_temporality == shape.CUMULATIVE and (
            kind != "sum" or content.is_monotonic
        )
