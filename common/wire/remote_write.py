"""OTLP metrics in, Prometheus remote write 1.0 requests out: every kind of metric that has a form.

Sources: remote write 1.0; OpenTelemetry's "Prometheus and OpenMetrics compatibility";
opentelemetry/proto/metrics/v1/metrics.proto. This module is the front of its room and converts data
points; `remote_write_origins` knows what is the same for all bodies of a resource and scope,
`remote_write_requests` gathers series and binds requests, `remote_write_view` reads them back. What
has a known shape is not converted at all: `remote_write_known` remembers what it became before, and
`remote_write_weave` puts the new numbers in.

Law: the points of all requests plus the points dropped are the points of the body.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Final

from common.wire import (
    memo,
    otlp,
    protobuf,
    remote_write_announcements,
    remote_write_catalogue,
    remote_write_frames,
    remote_write_labels,
    remote_write_points,
    remote_write_shape,
    remote_write_weave,
)
from common.wire.prometheus_names import Naming
from common.wire.remote_write_frames import Frame
from common.wire.remote_write_known import Group, Known, Way
from common.wire.remote_write_origins import Origin
from common.wire.remote_write_requests import Converted, Request
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

_IDENTITY_BYTES: Final = 300  # of Python objects around a remembered identity


class Converter:
    """Converts bodies for one backend; what repeats from body to body is remembered.

    Everything remembered takes about *memo_bytes* at most, most of it for known shapes. *seed* is
    a secret number of 64 bits, which keeps senders from making shapes that are taken for others.
    Not to be shared between threads.
    """

    __slots__ = (
        "_announcements", "_catalogue", "_identities", "_labeller", "_max_origin", "_options",
        "_origins", "exemplars_dropped", "known",
    )  # fmt: skip

    def __init__(self, options: Options, memo_bytes: int, seed: int = 0) -> None:
        self._options = options
        self._labeller = remote_write_labels.Labeller(
            memo_bytes // 16, options.naming, started=options.start_times
        )
        self._catalogue = remote_write_catalogue.Catalogue(options.naming, memo_bytes // 32)
        self._max_origin = memo_bytes // 8  # one being filled may exceed the memo by this
        self._origins: memo.Memo[tuple[bytes, bytes], Origin] = memo.Memo(memo_bytes // 8)
        self._identities: memo.Memo[bytes, bytes] = memo.Memo(memo_bytes // 64)
        self._announcements = remote_write_announcements.Announcements(memo_bytes // 64)
        self.exemplars_dropped = 0
        """Exemplars of points that were sent or not, which should have been sent and were not."""
        self.known = Known(
            memo_bytes * 3 // 4, options.max_bytes, seed, started=options.start_times
        )
        """The recipes, for their counters."""

    @property
    def origins(self) -> memo.Memo[tuple[bytes, bytes], Origin]:
        """The memo of what takes the plain path, for its counters."""
        return self._origins

    def identity(self, resource: bytes) -> bytes:
        """Return job and instance of an encoded Resource, which tell its series from others'.

        What has one identity may have series in common, and must be sent in order. Raises
        `errors.Malformed` if *resource* is none.
        """
        found = self._identities.get(resource)
        if found is None:
            found = "\0".join(self._origin(resource, b"").identity).encode()
            self._identities.put(resource, found, _IDENTITY_BYTES + len(resource) + len(found))
        return found

    def convert(self, body: otlp.Encoded, now_ms: int) -> Converted:
        """Convert a request; points without a timestamp get *now_ms*, milliseconds since 1970.

        *body* must have been validated, as its type says; `errors.Malformed` is raised where it
        shows that it was not.
        """
        overridden = self._labeller.overridden
        frames = [*self._frames(body, now_ms)]
        parts = [frame.found.part for frame in frames if frame.found]
        if parts:
            weaver = remote_write_weave.Weaver(body, parts)
            self._choose(frames, weaver)
            conversion = self._conversion(body, frames, now_ms)
            if overridden == self._labeller.overridden and not (
                conversion and remote_write_frames.entangled(conversion, frames, weaver)
            ):
                return self._woven(conversion, frames, weaver, now_ms)
        # The obvious way, for a body in which nothing is known or where the parts do not go apart.
        for frame in frames:
            frame.found, frame.part = None, -1
        conversion = self._conversion(body, frames, now_ms)
        if conversion is None:
            return Converted(requests=(), dropped={})
        for frame in frames:
            self._announce_plain(conversion, frame, now_ms)
        return self._finished(conversion)

    def _announce_plain(
        self, conversion: remote_write_points.Conversion, frame: Frame, now_ms: int
    ) -> None:
        origin = frame.origin
        if origin is not None:
            info = origin.target_info
            at = self._announcements.due(origin.identity, info, frame.newest, now_ms)
            if at is not None:
                conversion.announce(info, at)

    def _finished(self, conversion: remote_write_points.Conversion) -> Converted:
        requests = conversion.finish()
        self.exemplars_dropped += conversion.exemplars_dropped
        return Converted(requests=requests, dropped=conversion.dropped)

    def _frames(self, body: bytes, now_ms: int) -> Iterator[Frame]:
        def convert(frame: bytes) -> tuple[tuple[Request, ...], Mapping[Drop, int]]:
            conversion = remote_write_points.Conversion(self._options, len(frame), now_ms)
            self._add(conversion, protobuf.framed(1, frame))
            return conversion.finish(), conversion.dropped

        way = Way(convert=convert, group=self._group)
        view = memoryview(body)
        # message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
        for number, wire_type, _, start, end in protobuf.fields(body):
            if number != 1 or wire_type != protobuf.BYTES:
                continue
            resource, found = b"", None
            # message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics = 2; ... }
            if start < end and body[start] in {0x0A, 0x12}:
                if body[start] == 0x0A:
                    size, at = protobuf.read_varint(body, start + 1)
                    resource = body[at : at + size]
                found = self.known.find(view[start:end], resource, start, way)
            yield Frame(start, end, resource, found)

    def _group(self, resource: bytes) -> Group:
        origin = self._origin(resource, b"")
        key = (origin.identity, tuple(origin.promoted.items()))
        return Group(key=key, identity=origin.identity, target_info=origin.target_info)

    def _choose(self, frames: Sequence[Frame], weaver: remote_write_weave.Weaver) -> None:
        """Leave to the plain path what must go together there.

        Frames of one group may share series. Each after the other is fine if all of them are known
        through and through and each is younger than the one before; else they are put in order and
        freed from duplicates by the plain path.
        """
        at = -1
        groups: dict[Hashable, list[Frame]] = {}
        strangers: list[Frame] = []
        for frame in frames:
            if frame.found is None:
                strangers.append(frame)
                continue
            at += 1
            groups.setdefault(self._key(frame.found.group), []).append(frame)
            if weaver.usual(at):
                frame.part, frame.newest = at, weaver.newest[at]
            else:
                frame.found = None
        for frame in strangers:
            members = groups.get(self._key(self._group(frame.resource)))
            if members is not None:
                members.append(frame)
        for members in groups.values():
            if len(members) > 1 and not remote_write_frames.in_order(members, weaver):
                for frame in members:
                    frame.found, frame.part = None, -1

    def _key(self, group: Group) -> Hashable:
        return group.identity if self._labeller.overridden else group.key

    def _conversion(
        self, body: bytes, frames: Sequence[Frame], now_ms: int
    ) -> remote_write_points.Conversion | None:
        """Gather what takes the plain path, if anything does."""
        conversion = None
        for frame in frames:
            plain = frame.found.rest if frame.found else body[frame.start : frame.end]
            if plain:
                if conversion is None:
                    conversion = remote_write_points.Conversion(self._options, len(body), now_ms)
                frame.origin = self._add(conversion, protobuf.framed(1, plain))
                frame.newest = max(frame.newest, conversion.newest)
        return conversion

    def _add(self, conversion: remote_write_points.Conversion, body: bytes) -> Origin | None:
        """Gather the series of a request of one frame; return the origin of its last scope."""
        origin = None
        for frame in remote_write_shape.read(body).resource_metrics:
            resource = b"".join(frame.resource)
            conversion.start_resource()
            for scope_metrics in frame.scope_metrics:
                origin = self._origin(resource, b"".join(scope_metrics.scope))
                for metric in scope_metrics.metrics:
                    conversion.metric(metric, origin)
                self._keep(origin)
        return origin

    def _woven(
        self,
        conversion: remote_write_points.Conversion | None,
        frames: Sequence[Frame],
        weaver: remote_write_weave.Weaver,
        now_ms: int,
    ) -> Converted:
        extras: dict[int, bytes] = {}
        dropped: dict[Drop, int] = {}
        for frame in frames:
            if frame.found is None:
                if conversion is not None:
                    self._announce_plain(conversion, frame, now_ms)
                continue
            for reason, points in weaver.parts[frame.part].dropped:
                dropped[reason] = dropped.get(reason, 0) + points
            group = frame.found.group
            at = self._announcements.due(group.identity, group.target_info, frame.newest, now_ms)
            if at is not None:
                extras[frame.part] = remote_write_points.series_of_target_info(
                    group.target_info, at
                )
        chosen = [frame.part for frame in frames if frame.part >= 0]
        requests = (*weaver.requests(chosen, extras, self._options.max_bytes),)
        if conversion is not None:
            plain = self._finished(conversion)
            requests = (*plain.requests, *requests)
            for reason, points in plain.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + points
        return Converted(requests=requests, dropped=dropped)

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
