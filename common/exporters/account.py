"""The points that one destination holds, and the booking of what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from common.exporters.outcomes import Delivered, Refused, Retry, TooBig, Verdict
from common.exporters.reporting import Reporter
from common.service.ledger import DropReason, Ledger


class Account:
    """Books fates in the ledger, in the moment that they are certain, and reports losses.

    The ledger may be shared with other destinations, so what is held here is counted here too.
    """

    __slots__ = ("_ledger", "_reporter", "held")

    def __init__(self, ledger: Ledger, reporter: Reporter) -> None:
        self._ledger, self._reporter = ledger, reporter
        self.held = 0  # points whose fate is not known yet

    def take(self, points: int) -> None:
        """Become responsible for *points* that the ledger holds."""
        self.held += points

    def book(self, points: int, verdict: Verdict) -> None:
        """Book the *points* of a request on which *verdict* is the last word.

        The last word of a `Retry` is that the points grew too old.
        """
        match verdict:
            case Delivered(rejected=rejected, message=message):
                rejected = min(rejected, points)
                self.held -= points - rejected
                self._ledger.deliver(points - rejected)
                self._reporter.worked("" if rejected else message)
                self.drop(rejected, DropReason.REJECTED_BY_BACKEND, message)
            case Retry(why=why):
                self.drop(points, DropReason.TOO_OLD, why)
            case Refused(why=why):
                self._reporter.failed(why)
                self.drop(points, DropReason.REFUSED, why)
            case TooBig(why=why):
                self.drop(points, DropReason.TOO_LARGE, why)
            case _ as never:
                assert_never(never)

    def drop(self, points: int, reason: DropReason, why: str) -> None:
        """Book the loss of *points*; *why* is for people."""
        if not points:
            return
        self.held -= points
        self._ledger.drop(points, reason)
        self._reporter.lost(points, reason, why)

    def drop_all(self, dropped: Mapping[DropReason, int], why: str) -> None:
        """Book losses for several reasons."""
        for reason, points in dropped.items():
            self.drop(points, reason, why)
