"""Data points of one body as samples of series: the loop that sees every point.

Source: opentelemetry/proto/metrics/v1/metrics.proto and the compatibility specification's "OTLP
metric points to Prometheus". What depends on a point's attributes and bounds only is taken from the
books of its origin; what is left per point is a value and a timestamp, eight bytes each.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from common.wire import (
    protobuf,
    remote_write_catalogue,
    remote_write_composites,
    remote_write_requests,
    remote_write_series,
    remote_write_shape,
)
from common.wire.prometheus_names import Kind
from common.wire.remote_write_origins import Book, Origin
from common.wire.remote_write_requests import Family, Request
from common.wire.remote_write_terms import Drop, Options

_DOUBLE: Final = struct.Struct("<d")
_INT: Final = struct.Struct("<q")
_ONE: Final = _DOUBLE.pack(1)
_NS_PER_MS: Final = 1_000_000

# Tags of a NumberDataPoint's fields of fixed width, in the order in which serializers write them.
_START, _TIME, _AS_DOUBLE, _AS_INT = 0x11, 0x19, 0x21, 0x31
_ATTRIBUTES: Final = 7
_ATTRIBUTES_TAG: Final = 0x3A
_ODD: Final = (b"\0", b"")  # no point starts like this: there is no field 0

TARGET_INFO: Final = remote_write_series.metadata(
    2, "target_info", "Attributes of the resource that the metrics come from", ""
)

# Labels multiply: a resource of 60 kB may come with 100,000 points of 30 bytes. What series that
# were not seen before may add to a body is bounded by this many times its size, plus so many
# requests. Honest data stays far below: a bucket of 16 bytes becomes a series of 300.
_MAX_GROWTH: Final = 32
_MAX_GROWTH_REQUESTS: Final = 16

_Place: TypeAlias = tuple[Book, Origin, Family]
"""Where a metric's series are known, and where they are gathered."""


def series_of_target_info(head: bytes, milliseconds: int) -> bytes:
    """Return the TimeSeries of a ``target_info`` with this *head*: one sample of 1."""
    labels = remote_write_series.labels_of(head)
    return remote_write_series.time_series(labels, ((milliseconds, _ONE),))


class Conversion:
    """One body on its way: the series gathered so far, and what was dropped."""

    __slots__ = (
        "_budget",
        "_last",
        "_max_bytes",
        "_now_ms",
        "_sheaf",
        "_stamps",
        "dropped",
        "newest",
    )

    def __init__(self, options: Options, body_bytes: int, now_ms: int) -> None:
        self._sheaf = remote_write_requests.Sheaf()
        self._max_bytes = options.max_bytes
        self._budget = _MAX_GROWTH * body_bytes + _MAX_GROWTH_REQUESTS * options.max_bytes
        self._now_ms = now_ms
        self._last = _ODD  # what the latest number point had in front of its value, and its stamp
        self._stamps: dict[bytes, bytes] = {}  # by the encoded times of number points
        self.dropped: dict[Drop, int] = {}
        self.newest = -1
        """Milliseconds of the newest point of the resource so far; -1 if it has none."""

    def start_resource(self) -> None:
        """Forget the times of the resource before."""
        self._last = _ODD
        self._stamps.clear()
        self.newest = -1

    def metric(self, metric: remote_write_shape.Metric, origin: Origin) -> None:
        """Gather the series of a metric, or drop its points."""
        data = metric.WhichOneof("data")
        if data is None:
            return
        points = getattr(metric, data)
        kind = remote_write_catalogue.kind(data, points)
        if isinstance(kind, Drop):
            self._drop(kind, len(points.data_points))
            return
        book = origin.book(
            (metric.name, metric.unit, metric.description, kind, tuple(metric.metadata))
        )
        if book.reason is not None:
            self._drop(book.reason, len(points.data_points))
            return
        place = (book, origin, self._sheaf.family(book.family, book.metadata))
        if kind is Kind.HISTOGRAM:
            self._histograms(points.data_points, place)
        elif kind is Kind.SUMMARY:
            self._summaries(points.data_points, place)
        else:
            self._numbers(points.data_points, place)

    def announce(self, target_info: bytes, milliseconds: int) -> None:
        """Add a sample of ``target_info``, which is nobody's point; the head tells the series."""
        self._sheaf.family("target_info", TARGET_INFO).extras.append(
            (series_of_target_info(target_info, milliseconds), 0, 1)
        )

    def heads(self) -> set[bytes]:
        """Return the heads of all series gathered so far."""
        return self._sheaf.heads()

    def finish(self) -> tuple[Request, ...]:
        """Return the requests, and complete `dropped`. To be called once."""
        requests = self._sheaf.bind(self._max_bytes)
        if self._sheaf.duplicates:
            self._drop(Drop.DUPLICATE, self._sheaf.duplicates)
        return requests

    def _numbers(self, points: Iterable[bytes], place: _Place) -> None:
        # message NumberDataPoint {
        #   fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
        #   oneof value { double as_double = 4; sfixed64 as_int = 6; }
        #   repeated KeyValue attributes = 7; uint32 flags = 8; repeated Exemplar exemplars = 5; }
        # Serializers write fields by number and leave out zeros. So nearly every point is times and
        # the tag of the value, the same bytes as in the point before it; eight bytes of value; and
        # then, known from the last send, nothing but attributes. All else takes _number.
        book, _, family = place
        known, singles = book.singles.get, family.singles
        prefix, stamp = self._last
        at, behind, integral = len(prefix), len(prefix) + 8, prefix[-1] == _AS_INT
        for point in points:
            if not point.startswith(prefix):
                self._last = prefix, stamp = self._times(point)
                at, behind, integral = len(prefix), len(prefix) + 8, prefix[-1] == _AS_INT
            if not stamp:
                self._number(point, place)
                continue
            head = known(point[behind:]) or self._learn(point[behind:], place)
            if head is None:
                self._number(point, place)
                continue
            value = _DOUBLE.pack(*_INT.unpack_from(point, at)) if integral else point[at:behind]
            if head in singles:
                sample = (remote_write_series.read_stamp(stamp), value)
                family.repeated.setdefault(head, []).append(sample)
            else:
                singles[head] = value + stamp

    def _times(self, point: bytes) -> tuple[bytes, bytes]:
        """Return everything in front of the value, and the stamp; no stamp if that is not times."""
        try:
            at = 18 if point[0] == _START and point[9] == _TIME else 9 if point[0] == _TIME else 0
            if not at or point[at] not in {_AS_DOUBLE, _AS_INT}:
                return _ODD
        except IndexError:  # shorter than any point with a value
            return _ODD
        stamp = self._stamps.get(point[:at])
        if stamp is None:
            _, stamp = self._moment(int.from_bytes(point[at - 8 : at], "little"))
            if len(stamp) != remote_write_series.STAMP_BYTES:
                return _ODD
            self._stamps[point[:at]] = stamp
        return point[: at + 1], stamp

    def _learn(self, run: bytes, place: _Place) -> bytes | None:
        """Return the head for the encoded attributes in *run*; None if that is not all it holds."""
        book, origin, family = place
        if self._budget <= 0:
            return None
        head = book.layers[0].head_of_run(run, _ATTRIBUTES_TAG)
        if head is None or not self._affords(len(head), family):
            return None
        origin.remember_single(book, run, head)
        return head

    def _number(self, data: bytes, place: _Place) -> None:
        """Gather a point of any form."""
        book, origin, family = place
        point = remote_write_shape.read_number(data)
        field = point.WhichOneof("value")
        if point.flags & remote_write_shape.NO_RECORDED_VALUE:
            value = remote_write_series.STALE
        elif field is None:
            self._drop(Drop.INVALID_POINT)
            return
        else:
            value = _DOUBLE.pack(point.as_double if field == "as_double" else point.as_int)
        attributes = [*point.attributes]
        key = b"".join([protobuf.framed(_ATTRIBUTES, attribute) for attribute in attributes])
        head = book.singles.get(key)
        if head is None:
            head = book.layers[0].head(attributes) if self._budget > 0 else b""
            if not self._affords(len(head), family):
                self._drop(Drop.TOO_LARGE)
                return
            origin.remember_single(book, key, head)
        milliseconds, stamp = self._moment(point.time_unix_nano)
        if head in family.singles or len(stamp) != remote_write_series.STAMP_BYTES:
            family.repeated.setdefault(head, []).append((milliseconds, value))
        else:
            family.singles[head] = value + stamp

    def _histograms(
        self, points: Iterable[remote_write_shape.HistogramPoint], place: _Place
    ) -> None:
        _, _, family = place
        for point in points:
            stale = point.flags & remote_write_shape.NO_RECORDED_VALUE
            if not stale and not remote_write_composites.counts_fit(point):
                self._drop(Drop.INVALID_POINT)
                continue
            heads = self._heads(
                [*point.attributes],
                [*point.explicit_bounds],
                "le",
                remote_write_composites.bucket_texts,
                place,
            )
            if heads:
                at, _ = self._moment(point.time_unix_nano)
                composite = remote_write_composites.histogram(point, heads, at)
                family.composites.setdefault(heads[-1], []).append(composite)

    def _summaries(self, points: Iterable[remote_write_shape.SummaryPoint], place: _Place) -> None:
        _, _, family = place
        for point in points:
            heads = self._heads(
                [*point.attributes],
                [entry.quantile for entry in point.quantile_values],
                "quantile",
                remote_write_composites.quantile_texts,
                place,
            )
            if heads:
                at, _ = self._moment(point.time_unix_nano)
                composite = remote_write_composites.summary(point, heads, at)
                family.composites.setdefault(heads[-1], []).append(composite)

    def _heads(
        self,
        attributes: Sequence[bytes],
        bounds: Sequence[float],
        slot: str,
        spell: Callable[[Sequence[float]], list[str] | None],
        place: _Place,
    ) -> tuple[bytes, ...]:
        """Return the heads of a point of several series, or nothing if it was dropped."""
        book, origin, family = place
        key = (*attributes, struct.pack(f"<{len(bounds)}d", *bounds))
        known = book.composites.get(key)
        if known is not None:
            return known
        texts = spell(bounds)
        if texts is None:
            self._drop(Drop.INVALID_POINT)
            return ()
        size = 0
        if self._budget > 0:
            size = remote_write_composites.size(book.layers, attributes, len(bounds))
        if not self._affords(size, family):
            self._drop(Drop.TOO_LARGE)
            return ()
        heads = remote_write_composites.heads(book.layers, attributes, slot, texts)
        if not self._fits(
            sum(map(len, heads)) + remote_write_requests.SAMPLE_BYTES * len(heads), family
        ):
            self._drop(Drop.TOO_LARGE)
            return ()
        origin.remember_composite(book, key, heads)
        return heads

    def _affords(self, size: int, family: Family) -> bool:
        """Tell whether series with about *size* bytes of labels may be added; take them in then."""
        if self._budget <= 0 or not self._fits(size + remote_write_requests.SAMPLE_BYTES, family):
            return False
        self._budget -= size
        return True

    def _fits(self, size: int, family: Family) -> bool:
        return size + len(family.metadata) <= self._max_bytes

    def _moment(self, nanoseconds: int) -> tuple[int, bytes]:
        """Return a point's time as milliseconds and as a stamp."""
        milliseconds = nanoseconds // _NS_PER_MS if nanoseconds else self._now_ms
        self.newest = max(self.newest, milliseconds)
        return milliseconds, remote_write_series.stamp(milliseconds)

    def _drop(self, reason: Drop, points: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + points
