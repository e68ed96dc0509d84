"""What was sent of a target before: by that its series are new, or are gone."""

from __future__ import annotations

from typing import final

from agent.exposition import staleness, template


@final
class Succession:
    """The templates of a target, one scrape after the other.

    *track_timestamps* says whether series with timestamps of their own are marked stale, too.
    """

    __slots__ = ("_before", "_counted", "_counted_before", "_track_timestamps", "live")

    def __init__(self, *, track_timestamps: bool = False) -> None:
        self._track_timestamps = track_timestamps
        self.live: template.Template | None = None
        """What was sent last."""
        self._before: template.Template | None = None  # and before that
        # What new series are told by: the last scrape that said anything, and the one before that.
        self._counted: template.Template | None = None
        self._counted_before: template.Template | None = None

    def turn(
        self, now: template.Template, known: staleness.Difference | None, time_ns: int
    ) -> tuple[staleness.Difference, bytes]:
        """Go on to *now*; return how it differs from what was sent last, and the markers for that.

        *known* is the difference, if it is known.
        """
        live = self.live
        self._before, self.live = live, now
        if known is staleness.NOTHING:
            return known, b""
        difference = known or staleness.between(live, now, timed=self._track_timestamps)
        if live is None or not difference.points:
            return difference, b""
        return difference, staleness.markers(difference, live.origin, time_ns)

    def count(
        self, now: template.Template, difference: staleness.Difference, *, something: bool
    ) -> int:
        """Return how many series of *now*, just turned to with this *difference*, are new.

        As in Prometheus, a scrape that failed, or had no body (*something*), makes none old; what
        has timestamps counts, though it is never marked stale.
        """
        self._counted_before = before = self._counted
        if before is now:
            return 0
        if something:
            self._counted = now
        if before is None or (before is self._before and not _any_timed(before, now)):
            return difference.added
        return staleness.between(before, now, timed=True).added

    def end(self, time_ns: int) -> tuple[staleness.Difference, bytes]:
        """Return what is there, and the markers for all of it: from now on nothing is.

        Like a turn it can be reverted.
        """
        live = self.live
        difference = staleness.between(live, None, timed=self._track_timestamps)
        self._before, self.live = live, None
        self._counted_before, self._counted = self._counted, None
        if live is None:
            return difference, b""
        return difference, staleness.markers(difference, live.origin, time_ns)

    def revert(self) -> None:
        """Forget the last turn: nothing of it was sent."""
        self.live, self._counted = self._before, self._counted_before


def _any_timed(*those: template.Template) -> bool:
    return any(each.timed.any() for each in those)
