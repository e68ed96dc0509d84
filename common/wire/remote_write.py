"""OTLP metrics in, Prometheus remote write 1.0 requests out: gauges, sums, histograms, summaries.

Sources: remote write 1.0; OpenTelemetry's "Prometheus and OpenMetrics compatibility";
opentelemetry/proto/metrics/v1/metrics.proto. This module is the front of its room and converts data
points; `remote_write_origins` knows what is the same for all bodies of a resource and scope,
`remote_write_requests` gathers series and binds requests, `remote_write_view` reads them back.

Law: the points of all requests plus the points dropped are the points of the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from common.wire import (
    memo,
    otlp,
    remote_write_catalogue,
    remote_write_labels,
    remote_write_points,
    remote_write_shape,
)
from common.wire.prometheus_names import Naming
from common.wire.remote_write_origins import Origin
from common.wire.remote_write_requests import Request
from common.wire.remote_write_terms import Drop, Options
from common.wire.remote_write_view import WriteRequestView, read

__all__ = [
    "Converted",
    "Converter",
    "Drop",
    "Naming",
    "Options",
    "Request",
    "WriteRequestView",
    "read",
]

_TARGET_INFO_MS: Final = 60_000  # between two of one job and instance


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What became of a body."""

    requests: tuple[Request, ...]
    """To be sent in this order: later ones may continue series of earlier ones."""
    dropped: Mapping[Drop, int]
    """Points in no request, by reason; reasons without points are absent."""


class Converter:
    """Converts bodies for one backend; what repeats from body to body is remembered.

    Everything remembered takes about *memo_bytes* at most. Not to be shared between threads.
    """

    __slots__ = ("_announced", "_catalogue", "_labeller", "_max_origin", "_options", "_origins")

    def __init__(self, options: Options, memo_bytes: int) -> None:
        self._options = options
        self._labeller = remote_write_labels.Labeller(memo_bytes // 8)
        self._catalogue = remote_write_catalogue.Catalogue(options.naming, memo_bytes // 16)
        self._max_origin = memo_bytes // 4  # one being filled may exceed the memo by this
        self._origins: memo.Memo[tuple[bytes, bytes], Origin] = memo.Memo(memo_bytes // 2)
        self._announced: memo.Memo[tuple[str, str], int] = memo.Memo(memo_bytes // 16)

    @property
    def origins(self) -> memo.Memo[tuple[bytes, bytes], Origin]:
        """The largest of the memos, for its counters."""
        return self._origins

    def convert(self, body: otlp.Encoded, now_ms: int) -> Converted:
        """Convert a request; points without a timestamp get *now_ms*, milliseconds since 1970.

        *body* must have been validated, as its type says; `errors.Malformed` is raised where it
        shows that it was not.
        """
        conversion = remote_write_points.Conversion(self._options, len(body), now_ms)
        for frame in remote_write_shape.read(body).resource_metrics:
            resource = b"".join(frame.resource)
            conversion.start_resource()
            origin = None
            for scope_metrics in frame.scope_metrics:
                origin = self._origin(resource, b"".join(scope_metrics.scope))
                for metric in scope_metrics.metrics:
                    conversion.metric(metric, origin)
                self._keep(origin)
            if origin is not None and origin.target_info and conversion.newest >= 0:
                self._announce(origin, conversion, now_ms)
        return Converted(requests=conversion.finish(), dropped=conversion.dropped)

    def _origin(self, resource: bytes, scope: bytes) -> Origin:
        origin = self._origins.get((resource, scope))
        if origin is None:
            origin = Origin(
                resource,
                scope,
                options=self._options,
                catalogue=self._catalogue,
                labeller=self._labeller,
                max_bytes=self._max_origin,
            )
        return origin

    def _keep(self, origin: Origin) -> None:
        if origin.cost != origin.accounted:  # new, or with new series
            self._origins.put(origin.key, origin, origin.cost)
            origin.accounted = origin.cost

    def _announce(
        self, origin: Origin, conversion: remote_write_points.Conversion, now_ms: int
    ) -> None:
        """Add the ``target_info`` of a resource that has points, unless it was sent a moment ago.

        A time in the future counts as now: a client whose clock is a year ahead would otherwise
        silence its target_info for a year, for time must not go backwards in a series.
        """
        at = min(conversion.newest, now_ms)
        last = self._announced.get(origin.identity)
        if last is None or at >= last + _TARGET_INFO_MS:
            self._announced.put(origin.identity, at, 300 + sum(map(len, origin.identity)))
            conversion.announce(origin.target_info, at)
