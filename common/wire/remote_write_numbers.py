"""Number points, of gauges and sums, as samples of series: the loop that sees every point.

Source: opentelemetry/proto/metrics/v1/metrics.proto and the compatibility specification's "OTLP
metric points to Prometheus". What depends on a point's attributes only is taken from the books of
its origin; what is left per point is a value and a timestamp, eight bytes each.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, TypeAlias

from common.wire import protobuf, remote_write_series, remote_write_shape
from common.wire.prometheus_names import Kind
from common.wire.remote_write_account import Account
from common.wire.remote_write_origins import Book, Origin
from common.wire.remote_write_requests import Family
from common.wire.remote_write_terms import Drop

_DOUBLE: Final = struct.Struct("<d")
_INT: Final = struct.Struct("<q")

# Tags of a NumberDataPoint's fields of fixed width, in the order in which serializers write them.
_START, _TIME, _AS_DOUBLE, _AS_INT = 0x11, 0x19, 0x21, 0x31
_ATTRIBUTES: Final = 7
_ATTRIBUTES_TAG: Final = 0x3A
_ODD: Final = (b"\0", b"")  # no point starts like this: there is no field 0

Place: TypeAlias = tuple[Book, Origin, Family]
"""Where a metric's series are known, and where they are gathered."""


class Numbers:
    """The number points of one body on their way into their families."""

    __slots__ = ("_account", "_kind", "_last", "_stamps")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._kind = Kind.GAUGE  # of what the two below are good for
        self._last = _ODD  # what the latest number point had in front of its value, and its stamp
        self._stamps: dict[bytes, bytes] = {}  # by the encoded times of number points

    def start_resource(self) -> None:
        """Forget the times of the resource before."""
        self._last = _ODD
        self._stamps.clear()

    def gather(self, points: Iterable[bytes], place: Place) -> None:
        """Add the points of a metric to its family, or drop them."""
        # message NumberDataPoint {
        #   fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
        #   oneof value { double as_double = 4; sfixed64 as_int = 6; }
        #   repeated KeyValue attributes = 7; uint32 flags = 8; repeated Exemplar exemplars = 5; }
        # Serializers write fields by number and leave out zeros. So nearly every point is times and
        # the tag of the value, the same bytes as in the point before it; eight bytes of value; and
        # then, known from the last send, nothing but attributes. All else takes _number.
        book, _, family = place
        if book.kind is not self._kind:
            self._kind = book.kind
            if self._account.starts:  # a stamp goes on with a start for one kind, not for another
                self.start_resource()
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
                sample = remote_write_series.read_sample(value + stamp)
                family.repeated.setdefault(head, []).append(sample)
            else:
                singles[head] = value + stamp

    def _times(self, point: bytes) -> tuple[bytes, bytes]:
        """Return everything in front of the value, and what follows that in the sample.

        The latter is empty if the former is not times.
        """
        try:
            at = 18 if point[0] == _START and point[9] == _TIME else 9 if point[0] == _TIME else 0
            if not at or point[at] not in {_AS_DOUBLE, _AS_INT}:
                return _ODD
        except IndexError:  # shorter than any point with a value
            return _ODD
        stamp = self._stamps.get(point[:at])
        if stamp is None:
            time = int.from_bytes(point[at - 8 : at], "little")
            milliseconds, stamp = self._account.moment(time)
            if len(stamp) != remote_write_series.STAMP_BYTES:
                return _ODD
            start = int.from_bytes(point[1:9], "little") if at == 18 else 0
            stamp += self._account.start(start, milliseconds, self._kind)
            self._stamps[point[:at]] = stamp
        return point[: at + 1], stamp

    def _learn(self, run: bytes, place: Place) -> bytes | None:
        """Return the head for the encoded attributes in *run*; None if that is not all it holds."""
        book, origin, family = place
        if self._account.budget <= 0:
            return None
        head = book.layers[0].head_of_run(run, _ATTRIBUTES_TAG)
        if head is None or not self._account.affords(len(head), family):
            return None
        origin.remember_single(book, run, head)
        return head

    def _number(self, data: bytes, place: Place) -> None:
        """Gather a point of any form."""
        book, _, family = place
        point = remote_write_shape.read_number(data)
        field = point.WhichOneof("value")
        if point.flags & remote_write_shape.NO_RECORDED_VALUE:
            value = remote_write_series.STALE
        elif field is None:
            self._account.drop(Drop.INVALID_POINT)
            return
        else:
            value = _DOUBLE.pack(point.as_double if field == "as_double" else point.as_int)
        head = single_head([*point.attributes], place, self._account)
        if head is None:
            self._account.drop(Drop.TOO_LARGE)
            return
        milliseconds, stamp = self._account.moment(point.time_unix_nano)
        start = self._account.start(point.start_time_unix_nano, milliseconds, book.kind)
        if head in family.singles or len(stamp) != remote_write_series.STAMP_BYTES:
            family.repeated.setdefault(head, []).append((milliseconds, value + start))
        else:
            family.singles[head] = value + stamp + start
        if book.kind is Kind.COUNTER and point.exemplars:
            spelt = [each for _, each in self._account.exemplars(point, milliseconds)]
            if spelt:
                family.exemplars.setdefault(head, []).extend(spelt)


def single_head(attributes: list[bytes], place: Place, account: Account) -> bytes | None:
    """Return the head of a point of one series; ``None`` if there is no room for a new one."""
    book, origin, family = place
    key = b"".join([protobuf.framed(_ATTRIBUTES, attribute) for attribute in attributes])
    head = book.singles.get(key)
    if head is None:
        head = b"" if account.budget <= 0 else book.layers[0].head(attributes)
        if not account.affords(len(head), family):
            return None
        origin.remember_single(book, key, head)
    return head
