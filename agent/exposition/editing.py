"""A template with some points fewer and some more: what is new is written, the rest is moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

from agent.exposition import drafting, plan, template, weaving


def edited(
    old: template.Template,
    *,
    gone: Sequence[int],
    draft: drafting.Draft,
    samples: plan.Offsets,
    drafted: plan.Offsets,
    count: int,
) -> tuple[template.Template, plan.Offsets]:
    """Return *old* without the points *gone* (ascending), with those of *draft* behind the others.

    Numbers of samples change with the exposition: *samples* gives for each former one, those of
    the report included, its new number, and *drafted* for each sample that *draft* speaks of.
    *count* is how many the exposition has now; none of them carries a timestamp. Returns, too,
    where each former point is now, or `plan.NONE`.
    """
    was = old.plan
    wrappings = {wrapping: i for i, wrapping in enumerate(was.wrappings)}
    metric_of_come = [
        wrappings.setdefault(wrapping, len(wrappings)) for wrapping in draft.wrappings
    ]
    come = draft.plan()
    kept = np.ones(len(was.leaders), np.bool_)
    kept[list(gone)] = False
    metric_of = np.concatenate((
        was.metric_of[kept], np.repeat(np.array(metric_of_come, np.int64), come.counts)
    ))  # fmt: skip
    order = np.argsort(metric_of, kind="stable")
    # Where the points have gone to, the former ones and then the new.
    moved = np.full(len(was.leaders), plan.NONE, np.int64)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    stay = len(order) - len(come.leaders)
    moved[kept] = place[:stay]
    merged = _Merger(
        kept=kept,
        order=order,
        moved=moved,
        placed=place[stay:],
        samples=np.append(samples, plan.NONE),
        drafted=np.append(drafted, plan.NONE),
    )
    counts = np.bincount(metric_of, minlength=len(wrappings))
    now = plan.Plan(
        wrappings=tuple(compress(wrappings, counts)),
        counts=counts[counts > 0].astype(np.int32),
        heads=merged.column(was.heads, come.heads),
        sizes=merged.column(was.sizes, come.sizes),
        leaders=merged.numbers(was.leaders, come.leaders),
        started=merged.numbers(was.started, come.started),
        sums=merged.rows(was.sums, come.sums, 1),
        quantiles=merged.rows(was.quantiles, come.quantiles, 2),
        buckets=merged.rows(was.buckets, come.buckets, 2, 3),
    )
    groups = weaving.pieces(old, dict.fromkeys(gone))
    groups += [[] for _ in range(len(wrappings) - len(groups))]
    for metric, chunks in zip(metric_of_come, draft.groups, strict=True):
        groups[metric] += chunks
    body, firsts = plan.assemble(old.origin, now.wrappings, list(compress(groups, counts)))
    return template.Template(now, old.origin, body, firsts, np.zeros(count, np.bool_)), moved


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Merger:
    # Columns of points that stay and of points that are new, in the new order.
    kept: npt.NDArray[np.bool_]
    order: plan.Offsets
    moved: plan.Offsets  # where former points are now
    placed: plan.Offsets  # where the new ones are
    samples: plan.Offsets  # the last entry is `plan.NONE`, and found by that index
    drafted: plan.Offsets  # as above

    def column(self, old: plan.Column, new: plan.Column) -> plan.Column:
        return np.concatenate((old[self.kept], new))[self.order]

    def numbers(self, old: plan.Indices, new: plan.Indices) -> plan.Indices:
        renumbered = self.samples[old[self.kept]], self.drafted[new]
        return np.concatenate(renumbered)[self.order].astype(np.int32)

    def rows(self, old: plan.Indices, new: plan.Indices, *samples: int) -> plan.Indices:
        if not len(old) and not len(new):
            return old
        old, new = old[self.kept[old[:, 0]]], new.copy()
        old[:, 0], new[:, 0] = self.moved[old[:, 0]], self.placed[new[:, 0]]
        for column in samples:
            old[:, column] = self.samples[old[:, column]]
            new[:, column] = self.drafted[new[:, column]]
        return np.concatenate((old, new))
