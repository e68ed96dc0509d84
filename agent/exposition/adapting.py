"""From the shape of a body to that of one that has a few lines more or fewer.

Learning a shape costs fifty times what using it does. A target whose series come and go would pay
that at every scrape, so what changed is found, learnt by itself, and put into what is known. All
that is not simple (metadata that changed, histograms, timestamps, a series spelt twice) is left to
learning: the result is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agent.exposition import (
    alignment,
    drafting,
    editing,
    lines,
    metrics,
    model,
    openmetrics,
    plan,
    points,
    series,
    staleness,
    template,
    text,
    translate,
)
from agent.exposition.shape import Shape, hash_of
from common.wire import errors

_MOST: Final = 4  # the part of the lines that may differ; beyond that learning costs no more
_PARSE: Final = {model.Format.TEXT: text.parse, model.Format.OPEN_METRICS: openmetrics.parse}
_END: Final = {model.Format.TEXT: b"\n", model.Format.OPEN_METRICS: b"\n# EOF\n"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adapted:
    """The shape of a body, its numbers, and how its series differ from those of the shape before."""

    shape: Shape
    readings: series.Readings
    difference: staleness.Difference


def adapt(
    old: Shape, found: lines.Lines, limits: model.Limits, rules: translate.Rules
) -> Adapted | None:
    """Return the shape of the text *found*, made from *old*; None if it has to be learnt.

    That is so, too, whenever anything is wrong with it: who learns says what.
    """
    layout, words = old.layout, old.words
    if layout is None or words is None or not _simple(old, layout):
        return None
    came = found.fingerprints()
    old_of = alignment.lines(alignment.runs(words, came), len(came))
    new_of = layout.confirm(found, old_of)
    if new_of is None:
        return None
    gone_lines, fresh = np.flatnonzero(new_of < 0), np.flatnonzero(old_of < 0)
    if old.form is model.Format.OPEN_METRICS and len(fresh) and fresh[-1] > _end(layout, new_of):
        return None  # nothing may follow the end
    if _MOST * (len(gone_lines) + len(fresh)) > len(came):
        return None
    exposition = _read(found, fresh, old, limits)
    if exposition is None:
        return None
    moved = layout.moved(found, new_of, fresh, exposition.value_at)
    if moved is None or 0 < limits.samples < len(moved.sample_lines):
        return None
    readings = moved.numbers(found)
    if readings is None or readings.exemplars:
        return None
    return _Change(old, layout, moved, new_of, fresh).apply(exposition, readings, rules, came)


def _simple(old: Shape, layout: series.Layout) -> bool:
    # What is asked of the shape for a change of lines to be a change of points.
    started = int(np.count_nonzero(old.template.plan.started != plan.NONE))
    return (
        layout.separate
        and started == old.hidden
        and not (old.faults or old.duplicates or old.dropped or old.skipped or old.info)
        and not len(layout.timed)
    )


def _end(layout: series.Layout, new_of: plan.Offsets) -> int:
    fixed = layout.fixed_lines
    return int(new_of[fixed[layout.sizes[fixed] > 0][-1]])


def _read(
    found: lines.Lines, fresh: plan.Offsets, old: Shape, limits: model.Limits
) -> model.Exposition | None:
    # The new lines as a text of their own; None unless each is a sample, whole and untimed.
    spans = zip(found.starts[fresh].tolist(), found.ends[fresh].tolist(), strict=True)
    written = [found.padded[start:end] for start, end in spans]
    try:
        read = _PARSE[old.form](b"\n".join(written) + _END[old.form], limits)
    except (errors.Malformed, errors.TooLarge):
        return None
    firsts = np.cumsum([0, *map(len, written)])[:-1] + np.arange(len(written))
    value_at = read.value_at
    if len(value_at) != len(written) or read.families or read.exemplars:
        return None
    ends = firsts + [len(line) for line in written]
    if (value_at < firsts).any() or (value_at >= ends).any():
        return None
    if (read.times != model.UNTIMED).any():
        return None
    return replace(read, families=dict(old.families), value_at=value_at - firsts)


class _Change:
    """One change of lines, as a change of points."""

    def __init__(
        self,
        old: Shape,
        layout: series.Layout,
        moved: series.Layout,
        new_of: plan.Offsets,
        fresh: plan.Offsets,
    ) -> None:
        self._old, self._layout, self._moved = old, layout, moved
        # Samples are numbered by the lines that they stand on.
        number = np.full(len(moved.sizes), plan.NONE, np.int64)
        number[moved.sample_lines] = np.arange(len(moved.sample_lines))
        self._count = len(moved.sample_lines)
        places = new_of[layout.sample_lines]
        self._samples = np.where(places < 0, plan.NONE, number[places])
        self._fresh = number[fresh]

    def apply(
        self,
        exposition: model.Exposition,
        readings: series.Readings,
        rules: translate.Rules,
        words: lines.Words,
    ) -> Adapted | None:
        old = self._old
        translation = translate.translate(exposition, rules)
        come = self._come(translation, len(rules.report))
        gone = self._gone(len(rules.report))
        if come is None or gone is None:
            return None
        draft = drafting.Draft()
        draft.write(replace(translation, metrics=come), ())
        before = _keys_of(old.template, gone)
        after = _drafted(draft)
        known = old.known.of(old.template)
        leaving = {hash_of(*item) for item in before.items()}
        coming = [hash_of(*item) for item in after.items()]
        if any(hashed in known and hashed not in leaving for hashed in coming):
            return None  # a series that is there already, perhaps spelt otherwise
        known -= leaving
        known.update(coming)
        reported = np.arange(len(rules.report))
        edited, moved = editing.edited(
            old.template,
            gone=gone.tolist(),
            draft=draft,
            samples=np.concatenate((self._samples, self._count + reported)),
            drafted=self._fresh,
            count=self._count,
        )
        lost = int(np.count_nonzero(self._samples < 0))
        since = int(np.count_nonzero(old.template.plan.started[gone] != plan.NONE))
        hidden = old.hidden - since + translation.hidden
        filtered = old.filtered - (lost - since - len(gone)) + translation.filtered
        shape = replace(
            old,
            layout=self._moved,
            words=words,
            template=edited,
            checks=old.checks.renumbered(self._samples, moved),
            samples=self._count - hidden,
            filtered=filtered,
            hidden=hidden,
        )
        difference = staleness.differ(before, after)
        return Adapted(shape=shape, readings=readings, difference=difference)

    def _come(
        self, translation: translate.Translation, reported: int
    ) -> tuple[translate.Metric, ...] | None:
        # The metrics of the new samples, without the report; None unless all are single series.
        if translation.duplicates or translation.dropped or translation.info:
            return None
        own = [metric for metric in translation.metrics if metric.scope == translate.OWN]
        others = translation.metrics[len(own) :]
        found = (*own[: len(own) - reported], *others)
        started = 0
        for metric in found:
            if metric.kind not in points.LONE:
                return None
            started += sum(point.started is not None for point in metric.points)
        return found if started == translation.hidden else None

    def _gone(self, reported: int) -> plan.Offsets | None:
        # The points whose samples are gone; None if one loses only a part of what it is made of.
        planned = self._old.template.plan
        lost = np.append(self._samples < 0, np.zeros(reported, np.bool_))
        dead = lost[planned.leaders]
        begun = planned.started != plan.NONE
        if (dead & ~planned.lone).any() or (lost[planned.started] & begun & ~dead).any():
            return None
        for rows, column in ((planned.sums, 1), (planned.quantiles, 2), (planned.buckets, 2)):
            if lost[rows[:, column]].any():
                return None
        return np.flatnonzero(dead)


def _keys_of(
    written: template.Template, chosen: plan.Offsets
) -> dict[template.Key, metrics.Wrapping]:
    # What `Template.tracked` says of some points, all of them single series.
    starts, ends = written.spans()
    planned, view = written.plan, written.view()
    found: dict[template.Key, metrics.Wrapping] = {}
    for metric, start, end, begun in zip(
        planned.metric_of[chosen].tolist(),
        starts[chosen].tolist(),
        ends[chosen].tolist(),
        planned.started[chosen].tolist(),
        strict=True,
    ):
        wrapping = planned.wrappings[metric]
        started = begun != plan.NONE
        behind = points.NUMBER_AT + 8 + points.START_SIZE * started
        payload = points.number(bytes(view[start + behind : end]), started=started)
        found[wrapping.name, True, payload, wrapping.scope] = wrapping
    return found


def _drafted(draft: drafting.Draft) -> dict[template.Key, metrics.Wrapping]:
    # The same of points that were just written.
    heads = iter(draft.heads)
    found: dict[template.Key, metrics.Wrapping] = {}
    for wrapping, chunks in zip(draft.wrappings, draft.groups, strict=True):
        for chunk in chunks:
            found[wrapping.name, True, chunk[next(heads) :], wrapping.scope] = wrapping
    return found
