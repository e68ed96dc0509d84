"""What is remembered of series between two of their points, bounded in bytes and in time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, final

Value = TypeVar("Value")

SERIES_BYTES: Final = 430  # measured: a series of a number, with its key, in all the tables
NAME_BYTES: Final = 150  # measured: each further order of its attributes
NAMES: Final = 8  # of these, the most that are kept per series: n attributes have n! orders


@final
@dataclass(slots=True, eq=False)
class Series(Generic[Value]):
    """One series: where it is. It belongs to its `States`, which alone changes it."""

    key: bytes
    start: int
    """Nanoseconds since the Unix epoch at which its total began; 0 if that is not known."""
    last: int
    """Nanoseconds since the Unix epoch of its latest point."""
    value: Value
    seen: float
    """Seconds at which that point came, by the caller's clock."""
    cost: int  # bytes
    names: list[bytes] = field(default_factory=list)  # under which it is found, but for its key


class States:
    """Series by their key, and by other names for it; those not seen for longest leave first."""

    __slots__ = (
        "_names",
        "_series",
        "_touch",
        "evictions",
        "expiries",
        "expiry",
        "find",
        "horizon",
        "max_bytes",
        "resets",
        "size",
    )

    def __init__(self, max_bytes: int, expiry: float, horizon: int) -> None:
        self.max_bytes, self.expiry = max_bytes, expiry
        self.size = self.evictions = self.expiries = self.resets = 0
        self.horizon = horizon
        """Nanoseconds since the Unix epoch: what began later than that was not forgotten here."""
        self._series: OrderedDict[bytes, Series[object]] = OrderedDict()
        self._touch = self._series.move_to_end
        self._names: dict[bytes, Series[object]] = {}
        self.find = self._names.get
        """Return the series of a name, or ``None``."""

    def __len__(self) -> int:
        return len(self._series)

    def recall(self, name: bytes, key: bytes) -> Series[object] | None:
        """Return the series of *key*, if there is one, and find it by *name* from now on."""
        series = self._series.get(key)
        if series is None:
            return None
        if len(series.names) >= NAMES:
            del self._names[series.names.pop(0)]
        else:
            series.cost += NAME_BYTES
            self.size += NAME_BYTES
        series.names.append(name)
        self._names[name] = series
        self._series.move_to_end(key)
        self._shrink()
        return self._series.get(key)  # unless it was that which was too much

    def begin(self, name: bytes, series: Series[object]) -> None:
        """Take in *series*, which is new, and find it by *name*, too."""
        series.cost += SERIES_BYTES
        if name != series.key:
            series.names.append(name)
            series.cost += NAME_BYTES
            self._names[name] = series
        self._names[series.key] = self._series[series.key] = series
        self.size += series.cost
        self._shrink()

    def advance(
        self, series: Series[object], start: int, last: int, value: object, seen: float
    ) -> None:
        """Note where *series* is now; its value takes as many bytes as before."""
        series.start = start
        series.last = last
        series.value = value
        series.seen = seen
        self._touch(series.key)

    def weigh(self, series: Series[object], more: int) -> None:
        """Note that *series* takes *more* bytes than before, or fewer."""
        series.cost += more
        self.size += more
        self._shrink()

    def forget(self, series: Series[object]) -> None:
        """Remove *series*."""
        del self._series[series.key]
        del self._names[series.key]
        for name in series.names:
            del self._names[name]
        self.size -= series.cost
        self.horizon = max(self.horizon, series.last)

    def expire(self, now: float) -> None:
        """Remove the series that had no point for longer than the expiry."""
        while self._series:
            series = next(iter(self._series.values()))
            if series.seen + self.expiry >= now:
                return
            self.forget(series)
            self.expiries += 1

    def _shrink(self) -> None:
        # What alone exceeds the bound goes, too.
        while self.size > self.max_bytes:
            self.forget(next(iter(self._series.values())))
            self.evictions += 1
