"""What becomes of the points of one destination: booked in the moment that it is certain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from common.exporters.loads import Load
from common.exporters.outcomes import Delivered, Refused, Retry, TooBig, Verdict
from common.exporters.reporting import Reporter
from common.service.ledger import DropReason, Ledger


class Account:
    """Books fates in the ledger, and reports losses.

    The ledger may be shared with other destinations, and holds what is on disk as well; so what
    only the memory of this one has is counted here, too.
    """

    __slots__ = ("_ledger", "_reporter", "held")

    def __init__(self, ledger: Ledger, reporter: Reporter) -> None:
        self._ledger, self._reporter = ledger, reporter
        self.held = 0  # points whose fate is not known yet, and that no disk has

    def take(self, points: int) -> None:
        """Become responsible for *points* that the ledger holds, and that no disk has."""
        self.held += points

    def recover(self, points: int) -> None:
        """Book *points* that were found on disk, or will be sent from there a second time."""
        self._ledger.recover(points)

    def store(self, points: int) -> None:
        """Note that *points* are on disk now, of those that the ledger holds."""
        self._ledger.stored = points

    def book(self, load: Load, points: int, verdict: Verdict) -> None:
        """Book *points* of *load*, of a request on which *verdict* is the last word.

        The last word of a `Retry` is that the points grew too old.
        """
        match verdict:
            case Delivered(rejected=rejected, message=message):
                rejected = min(rejected, points)
                self._off(load, points - rejected)
                self._ledger.deliver(points - rejected)
                self._reporter.worked("" if rejected else message)
                self.drop(load, rejected, DropReason.REJECTED_BY_BACKEND, message)
            case Retry(why=why):
                self.drop(load, points, DropReason.TOO_OLD, why)
            case Refused(why=why):
                self._reporter.failed(why)
                self.drop(load, points, DropReason.REFUSED, why)
            case TooBig(why=why):
                self.drop(load, points, DropReason.TOO_LARGE, why)
            case _ as never:
                assert_never(never)

    def drop(self, load: Load, points: int, reason: DropReason, why: str) -> None:
        """Book the loss of *points* of *load*; *why* is for people."""
        self._off(load, points)
        self._lose(points, reason, why)

    def drop_all(self, load: Load, dropped: Mapping[DropReason, int], why: str) -> None:
        """Book losses of *load* for several reasons."""
        for reason, points in dropped.items():
            self.drop(load, points, reason, why)

    def lose(self, points: int, reason: DropReason, why: str) -> None:
        """Book the loss of *points* that were taken, and are in no load."""
        self.held -= points
        self._lose(points, reason, why)

    def lose_stored(self, points: int, reason: DropReason, why: str) -> None:
        """Book the loss of *points* that were on disk, or should have been."""
        self._lose(points, reason, why)

    def _off(self, load: Load, points: int) -> None:
        load.left -= points
        unbacked = min(points, load.unbacked)
        load.unbacked -= unbacked
        self.held -= unbacked

    def _lose(self, points: int, reason: DropReason, why: str) -> None:
        if points:
            self._ledger.drop(points, reason)
            self._reporter.lost(points, reason, why)
