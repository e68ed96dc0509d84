"""What the agent remembers of one target between scrapes, and what it sends after each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from agent.exposition import (
    adapting,
    delimited,
    exchanges,
    lines,
    metrics,
    model,
    openmetrics,
    report,
    series,
    shape,
    staleness,
    succession,
    template,
    text,
    timing,
    translate,
)
from common.wire import errors, otlp


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for all scrapes of a target."""

    limits: model.Limits = field(default_factory=model.Limits)
    rules: translate.Rules = field(default_factory=translate.Rules)
    """The labels and the report are those of the target, whatever is said here."""
    drop_lines: bool = False
    """Whether a line that cannot be read costs itself only."""
    honor_timestamps: bool = True
    track_timestamps: bool = False
    """Whether series with timestamps of their own are marked stale, too."""
    extra: report.Terms | None = None
    """What `report.EXTRA` needs, if its series are wanted."""


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
    adapted: bool = False  # what was known had to be changed a little
    kept: int = 0  # of the samples, those that no rule of the target leaves out
    skipped: int = 0  # lines left out because they could not be read
    complaint: str = ""  # what was wrong with the first of them


class TargetState:
    """One target; calls come in the order of its scrapes.

    Every method returns what to send and never raises for anything that a target can expose.
    """

    __slots__ = (
        "_empty", "_newest", "_origin", "_reader", "_rules", "_sent", "_shape", "_terms",
    )  # fmt: skip

    def __init__(self, origin: metrics.Origin, terms: Terms) -> None:
        self._origin = origin
        self._terms = terms
        reported = report.SERIES + (report.EXTRA if terms.extra is not None else ())
        self._rules = replace(terms.rules, labels=origin.labels, report=reported)
        self._shape: shape.Shape | None = None  # of the last scrape that succeeded
        self._empty: template.Template | None = None  # the report alone
        self._sent = succession.Succession(track_timestamps=terms.track_timestamps)
        self._newest = timing.Newest()
        self._reader: delimited.Reader | None = None

    @property
    def held_bytes(self) -> int:
        """Return about how much memory this target's shape occupies."""
        return 0 if self._shape is None else self._shape.held_bytes

    def accept(
        self, body: bytes, time_ns: int, duration: float, form: model.Format = model.Format.TEXT
    ) -> Outcome:
        """Take the *body*, written in *form*, of a scrape that began at *time_ns*.

        It took *duration* seconds. A body that breaks the grammar or a limit is a scrape that
        failed, as `miss` has it.
        """
        former = self._shape
        try:
            now, readings, difference = self._read(body, form, time_ns)
        except errors.TooLarge as error:
            samples = error.samples if isinstance(error, model.TooMany) else 0
            missed = self.miss(str(error), time_ns, duration, samples=samples)
            return replace(missed, samples=samples, too_large=True)
        except errors.Malformed as error:
            return self.miss(str(error), time_ns, duration)
        if former is None or self._sent.live is not former.template:
            difference = None  # a scrape that failed, or was not sent, lies between
        self._shape = now
        adapted = difference is not None and now is not former
        difference, marked = self._sent.turn(now.template, difference, time_ns)
        added = self._sent.count(now.template, difference, something=bool(body))
        kept = now.samples - now.filtered
        told = report.Report(
            up=True,
            duration=duration,
            samples=now.samples,
            kept=kept,
            series_added=added,
            body_bytes=len(body),
        )
        values = np.concatenate((readings.values, told.values(self._terms.extra)))
        now.template.fill(values, readings.times, time_ns)
        others, dropped = self._others(now, readings, time_ns)
        left_out = list(others.values()).count(None) if others else 0
        stale = difference.points if marked else 0
        return Outcome(
            payload=otlp.Encoded(now.template.filled(others) + marked),
            points=now.template.points - left_out + stale,
            samples=now.samples,
            series_added=added,
            stale=stale,
            duplicates=now.duplicates,
            dropped=dropped,
            known=now is former,
            error="",
            adapted=adapted,
            kept=kept,
            skipped=now.skipped,
            complaint=now.complaint,
        )

    def miss(
        self, why: str, time_ns: int, duration: float, body_bytes: int = 0, samples: int = 0
    ) -> Outcome:
        """Report a scrape that failed: ``up`` is 0, and what was there is marked stale, once.

        *body_bytes* is `report.TOO_LARGE` if that was the reason. *samples* is how many there were
        if these were too many, as Prometheus reports them.
        """
        # Series go on as whose they were: what target_info said holds until it says otherwise.
        live = self._sent.live
        origin = self._origin if live is None else live.origin
        empty = self._empty
        if empty is None or empty.origin is not origin:
            empty = self._empty = self._template_of_nothing(origin)
        difference, marked = self._sent.turn(empty, None, time_ns)
        self._newest.miss(time_ns // model.MILLISECOND if difference.points else None)
        told = report.Report(
            up=False,
            duration=duration,
            samples=samples,
            kept=0 if self._rules.prefixes or self._rules.without else samples,  # nobody has looked
            series_added=0,
            body_bytes=body_bytes,
        )
        empty.fill(told.values(self._terms.extra), np.empty(0, np.int64), time_ns)
        return _outcome(
            payload=otlp.Encoded(empty.filled() + marked),
            points=empty.points + difference.points,
            stale=difference.points,
            error=why,
        )

    def vanish(self, time_ns: int) -> Outcome:
        """Mark all series stale, those of the report included: the target is gone.

        Not for our own shutdown: the next agent will go on with the same series. If the markers
        were `refused`, the target is as it was, and may vanish again or come back.
        """
        difference, marked = self._sent.end(time_ns)
        self._shape = self._empty = None
        self._newest.miss(time_ns // model.MILLISECOND)
        stale = difference.points
        return _outcome(payload=otlp.Encoded(marked), points=stale, stale=stale, error="")

    def refused(self) -> None:
        """Forget that the last outcome was to be sent: what it marked has to be marked again."""
        self._sent.revert()
        self._newest.revert()

    def _read(
        self, body: bytes, form: model.Format, time_ns: int
    ) -> tuple[shape.Shape, series.Readings, staleness.Difference | None]:
        # The shape of the body, its numbers, and if it is known how its series differ from those of
        # the shape before.
        if form is model.Format.PROTOBUF:
            return self._read_protobuf(body, time_ns)
        if len(body) > model.LARGE:
            self._terms.limits.check_lines(body)
        found = lines.split(body, commented=form is model.Format.TEXT)
        former = self._shape
        if former is not None and former.form is form and former.layout is not None:
            readings = former.layout.read_lines(found)
            if readings is not None:
                readings = self._timed(readings)
                if self._same_faults(former, readings, time_ns):
                    return former, readings, staleness.NOTHING
            else:
                adapted = adapting.adapt(former, found, self._terms.limits, self._rules)
                if adapted and self._same_faults(adapted.shape, adapted.readings, time_ns):
                    return adapted.shape, adapted.readings, adapted.difference
        parse = openmetrics.parse if form is model.Format.OPEN_METRICS else text.parse
        exposition = parse(body, self._terms.limits, drop_lines=self._terms.drop_lines)
        return self._learn(exposition, found, time_ns)

    def _read_protobuf(
        self, body: bytes, time_ns: int
    ) -> tuple[shape.Shape, series.Readings, staleness.Difference | None]:
        if self._reader is None:
            self._reader = delimited.Reader(self._terms.limits, classic=self._rules.classic)
        exposition = self._reader.read(body)
        former = self._shape
        if (
            former is not None
            and former.exposition is not None
            and model.same_series(former.exposition, exposition)
        ):
            readings = self._timed(shape.readings_of(exposition))
            if self._same_faults(former, readings, time_ns):
                return former, readings, staleness.NOTHING
        return self._learn(exposition, None, time_ns)

    def _learn(
        self, exposition: model.Exposition, found: lines.Lines | None, time_ns: int
    ) -> tuple[shape.Shape, series.Readings, None]:
        learnt = shape.learn(
            exposition,
            found,
            self._origin,
            self._rules,
            time_ns,
            honor_timestamps=self._terms.honor_timestamps,
        )
        return learnt, self._timed(shape.readings_of(exposition)), None

    def _timed(self, readings: series.Readings) -> series.Readings:
        if self._terms.honor_timestamps:
            return readings
        return replace(readings, times=np.full_like(readings.times, model.UNTIMED))

    @staticmethod
    def _same_faults(known: shape.Shape, readings: series.Readings, time_ns: int) -> bool:
        # Points that come to make sense, or cease to, are rare enough to start over for.
        return known.checks.find(readings, time_ns // model.MILLISECOND) == known.faults

    def _others(
        self, now: shape.Shape, readings: series.Readings, time_ns: int
    ) -> tuple[dict[int, bytes | None], Mapping[translate.Drop, int]]:
        # The points of this scrape that are not as the template has them, and losses by reason.
        others: dict[int, bytes | None] = {}
        dropped = dict(now.dropped)
        for reason in now.faults.values():
            dropped[reason] = dropped.get(reason, 0) + 1
        if readings.exemplars:
            others |= exchanges.exemplified(now.template, readings.exemplars)
        if readings.natives:
            whole, unsent = exchanges.natives(now.template, readings, time_ns)
            others |= whole
            for reason, count in unsent.items():
                dropped[reason] = dropped.get(reason, 0) + count
        late, older = self._newest.sift(now.template, readings.times, time_ns // model.MILLISECOND)
        others |= late
        if older:
            dropped[translate.Drop.OUT_OF_ORDER] = older
        return others, dropped

    def _template_of_nothing(self, origin: metrics.Origin) -> template.Template:
        nothing = text.parse(b"", self._terms.limits)
        translation = translate.translate(nothing, self._rules)
        return template.Template.of(translation, origin, nothing.times, ())


def _outcome(*, payload: otlp.Encoded, points: int, stale: int, error: str) -> Outcome:
    # What there is to say where no sample came.
    return Outcome(
        payload=payload,
        points=points,
        samples=0,
        series_added=0,
        stale=stale,
        duplicates=0,
        dropped={},
        known=False,
        error=error,
    )
