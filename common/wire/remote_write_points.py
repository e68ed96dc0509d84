"""Data points of one body as samples and histograms of series.

Source: opentelemetry/proto/metrics/v1/metrics.proto and the compatibility specification's "OTLP
metric points to Prometheus". Number points, which are most, have `remote_write_numbers` to
themselves; here are the points that become several series, and native histograms.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from common.wire import (
    remote_write_catalogue,
    remote_write_composites,
    remote_write_exemplars,
    remote_write_native,
    remote_write_numbers,
    remote_write_parts,
    remote_write_requests,
    remote_write_series,
    remote_write_shape,
)
from common.wire.prometheus_names import Kind
from common.wire.remote_write_account import Account
from common.wire.remote_write_exemplars import Spelt
from common.wire.remote_write_numbers import Place
from common.wire.remote_write_origins import Origin
from common.wire.remote_write_parts import Composite, Native
from common.wire.remote_write_requests import Request
from common.wire.remote_write_terms import Drop, Options

_ONE: Final = struct.pack("<d", 1)

TARGET_INFO: Final = remote_write_series.metadata(
    2, "target_info", "Attributes of the resource that the metrics come from", ""
)


def series_of_target_info(head: bytes, milliseconds: int) -> bytes:
    """Return the TimeSeries of a ``target_info`` with this *head*: one sample of 1."""
    labels = remote_write_series.labels_of(head)
    return remote_write_series.time_series(labels, ((milliseconds, _ONE),))


class Conversion:
    """One body on its way: the series gathered so far, and what was dropped."""

    __slots__ = ("_account", "_max_bytes", "_natives", "_numbers", "_sheaf")

    def __init__(self, options: Options, body_bytes: int, now_ms: int) -> None:
        self._sheaf = remote_write_requests.Sheaf()
        self._max_bytes, self._natives = options.max_bytes, options.native_histograms
        self._account = Account(options, body_bytes, now_ms)
        self._numbers = remote_write_numbers.Numbers(self._account)

    @property
    def dropped(self) -> Mapping[Drop, int]:
        """Points in no request, by reason."""
        return self._account.dropped

    @property
    def exemplars_dropped(self) -> int:
        """Exemplars that should be sent, and are not."""
        return self._account.exemplars_dropped

    @property
    def newest(self) -> int:
        """Milliseconds of the newest point of the resource so far; -1 if it has none."""
        return self._account.newest

    def start_resource(self) -> None:
        """Forget the times of the resource before."""
        self._numbers.start_resource()
        self._account.newest = -1

    def metric(self, metric: remote_write_shape.Metric, origin: Origin) -> None:
        """Gather the series of a metric, or drop its points."""
        data = metric.WhichOneof("data")
        if data is None:
            return
        points = getattr(metric, data)
        kind = remote_write_catalogue.kind(data, points)
        if kind is Kind.EXPONENTIAL and not self._natives:
            kind = Drop.UNSUPPORTED_TYPE
        if isinstance(kind, Drop):
            self._account.drop(kind, len(points.data_points))
            return
        book = origin.book(
            (metric.name, metric.unit, metric.description, kind, tuple(metric.metadata))
        )
        if book.reason is not None:
            self._account.drop(book.reason, len(points.data_points))
            return
        place = (book, origin, self._sheaf.family(book.family, book.metadata))
        match kind:
            case Kind.HISTOGRAM:
                self._histograms(points.data_points, place)
            case Kind.EXPONENTIAL:
                self._exponentials(points.data_points, place)
            case Kind.SUMMARY:
                self._summaries(points.data_points, place)
            case _:
                self._numbers.gather(points.data_points, place)

    def announce(self, target_info: bytes, milliseconds: int) -> None:
        """Add a sample of ``target_info``, which is nobody's point; the head tells the series."""
        self._sheaf.family("target_info", TARGET_INFO).extras.append(
            (series_of_target_info(target_info, milliseconds), 0, 1)
        )

    def heads(self) -> set[bytes]:
        """Return the heads of all series gathered so far."""
        return self._sheaf.heads()

    def finish(self) -> tuple[Request, ...]:
        """Return the requests, and complete what was dropped. To be called once."""
        requests = self._sheaf.bind(self._max_bytes)
        if self._sheaf.duplicates:
            self._account.drop(Drop.DUPLICATE, self._sheaf.duplicates)
        self._account.exemplars_dropped += self._sheaf.exemplars_dropped
        return requests

    def _histograms(
        self, points: Iterable[remote_write_shape.HistogramPoint], place: Place
    ) -> None:
        for point in points:
            stale = point.flags & remote_write_shape.NO_RECORDED_VALUE
            if not stale and not remote_write_composites.counts_fit(point):
                self._account.drop(Drop.INVALID_POINT)
                continue
            bounds = [*point.explicit_bounds]
            heads = self._heads(
                [*point.attributes], bounds, "le", remote_write_composites.bucket_texts, place
            )
            if heads:
                at, start = self._times(point, Kind.HISTOGRAM)
                exemplars = {}
                if point.exemplars:
                    exemplars = self._in_buckets(point, at, bounds, heads)
                self._add(
                    remote_write_composites.histogram(point, heads, at, start, exemplars), place
                )

    def _summaries(self, points: Iterable[remote_write_shape.SummaryPoint], place: Place) -> None:
        for point in points:
            heads = self._heads(
                [*point.attributes],
                [entry.quantile for entry in point.quantile_values],
                "quantile",
                remote_write_composites.quantile_texts,
                place,
            )
            if heads:
                at, start = self._times(point, Kind.SUMMARY)
                self._add(remote_write_composites.summary(point, heads, at, start), place)

    def _exponentials(self, points: Iterable[bytes], place: Place) -> None:
        _, _, family = place
        for data in points:
            point = remote_write_shape.read_exponential(data)
            histogram = remote_write_native.histogram(point)
            if isinstance(histogram, Drop):
                self._account.drop(histogram)
                continue
            head = remote_write_numbers.single_head([*point.attributes], place, self._account)
            if head is None or not self._account.fits(
                remote_write_parts.native_size(head, histogram), family, samples=1
            ):
                self._account.drop(Drop.TOO_LARGE)
                continue
            at, _ = self._account.moment(point.time_unix_nano)
            start = self._account.start_ms(point.start_time_unix_nano, at, Kind.EXPONENTIAL)
            exemplars: list[Spelt] = []
            if point.exemplars:
                exemplars = [each for _, each in self._account.exemplars(point, at)]
            native = Native(
                milliseconds=at,
                body=histogram + remote_write_native.times(at, start),
                exemplars=exemplars,
            )
            family.natives.setdefault(head, []).append(native)

    def _times(
        self,
        point: remote_write_shape.HistogramPoint | remote_write_shape.SummaryPoint,
        kind: Kind,
    ) -> tuple[int, bytes]:
        """Return when a point was taken, and the encoded start of its samples."""
        at, _ = self._account.moment(point.time_unix_nano)
        return at, self._account.start(point.start_time_unix_nano, at, kind)

    def _in_buckets(
        self,
        point: remote_write_shape.HistogramPoint,
        milliseconds: int,
        bounds: Sequence[float],
        heads: Sequence[bytes],
    ) -> dict[bytes, list[Spelt]]:
        """Return the exemplars of a histogram by the heads of their buckets, which come first."""
        found: dict[bytes, list[Spelt]] = {}
        for exemplar, spelt in self._account.exemplars(point, milliseconds):
            value = remote_write_exemplars.value(exemplar)
            at = None if value is None else remote_write_exemplars.bucket(value, bounds)
            if at is None:
                self._account.exemplars_dropped += 1
            else:
                # A bound of infinity is the bucket that exists anyway.
                head = heads[min(at, len(heads) - 3)]
                found.setdefault(head, []).append(spelt)
        return found

    def _add(self, composite: Composite, place: Place) -> None:
        _, _, family = place
        family.composites.setdefault(composite.heads[-1], []).append(composite)

    def _heads(
        self,
        attributes: Sequence[bytes],
        bounds: Sequence[float],
        slot: str,
        spell: Callable[[Sequence[float]], list[str] | None],
        place: Place,
    ) -> tuple[bytes, ...]:
        """Return the heads of a point of several series, or nothing if it was dropped."""
        book, origin, family = place
        key = (*attributes, struct.pack(f"<{len(bounds)}d", *bounds))
        known = book.composites.get(key)
        if known is not None:
            return known
        texts = spell(bounds)
        if texts is None:
            self._account.drop(Drop.INVALID_POINT)
            return ()
        size = 0
        if self._account.budget > 0:
            size = remote_write_composites.size(book.layers, attributes, len(bounds))
        if not self._account.affords(size, family):
            self._account.drop(Drop.TOO_LARGE)
            return ()
        heads = remote_write_composites.heads(book.layers, attributes, slot, texts)
        if not self._account.fits(sum(map(len, heads)), family, samples=len(heads)):
            self._account.drop(Drop.TOO_LARGE)
            return ()
        origin.remember_composite(book, key, heads)
        return heads
