"""What several processes say of themselves, put together as if one had said it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from common.service.ledger import DropReason, Ledger
from common.service.telemetry import Reading, Whole
from gateway.accounts import Accounts

MAX_CARRIED: Final = 10_000  # samples kept of counters of processes that are gone

Labels: TypeAlias = tuple[tuple[str, str], ...]

_FOLDS: Final[Mapping[Whole, Callable[[float, float], float]]] = {
    "sum": operator.add,
    "max": max,
    "min": min,
}


def merged(parts: Iterable[Sequence[Reading]]) -> tuple[Reading, ...]:
    """Return the readings of the whole, in the order in which their names first appear.

    Counters are summed, gauges as their `Reading.whole` says.
    """
    families: dict[str, tuple[Reading, dict[Labels, float]]] = {}
    for part in parts:
        for reading in part:
            first, samples = families.setdefault(reading.name, (reading, {}))
            fold = _FOLDS["sum" if first.kind == "counter" else first.whole]
            for labels, value in reading.samples:
                key = _key(labels)
                samples[key] = fold(samples[key], value) if key in samples else value
    return tuple(
        Reading(first.kind, name, first.words, _samples(samples), first.whole)
        for name, (first, samples) in families.items()
    )


class Carried:
    """Counters and accounts of workers that are gone: with them, sums never fall.

    Their accounts are closed: what a worker still held when it was last heard of is booked as lost.
    """

    __slots__ = ("_families", "_samples", "accounts", "fresh_pods")

    def __init__(self) -> None:
        self.accounts = Accounts()
        self.fresh_pods: dict[str, Any] = {}
        self._families: dict[str, str] = {}  # words by name
        self._samples: dict[tuple[str, Labels], float] = {}  # the one changed last at the end

    def carry(self, readings: Iterable[Reading], ledgers: Iterable[Ledger], mismatches: int) -> int:
        """Take over from a worker that is gone; return how many points are lost with it."""
        for reading in readings:
            if reading.kind != "counter":
                continue
            self._families[reading.name] = reading.words
            for labels, value in reading.samples:
                key = (reading.name, _key(labels))
                self._samples[key] = self._samples.pop(key, 0.0) + value
        while len(self._samples) > MAX_CARRIED:
            del self._samples[next(iter(self._samples))]
        lost = 0
        for ledger in ledgers:
            closed = self.accounts.of(ledger.pipeline)
            closed.include(ledger)
            closed.bequeath()  # the worker in its place finds what is on disk
            lost += closed.held
            closed.drop(closed.held, DropReason.WORKER_LOST)
        self.accounts.mismatches += mismatches
        return lost

    def lose(self, fresh_pods: Mapping[str, Any]) -> None:
        """Take over the account of fresh pods from a worker that is gone; what it held is lost."""
        if fresh_pods:
            closed = {**fresh_pods, "held": 0, "lost": fresh_pods["held"]}
            self.fresh_pods = summed([self.fresh_pods, closed])

    def readings(self) -> tuple[Reading, ...]:
        """Return the counters as they were left."""
        found: dict[str, dict[Labels, float]] = {}
        for (name, labels), value in self._samples.items():
            found.setdefault(name, {})[labels] = value
        return tuple(
            Reading("counter", name, self._families[name], _samples(samples))
            for name, samples in found.items()
        )


def accounts(parts: Iterable[Iterable[Ledger]], mismatches: int) -> Accounts:
    """Return the accounts of the whole; *mismatches* were found by its parts."""
    whole = Accounts()
    for part in parts:
        for ledger in part:
            whole.of(ledger.pipeline).include(ledger)
    whole.mismatches = mismatches
    return whole


def summed(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums of numbers by name; where a name has numbers of its own, of those."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if isinstance(value, Mapping):
                whole[name] = summed([whole.get(name, {}), value])
            else:
                whole[name] = whole.get(name, 0) + value
    return whole


def checks(said: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what the checks of all workers, by name of the worker, say together.

    Where all say the same it is said once, else each for itself.
    """
    names = dict.fromkeys(name for words in said.values() for name in words)
    together: dict[str, str] = {}
    for name in names:
        words = {who: checks[name] for who, checks in said.items() if name in checks}
        different = dict.fromkeys(words.values())
        together[name] = (
            next(iter(different))
            if len(different) == 1
            else "; ".join(f"{who}: {text}" for who, text in words.items())
        )
    return together


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _samples(samples: Mapping[Labels, float]) -> tuple[tuple[Mapping[str, str], float], ...]:
    return tuple((dict(labels), value) for labels, value in samples.items())
