"""What the agent remembers of one target between scrapes, and what it sends after each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from agent.exposition import (
    checks,
    metrics,
    model,
    report,
    series,
    staleness,
    template,
    text,
    translate,
)
from common.wire import errors, otlp

_MILLISECOND = 1_000_000  # nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What to send after a scrape, and what to say about it."""

    payload: otlp.Encoded  # empty when there is nothing to send
    points: int  # in the payload, stale markers included
    samples: int  # that the target exposed
    series_added: int
    stale: int  # markers among the points
    duplicates: int  # samples whose series had come before in the same text
    dropped: Mapping[translate.Drop, int]  # points not sent, by reason
    known: bool  # the fast path was taken
    error: str  # why the scrape failed; "" when it did not
    too_large: bool = False  # it failed because of a limit
    skipped: int = 0  # lines left out because they could not be read
    complaint: str = ""  # what was wrong with the first of them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shape:
    # All that follows from the text without its numbers.
    layout: series.Layout
    checks: checks.Checks
    template: template.Template
    faults: Mapping[int, translate.Drop]  # the points that the template leaves out
    duplicates: int
    incomplete: int


class TargetState:
    """One target; calls come in the order of its scrapes.

    Every method returns what to send and never raises for anything that a target can expose.
    """

    __slots__ = ("_empty", "_limits", "_live", "_origin", "_sent", "_shape")

    def __init__(self, origin: metrics.Origin, limits: model.Limits) -> None:
        self._origin = origin
        self._limits = limits
        self._shape: _Shape | None = None  # of the last scrape that succeeded
        self._live: template.Template | None = None  # of what was sent last
        self._sent: template.Template | None = None  # before that
        self._empty: template.Template | None = None  # the report alone

    @property
    def held_bytes(self) -> int:
        """Return about how much memory this target's shape occupies."""
        if self._shape is None:
            return 0
        return self._shape.layout.held_bytes + self._shape.template.held_bytes

    def accept(
        self,
        body: bytes,
        time_ns: int,
        duration: float,
        form: model.Format = model.Format.TEXT,  # noqa: ARG002 - every body is read as text
    ) -> Outcome:
        """Take the *body* of a scrape that began at *time_ns* and took *duration* seconds.

        A body that breaks the grammar or a limit is a scrape that failed, as `miss` has it.
        """
        known = self._shape
        readings = known.layout.read(body) if known is not None else None
        try:
            if known is not None and readings is not None:
                shape, readings = self._follow(known, readings, body, time_ns)
            else:
                shape, readings = self._learn(body, time_ns)
        except (errors.Malformed, errors.TooLarge) as error:
            missed = self.miss(str(error), time_ns, duration)
            return replace(missed, too_large=isinstance(error, errors.TooLarge))
        self._shape = shape
        difference = self._turn_to(shape.template)
        samples = len(readings.values)
        told = report.Report(
            up=True, duration=duration, samples=samples, series_added=difference.added
        )
        values = np.concatenate((readings.values, told.values()))
        dropped = dict.fromkeys(translate.Drop, 0)
        dropped[translate.Drop.NO_COUNT] = shape.incomplete
        for reason in shape.faults.values():
            dropped[reason] += 1
        payload = shape.template.poke(values, readings.times, time_ns)
        return Outcome(
            payload=self._with_markers(payload, difference, time_ns),
            points=shape.template.points + difference.points,
            samples=samples,
            series_added=difference.added,
            stale=difference.points,
            duplicates=shape.duplicates,
            dropped={reason: n for reason, n in dropped.items() if n},
            known=shape is known,
            error="",
        )

    def miss(self, why: str, time_ns: int, duration: float) -> Outcome:
        """Report a scrape that failed: ``up`` is 0, and what was there is marked stale, once."""
        if self._empty is None:
            self._empty = self._template_of_nothing()
        difference = self._turn_to(self._empty)
        told = report.Report(up=False, duration=duration, samples=0, series_added=0)
        payload = self._empty.poke(told.values(), _no_times(), time_ns)
        return Outcome(
            payload=self._with_markers(payload, difference, time_ns),
            points=self._empty.points + difference.points,
            samples=0,
            series_added=0,
            stale=difference.points,
            duplicates=0,
            dropped={},
            known=False,
            error=why,
        )

    def vanish(self, time_ns: int) -> Outcome:
        """Mark all series stale, those of the report included: the target is gone.

        Not for our own shutdown: the next agent will go on with the same series.
        """
        difference = staleness.between(self._live, None)
        self._live = self._shape = self._empty = None
        return Outcome(
            payload=staleness.markers(difference, self._origin, time_ns),
            points=difference.points,
            samples=0,
            series_added=0,
            stale=difference.points,
            duplicates=0,
            dropped={},
            known=False,
            error="",
        )

    def refused(self) -> None:
        """Take back what the last call returned: it found no room, and its markers come again."""
        self._live = self._sent

    def _learn(self, body: bytes, time_ns: int) -> tuple[_Shape, series.Readings]:
        exposition = text.parse(body, self._limits)
        readings = series.Readings(values=exposition.values, times=exposition.times)
        translation = translate.translate(exposition, self._origin.labels)
        checked = checks.Checks.of(translation, exposition.times)
        faults = checked.find(readings, time_ns // _MILLISECOND)
        shape = _Shape(
            layout=series.Layout.learn(body, exposition),
            checks=checked,
            template=template.Template(translation, self._origin, exposition.times, faults),
            faults=faults,
            duplicates=translation.duplicates,
            incomplete=translation.incomplete,
        )
        return shape, readings

    def _follow(
        self, shape: _Shape, readings: series.Readings, body: bytes, time_ns: int
    ) -> tuple[_Shape, series.Readings]:
        # Points that come to make sense, or cease to, are rare enough to start over for.
        faults = shape.checks.find(readings, time_ns // _MILLISECOND)
        return (shape, readings) if faults == shape.faults else self._learn(body, time_ns)

    def _turn_to(self, now: template.Template) -> staleness.Difference:
        difference = staleness.between(self._live, now)
        self._sent, self._live = self._live, now
        return difference

    def _with_markers(
        self, payload: otlp.Encoded, difference: staleness.Difference, time_ns: int
    ) -> otlp.Encoded:
        if not difference.points:
            return payload
        return otlp.Encoded(payload + staleness.markers(difference, self._origin, time_ns))

    def _template_of_nothing(self) -> template.Template:
        nothing = text.parse(b"", self._limits)
        translation = translate.translate(nothing, self._origin.labels)
        return template.Template(translation, self._origin, nothing.times, ())


def _no_times() -> npt.NDArray[np.int64]:
    return np.empty(0, np.int64)
