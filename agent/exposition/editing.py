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
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    stay = len(order) - len(come.leaders)
    moved = np.full(len(was.leaders), plan.NONE, np.int64)
    moved[kept] = place[:stay]
    every = np.concatenate((np.flatnonzero(kept), np.arange(len(come.leaders)) + len(kept)))
    merged = _Merger(
        chosen=every.take(order),
        kept=kept,
        moved=moved,
        placed=place[stay:],
        samples=np.concatenate((samples, [plan.NONE], drafted)).astype(np.int32),
        behind=len(samples) + 1,
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
    chosen: plan.Offsets  # of each point: its number among all former points and then the new ones
    kept: npt.NDArray[np.bool_]
    moved: plan.Offsets  # where former points are now
    placed: plan.Offsets  # where the new ones are
    samples: plan.Indices  # new numbers of samples: of the former, `plan.NONE`, of the drafted
    behind: int  # where the drafted ones begin

    def column(self, old: plan.Column, new: plan.Column) -> plan.Column:
        return np.concatenate((old, new)).take(self.chosen)

    def numbers(self, old: plan.Indices, new: plan.Indices) -> plan.Indices:
        # `plan.NONE` comes to the entry before the drafted ones.
        former = np.where(old == plan.NONE, self.behind - 1, old)
        every = np.concatenate((former, new + self.behind))
        return self.samples.take(every.take(self.chosen))

    def rows(self, old: plan.Indices, new: plan.Indices, *samples: int) -> plan.Indices:
        if not len(old) and not len(new):
            return old
        old, new = old[self.kept[old[:, 0]]], new.copy()
        old[:, 0], new[:, 0] = self.moved[old[:, 0]], self.placed[new[:, 0]]
        for column in samples:
            former = np.where(old[:, column] == plan.NONE, self.behind - 1, old[:, column])
            old[:, column] = self.samples[former]
            new[:, column] = self.samples[new[:, column] + self.behind]
        return np.concatenate((old, new))
