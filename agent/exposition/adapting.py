"""From the shape of a body to that of one that has a few lines more or fewer.

Learning a shape costs between thirty and forty times what using it does. A target whose series come
and go would pay that at every scrape, so what changed is found, learnt by itself, and put into what
is known. All that is not simple (metadata that changed, histograms, timestamps, exemplars, a series
spelt twice) is left to learning: the result is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agent.exposition import (
    alignment,
    drafting,
    editing,
    grammar,
    keyed,
    lines,
    metrics,
    model,
    openmetrics,
    plan,
    points,
    relabelling,
    roles,
    series,
    staleness,
    template,
    text,
    translate,
)
from agent.exposition.shape import Shape
from common.wire import errors

_MOST: Final = 4  # the part of the lines that may differ; beyond that learning costs no more
_PARSE: Final = {model.Format.TEXT: text.parse, model.Format.OPEN_METRICS: openmetrics.parse}
_END: Final = {model.Format.TEXT: b"", model.Format.OPEN_METRICS: b"# EOF\n"}


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
    before = old.layout if isinstance(old.layout, keyed.Keyed) else old.words
    count = len(found.starts)
    if before is None or not _simple(old) or _MOST * abs(count - len(before.words)) > count:
        return None
    words = found.fingerprints()
    old_of = alignment.lines(alignment.runs(before.words, words), len(words))
    new_of = np.full(len(before.words), plan.NONE, np.int64)
    remaining = np.flatnonzero(old_of >= 0)
    new_of[old_of.take(remaining)] = remaining
    fixed = np.ones(len(new_of), np.bool_)
    fixed[before.sample_lines] = False
    places = new_of[fixed]
    fresh = np.flatnonzero(old_of < 0)
    differ = len(fresh) + int(np.count_nonzero(new_of < 0))
    if (places < 0).any() or _MOST * differ > len(words):
        return None
    if old.form is model.Format.OPEN_METRICS and len(fresh) and fresh[-1] > _end(found, places):
        return None  # nothing may follow the end
    has_value = np.ones(len(words), np.bool_)
    has_value[places] = False
    now = keyed.Keyed.of(found, np.flatnonzero(has_value).astype(np.int32))
    if now is None or 0 < limits.samples < len(now.sample_lines):
        return None
    return _Change(old, before, now, new_of, fresh).apply(found, limits, rules)


def _end(found: lines.Lines, places: plan.Offsets) -> int:
    # The last line that says something, of those without a value.
    says = found.ends[places] > found.starts[places]
    return int(places[says][-1])


def _simple(old: Shape) -> bool:
    # Whether a change of lines is a change of points.
    started = int(np.count_nonzero(old.template.plan.started != plan.NONE))
    complicated = old.faults or old.duplicates or old.dropped or old.skipped or old.info
    return started == old.hidden and not complicated and not old.template.timed.any()


def _read(
    found: lines.Lines, fresh: plan.Offsets, old: Shape, limits: model.Limits
) -> model.Exposition | None:
    # The new lines as a text of their own; None unless each is a sample, whole and untimed.
    spans = zip(found.starts[fresh].tolist(), found.ends[fresh].tolist(), strict=True)
    written = [found.padded[start : end + 1] for start, end in spans]  # newlines are in the margin
    try:
        read = _PARSE[old.form](b"".join(written) + _END[old.form], limits)
    except (errors.Malformed, errors.TooLarge):
        return None
    if len(read.value_at) != len(written) or read.families or read.exemplars:
        return None
    if roles.TARGET in read.names:  # neither a point nor left out, see `shape`
        return None
    # The value is the last word of its line: no timestamp follows, nor a blank.
    firsts = np.cumsum([0, *map(len, written)])[:-1]
    if (read.value_at != firsts + (found.keys() - found.starts)[fresh]).any():
        return None
    return replace(read, families=dict(old.families))


class _Change:
    """One change of lines, as a change of points."""

    def __init__(
        self,
        old: Shape,
        before: keyed.Keyed,
        now: keyed.Keyed,
        new_of: plan.Offsets,
        fresh: plan.Offsets,
    ) -> None:
        self._old, self._now, self._fresh = old, now, fresh
        # Samples are numbered by the lines that they stand on.
        self._number = np.full(len(now.words), plan.NONE, np.int64)
        self._number[now.sample_lines] = np.arange(len(now.sample_lines))
        places = new_of[before.sample_lines]
        self._samples = np.where(places < 0, plan.NONE, self._number[places])

    def apply(
        self, found: lines.Lines, limits: model.Limits, rules: translate.Rules
    ) -> Adapted | None:
        """Return what comes of it, unless that has to be learnt."""
        exposition = _read(found, self._fresh, self._old, limits)
        readings = self._now.numbers(found)
        if exposition is None or readings is None:
            return None
        come = _written(exposition, self._old.template.plan, rules) or _translated(
            exposition, rules
        )
        if come is None or (shaped := self._edit(come, rules)) is None:
            return None
        shape = replace(shaped[0], layout=self._now, words=None)
        return Adapted(shape=shape, readings=readings, difference=shaped[1])

    def _edit(
        self, come: _Come, rules: translate.Rules
    ) -> tuple[Shape, staleness.Difference] | None:
        # The shape with other points, and how these differ.
        old, samples, drafted = self._old, self._samples, self._number[self._fresh]
        gone = _gone(old.template.plan, samples, len(rules.report))
        if gone is None:
            return None
        draft = come.draft
        before, after = _leaving(old.template, gone), _coming(draft)
        known = old.known.of(old.template)
        if len(after) < len(draft.leaders):
            return None  # one of the new series is there twice
        leaving, coming = set(map(hash, before)), set(map(hash, after))
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
        hidden = old.hidden - since + come.hidden
        silent = int(np.count_nonzero(lost)) - since - len(gone)  # rules had left them out
        shape = replace(
            old,
            template=edited,
            checks=old.checks.renumbered(samples, moved),
            samples=count - hidden,
            filtered=old.filtered - silent + come.filtered,
            hidden=hidden,
        )
        return shape, staleness.differ_singly(before, after)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Come:
    # The points of new samples.
    draft: drafting.Draft
    hidden: int = 0
    filtered: int = 0


def _written(
    exposition: model.Exposition, planned: plan.Plan, rules: translate.Rules
) -> _Come | None:
    # The short way: all are single series of metrics that there are already, with plain labels.
    if rules.without or rules.honor_labels:
        return None
    metric_of = {
        wrapping.name: wrapping
        for wrapping in planned.wrappings
        if wrapping.kind in points.LONE and wrapping.scope == translate.OWN
    }
    single = {
        name
        for name in set(exposition.names)
        if roles.role(name, exposition.families, exposition.format).part is roles.Part.NUMBER
    }
    relabelled = relabelling.Relabelled(rules.labels)
    found: dict[metrics.Wrapping, list[tuple[grammar.Labels, int]]] = {}
    for sample, (name, exposed) in enumerate(zip(exposition.names, exposition.labels, strict=True)):
        wrapping = metric_of.get(name)
        # Buckets without bounds are single series, too, called as those that have them.
        if wrapping is None or name not in single:
            return None
        found.setdefault(wrapping, []).append((relabelled[exposed], sample))
    reported = {name for name, _ in rules.report}
    if relabelled.scoped or not reported.isdisjoint(wrapping.name for wrapping in found):
        return None
    draft = drafting.Draft()
    for wrapping, those in found.items():
        draft.add(wrapping, those)
    return _Come(draft=draft)


def _translated(exposition: model.Exposition, rules: translate.Rules) -> _Come | None:
    # The long way, but for the report; None unless all are single series.
    translation = translate.translate(exposition, rules)
    if translation.duplicates or translation.dropped or translation.info:
        return None
    own = [metric for metric in translation.metrics if metric.scope == translate.OWN]
    others = translation.metrics[len(own) :]
    found = (*own[: len(own) - len(rules.report)], *others)
    started = 0
    for metric in found:
        if metric.kind not in points.LONE:
            return None
        started += sum(point.started is not None for point in metric.points)
    if started != translation.hidden:
        return None
    draft = drafting.Draft()
    draft.write(replace(translation, metrics=found), ())
    return _Come(draft=draft, hidden=translation.hidden, filtered=translation.filtered)


def _gone(planned: plan.Plan, samples: plan.Offsets, reported: int) -> plan.Offsets | None:
    # The points whose samples are gone; None if one loses only a part of what it is made of.
    lost = np.append(samples < 0, np.zeros(reported, np.bool_))
    dead = lost[planned.leaders]
    begun = planned.started != plan.NONE
    # What says since when goes with what it says it of.
    if (dead & ~planned.lone).any() or ((lost[planned.started] != dead) & begun).any():
        return None
    for rows, column in ((planned.sums, 1), (planned.quantiles, 2), (planned.buckets, 2)):
        if lost[rows[:, column]].any():
            return None
    return np.flatnonzero(dead)


def _leaving(
    written: template.Template, chosen: plan.Offsets
) -> dict[staleness.Single, tuple[metrics.Wrapping, bytes]]:
    # The series of some points, all of them single, and what `Template.tracked` says of these.
    starts, ends = written.spans()
    planned, view = written.plan, written.view()
    found: dict[staleness.Single, tuple[metrics.Wrapping, bytes]] = {}
    for metric, start, end, begun in zip(
        planned.metric_of[chosen].tolist(),
        starts[chosen].tolist(),
        ends[chosen].tolist(),
        planned.started[chosen].tolist(),
        strict=True,
    ):
        wrapping = planned.wrappings[metric]
        started = begun != plan.NONE
        encoded = bytes(view[start + points.NUMBER_AT + 8 + points.START_SIZE * started : end])
        whole = (wrapping, points.number(encoded, started=started))
        found[wrapping.name, encoded, wrapping.scope] = whole
    return found


def _coming(draft: drafting.Draft) -> set[staleness.Single]:
    # The series of points that were just written.
    heads = iter(draft.heads)
    return {
        (wrapping.name, points.identity(chunk[next(heads) :]), wrapping.scope)
        for wrapping, chunks in zip(draft.wrappings, draft.groups, strict=True)
        for chunk in chunks
    }
