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
    """The shape of a body, its numbers, and how its series differ from those before."""

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
    fresh = np.flatnonzero(old_of < 0)
    if not _little(old, new_of, fresh):
        return None
    return _Change(old, layout, new_of, fresh).apply(found, came, limits, rules)


def _little(old: Shape, new_of: plan.Offsets, fresh: plan.Offsets) -> bool:
    # Whether few enough lines are gone or new, and the new ones stand before the end.
    layout = old.layout
    if layout is not None and old.form is model.Format.OPEN_METRICS and len(fresh):
        fixed = layout.fixed_lines
        if fresh[-1] > new_of[fixed[layout.sizes[fixed] > 0][-1]]:
            return False
    differ = len(fresh) + int(np.count_nonzero(new_of < 0))
    return _MOST * differ <= len(new_of)


def _simple(old: Shape, layout: series.Layout) -> bool:
    # What is asked of the shape for a change of lines to be a change of points.
    started = int(np.count_nonzero(old.template.plan.started != plan.NONE))
    return (
        layout.separate
        and started == old.hidden
        and not (old.faults or old.duplicates or old.dropped or old.skipped or old.info)
        and not len(layout.timed)
    )


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
        self, old: Shape, layout: series.Layout, new_of: plan.Offsets, fresh: plan.Offsets
    ) -> None:
        self._old, self._layout, self._new_of, self._fresh = old, layout, new_of, fresh

    def apply(
        self,
        found: lines.Lines,
        words: lines.Words,
        limits: model.Limits,
        rules: translate.Rules,
    ) -> Adapted | None:
        """Return what comes of it, unless that has to be learnt."""
        exposition = _read(found, self._fresh, self._old, limits)
        if exposition is None:
            return None
        moved = self._layout.moved(found, self._new_of, self._fresh, exposition.value_at)
        if moved is None or 0 < limits.samples < len(moved.sample_lines):
            return None
        readings = moved.numbers(found)
        translation = translate.translate(exposition, rules)
        come = _come(translation, len(rules.report))
        if readings is None or come is None:
            return None
        # Samples are numbered by the lines that they stand on.
        number = np.full(len(moved.sizes), plan.NONE, np.int64)
        number[moved.sample_lines] = np.arange(len(moved.sample_lines))
        places = self._new_of[self._layout.sample_lines]
        samples = np.where(places < 0, plan.NONE, number[places])
        shaped = self._edit(replace(translation, metrics=come), samples, number[self._fresh], rules)
        if shaped is None:
            return None
        shape, difference = shaped
        shape = replace(shape, layout=moved, words=words)
        return Adapted(shape=shape, readings=readings, difference=difference)

    def _edit(
        self,
        translation: translate.Translation,
        samples: plan.Offsets,
        drafted: plan.Offsets,
        rules: translate.Rules,
    ) -> tuple[Shape, staleness.Difference] | None:
        # The shape with other points, and how these differ.
        old = self._old
        gone = _gone(old.template.plan, samples, len(rules.report))
        if gone is None:
            return None
        draft = drafting.Draft()
        draft.write(translation, ())
        before, after = _keys_of(old.template, gone), _drafted(draft)
        known = old.known.of(old.template)
        leaving = {hash_of(*item) for item in before.items()}
        coming = {hash_of(*item) for item in after.items()}
        if not known.isdisjoint(coming - leaving):
            return None  # a series that is there already, perhaps spelt otherwise
        known -= leaving
        known |= coming
        lost = samples < 0
        count = len(samples) - int(np.count_nonzero(lost)) + len(drafted)
        edited, moved = editing.edited(
            old.template,
            gone=gone.tolist(),
            draft=draft,
            samples=np.concatenate((samples, count + np.arange(len(rules.report)))),
            drafted=drafted,
            count=count,
        )
        since = int(np.count_nonzero(old.template.plan.started[gone] != plan.NONE))
        hidden = old.hidden - since + translation.hidden
        silent = int(np.count_nonzero(lost)) - since - len(gone)  # rules had left them out
        shape = replace(
            old,
            template=edited,
            checks=old.checks.renumbered(samples, moved),
            samples=count - hidden,
            filtered=old.filtered - silent + translation.filtered,
            hidden=hidden,
        )
        return shape, staleness.differ(before, after)


def _come(translation: translate.Translation, reported: int) -> tuple[translate.Metric, ...] | None:
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


def _gone(planned: plan.Plan, samples: plan.Offsets, reported: int) -> plan.Offsets | None:
    # The points whose samples are gone; None if one loses only a part of what it is made of.
    lost = np.append(samples < 0, np.zeros(reported, np.bool_))
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
