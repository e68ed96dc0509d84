"""The accounts of all pipelines: they outlive changes of configuration, and must always balance."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from common.service import audit, otelcol
from common.service.ledger import DropReason, Ledger
from common.service.telemetry import Reading

MAX_CLOSED: Final = 1000  # accounts of pipelines that no longer exist; the oldest are merged
MERGED: Final = "(removed)"  # no pipeline can be called so


class Accounts:
    """One ledger per pipeline name; a name that comes back goes on where it was."""

    __slots__ = ("_ledgers", "_watched", "mismatches")

    def __init__(self) -> None:
        self._ledgers: dict[str, Ledger] = {}
        self._watched: dict[str, Callable[[], int]] = {}
        self.mismatches = 0  # how often `audit` found a ledger that is off; anything but 0 is a bug

    def __iter__(self) -> Iterator[Ledger]:
        return iter(self._ledgers.values())

    def of(self, pipeline: str) -> Ledger:
        """Return the account of *pipeline*, opened if there was none."""
        return self._ledgers.setdefault(pipeline, Ledger(pipeline))

    @property
    def kept_all(self) -> bool:
        """Whether nothing was lost to the end: what is held is on disk."""
        return all(
            not ledger.dropped[DropReason.SHUTDOWN] and ledger.held == ledger.stored
            for ledger in self
        )

    def keep(self, names: Collection[str]) -> None:
        """Merge accounts, oldest first, of which there are too many not in *names*."""
        closed = [
            ledger
            for name, ledger in self._ledgers.items()
            if name not in names and name != MERGED and not ledger.held
        ]
        for ledger in closed[: max(0, len(closed) - MAX_CLOSED)]:
            del self._ledgers[ledger.pipeline]
            self.of(MERGED).include(ledger)

    def watch(self, name: str, balance: Callable[[], int]) -> None:
        """Audit an account that is no pipeline's as well: *balance* says by how much it is off."""
        self._watched[name] = balance

    def audit(self) -> list[str]:
        """Return a sentence for each account that is off, and count them."""
        wrong = audit.off(self)
        wrong += [
            f"the account of {name} is off by {off} points"
            for name, balance in self._watched.items()
            if (off := balance())
        ]
        self.mismatches += len(wrong)
        return wrong

    def page(self) -> dict[str, object]:
        """Return all accounts as plain values, for ``/debug/ledger``."""
        return {
            "pipelines": {ledger.pipeline: ledger.summary() for ledger in self},
            "balance": sum(ledger.balance() for ledger in self),
            "mismatches": self.mismatches,
        }

    def last_words(self) -> dict[str, object]:
        """Return what became of all points, for the last line of the log."""
        lost: dict[str, int] = {}
        for ledger in self:
            for reason, points in ledger.dropped.items():
                if points:
                    lost[str(reason)] = lost.get(str(reason), 0) + points
        return {
            "received": sum(ledger.received for ledger in self),
            "filtered": sum(sum(ledger.filtered.values()) for ledger in self),
            "delivered": sum(ledger.delivered for ledger in self),
            "lost": lost,
            "held": sum(ledger.held for ledger in self),
        }

    def readings(self) -> Iterable[Reading]:
        """Return the accounts as own metrics."""
        ledgers = tuple(self)
        for name, words in (
            ("received", "Data points that came in for a pipeline."),
            ("delivered", "Data points that the backend acknowledged."),
        ):
            yield Reading(
                "counter",
                f"headgate_gateway_points_{name}_total",
                words,
                tuple(({"pipeline": led.pipeline}, float(getattr(led, name))) for led in ledgers),
            )
        for name, label, words in (
            ("filtered", "rule", "Data points that the pipeline does not take, by rule."),
            ("dropped", "reason", "Data points that were accepted and lost, by reason."),
        ):
            yield Reading(
                "counter",
                f"headgate_gateway_points_{name}_total",
                words,
                tuple(
                    ({"pipeline": led.pipeline, label: str(why)}, float(points))
                    for led in ledgers
                    for why, points in getattr(led, name).items()
                ),
            )
        yield Reading(
            "gauge",
            "headgate_gateway_points_held",
            "Data points that wait to be delivered.",
            tuple(({"pipeline": led.pipeline}, float(led.held)) for led in ledgers),
        )
        yield audit.reading(self.mismatches)
        yield from otelcol.readings(ledgers)
