"""Data points of one metric, each turned by the rule: the loop that sees every point.

Source: opentelemetry/proto/metrics/v1/metrics.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

from common.wire import (
    errors,
    protobuf,
    temporality_identity,
    temporality_kinds,
    temporality_shape as shape,
)
from common.wire.temporality_kinds import Kind
from common.wire.temporality_rules import Reason, Rule, Step, Times
from common.wire.temporality_state import Series, States
from common.wire.temporality_values import Number

# A NumberDataPoint as serializers write it: fields by number, zeros left out.
_START, _TIME, _AS_DOUBLE, _AS_INT = 0x11, 0x19, 0x21, 0x31
_DOUBLE: Final = struct.Struct("<d")
_INT: Final = struct.Struct("<q")
_DOUBLE_POINT: Final = struct.Struct("<BQBQBd")
_INT_POINT: Final = struct.Struct("<BQBQBq")
_HEAD_BYTES: Final = _INT_POINT.size
_ODD: Final = b"\0"  # no point starts like this: there is no field 0
_NO_TIMES: Final = (0, 0)

_TAG: Final = b"\x0a"  # data_points, of every kind
_HEADS: Final = tuple(_TAG + protobuf.varint(n) for n in range(512))


class Points:
    """What is turned of one request, and what was left out of it so far."""

    __slots__ = ("_identities", "_now", "_now_ns", "_rule", "_states", "dropped")

    def __init__(
        self,
        rule: Rule,
        identities: temporality_identity.Identities,
        states: States,
        now: float,
    ) -> None:
        self._rule, self._identities, self._states = rule, identities, states
        self._now, self._now_ns = now, max(0, int(now * 1e9))
        self.dropped: dict[Reason, int] = {}

    def numbers(self, points: Iterable[bytes], metric: bytes, *, monotonic: bool) -> list[bytes]:
        """Turn NumberDataPoints of *metric*, a digest; return those that are left, framed."""
        # Nearly every point is times and the tag of the value, the same bytes as in the point
        # before it; eight bytes of value; and then attributes only, which name the series as they
        # are. That is read by position; all else takes _number.
        digest, find, turn = self._identities.digest, self._states.find, self._turn
        prefix, times = _ODD, _NO_TIMES
        at = behind = time = 0
        read = _DOUBLE.unpack_from
        out: list[bytes] = []
        for point in points:
            if not point.startswith(prefix):
                prefix, times = _times(point)
                time = times[1]
                at, behind = len(prefix), len(prefix) + 8
                read = (_INT if prefix[-1] == _AS_INT else _DOUBLE).unpack_from
            if not time:
                self._number(point, metric, out, monotonic=monotonic)
                continue
            rest = point[behind:]
            name = key = digest(metric + rest)
            series = find(name)
            if series is None:
                attributes = _attributes(rest)
                if attributes is None:
                    self._number(point, metric, out, monotonic=monotonic)
                    continue
                key, series = self._recall(name, metric, attributes)
            (value,) = read(point, at)
            if value - value != 0 or (value < 0 and monotonic):
                self._drop(Reason.INVALID_POINT)
                continue
            step = turn(series, (name, key), value, times, temporality_kinds.NUMBERS)
            if step is None:
                continue
            result = step[1]
            if type(result) is int:
                head = _INT_POINT.pack(_START, step[0], _TIME, time, _AS_INT, result)
            else:
                head = _DOUBLE_POINT.pack(_START, step[0], _TIME, time, _AS_DOUBLE, result)
            size = _HEAD_BYTES + len(rest)
            out += (_HEADS[size] if size < 512 else _TAG + protobuf.varint(size), head, rest)
        return out

    def _number(self, data: bytes, metric: bytes, out: list[bytes], *, monotonic: bool) -> None:
        """Turn a NumberDataPoint of any form."""
        point = shape.number(data)
        if point.flags & shape.NO_RECORDED_VALUE:
            self._silence(data, point, metric, out)
            return
        kind = point.WhichOneof("value")
        value: Number = point.as_int if kind == "as_int" else point.as_double
        if kind is None or value - value != 0 or (monotonic and value < 0):
            self._drop(Reason.INVALID_POINT)
            return
        step = self._any(point, metric, value, temporality_kinds.NUMBERS)
        if step is None:
            return
        point.start_time_unix_nano, result = step[:2]
        if type(result) is int:
            point.as_int = result
        else:
            point.as_double = result
        _append(point, out)

    def histograms(self, points: Iterable[bytes], metric: bytes) -> list[bytes]:
        """Turn HistogramDataPoints of *metric*, a digest; return those that are left, framed."""
        out: list[bytes] = []
        for data in points:
            point = shape.histogram(data)
            self._composite(data, point, metric, out, temporality_kinds.HISTOGRAMS)
        return out

    def exponentials(self, points: Iterable[bytes], metric: bytes) -> list[bytes]:
        """Turn ExponentialHistogramDataPoints of *metric*, a digest; return those left, framed."""
        out: list[bytes] = []
        for data in points:
            point = shape.exponential(data)
            self._composite(data, point, metric, out, temporality_kinds.EXPONENTIALS)
        return out

    def _composite(
        self, data: bytes, point: shape.Point, metric: bytes, out: list[bytes], kind: Kind
    ) -> None:
        if point.flags & shape.NO_RECORDED_VALUE:
            self._silence(data, point, metric, out)
            return
        value = kind.read(point)
        if value is None:
            self._drop(Reason.INVALID_POINT)
            return
        step = self._any(point, metric, value, kind)
        if step is None:
            return
        point.start_time_unix_nano, result = step[:2]
        if result is not value:
            kind.write(point, result)
        # Of neither direction can they be told: nobody knows when the extremes were seen.
        point.ClearField("min")
        point.ClearField("max")
        _append(point, out)

    def _any(self, point: shape.Point, metric: bytes, value: object, kind: Kind) -> Step | None:
        """Turn a point that was read as a message; it gets a time if it has none."""
        names, series = self._named(point, metric)
        time = point.time_unix_nano = point.time_unix_nano or self._now_ns
        return self._turn(series, names, value, (point.start_time_unix_nano, time), kind)

    def _silence(self, data: bytes, point: shape.Point, metric: bytes, out: list[bytes]) -> None:
        """Pass a point without a value, and begin anew after it."""
        _, series = self._named(point, metric)
        if series is not None:
            if (point.time_unix_nano or self._now_ns) <= series.last:
                self._drop(Reason.OUT_OF_ORDER)
                return
            self._states.forget(series)
        out += (_TAG, protobuf.varint(len(data)), data)

    def _named(
        self, point: shape.Point, metric: bytes
    ) -> tuple[tuple[bytes, bytes], Series[Any] | None]:
        """Return name and key of a point's series, and the series if it is known."""
        attributes = [*point.attributes]
        name = key = self._identities.digest(metric + temporality_identity.spell(attributes))
        series = self._states.find(name)
        if series is None:
            key, series = self._recall(name, metric, attributes)
        return (name, key), series

    def _turn(
        self,
        series: Series[Any] | None,
        names: tuple[bytes, bytes],
        value: Any,
        times: Times,
        kind: Kind,
    ) -> Step | None:
        """Apply the rule and remember; ``None`` if the point is left out, which is booked then.

        The *names* of a new series are that of its attributes in this order, and its key.
        """
        states, time = self._states, times[1]
        if series is not None and time <= series.last:
            # It does not count as seen: a series with one time far in the future expires.
            self._drop(Reason.OUT_OF_ORDER)
            return None
        step = self._rule(series, value, times, kind.algebra, states.horizon)
        _, result, begin, kept, reset = step
        if reset:
            states.resets += 1
        if series is None:
            name, key = names
            new = Series(key, begin, time, kept, self._now, kind.cost(kept))
            states.begin(name, new)
        elif kind.varies:
            more = kind.cost(kept) - kind.cost(series.value)
            states.advance(series, begin, time, kept, self._now)
            if more:
                states.weigh(series, more)
        else:
            states.advance(series, begin, time, kept, self._now)
        if result is Reason.BASELINE:
            self._drop(Reason.BASELINE)
            return None
        return step

    def _recall(
        self, name: bytes, metric: bytes, attributes: Iterable[bytes]
    ) -> tuple[bytes, Series[Any] | None]:
        """Return the key of a series that is not found by *name*, and the series if it is known."""
        key = self._identities.digest(metric + temporality_identity.run(attributes))
        return key, self._states.recall(name, key)

    def _drop(self, reason: Reason) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def _times(point: bytes) -> tuple[bytes, Times]:
    """Return everything in front of the value, and the times; none of them if that is not so."""
    try:
        at = 18 if point[0] == _START and point[9] == _TIME else 9 if point[0] == _TIME else 0
        if not at or point[at] not in {_AS_DOUBLE, _AS_INT}:
            return _ODD, _NO_TIMES
    except IndexError:  # shorter than any point with a value
        return _ODD, _NO_TIMES
    start = int.from_bytes(point[1:9], "little") if at == 18 else 0
    return point[: at + 1], (start, int.from_bytes(point[at - 8 : at], "little"))


def _attributes(rest: bytes) -> list[bytes] | None:
    """Return the attributes of a NumberDataPoint's *rest*, ``None`` if there is more in it."""
    found: list[bytes] = []
    try:
        fields = protobuf.fields(rest)
    except errors.Malformed:  # absurdly many: they are valid all the same, and read as a message
        return None
    for number, wire_type, _, at, end in fields:
        if number != temporality_identity.ATTRIBUTES or wire_type != protobuf.BYTES:
            return None
        found.append(rest[at:end])
    return found


def _append(point: shape.Shape, out: list[bytes]) -> None:
    data = point.SerializeToString()
    out += (_TAG, protobuf.varint(len(data)), data)
