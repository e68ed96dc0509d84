"""What was there in the last scrape and is no more: the series to be marked stale."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from agent.exposition import metrics, plan, points, template, translate
from common.wire import otlp

Identity: TypeAlias = tuple[points.Identity, translate.Scope]
Single: TypeAlias = tuple[bytes, bytes, translate.Scope]
"""A single series: the name of its metric, its attributes, encoded, and its scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How what is sent now differs from what was sent before."""

    added: int  # series that are new
    vanished: tuple[tuple[metrics.Wrapping, bytes], ...]  # whole points, numbers still 0
    orphaned: tuple[Identity, ...]  # series gone from points that live on

    @property
    def points(self) -> int:
        """Return how many points `markers` will have."""
        return len(self.vanished) + len(self.orphaned)


NOTHING = Difference(added=0, vanished=(), orphaned=())
_UNKNOWN = b"unknown"


def between(
    old: template.Template | None, new: template.Template | None, *, timed: bool = False
) -> Difference:
    """Compare the series of two templates of one origin; None has none.

    A series counts as the same when name and labels are: its type, its help and the spelling of its
    labels may change. A bucket that leaves a histogram is an orphan: marking the whole histogram
    would mark the buckets that stay. *timed* includes series with timestamps of their own.
    """
    if old is new:
        return NOTHING
    if old is None or new is None:
        gone = old.tracked(timed=timed) if old is not None else {}
        return Difference(
            added=new.series if new is not None else 0,
            vanished=tuple((wrapping, payload) for (_, _, payload, _), wrapping in gone.items()),
            orphaned=(),
        )
    before, after = old.tracked(timed=timed), new.tracked(timed=timed)
    return differ(
        {key: wrapping for key, wrapping in before.items() if key not in after},
        {key: wrapping for key, wrapping in after.items() if key not in before},
    )


def differ(
    gone: Mapping[template.Key, metrics.Wrapping], come: Mapping[template.Key, metrics.Wrapping]
) -> Difference:
    """Say what it means that the points *gone* are no more, and those that have *come* are new.

    What is marked comes in the order of *gone*, so that equal scrapes make equal bytes.
    """
    appeared = {identity for key, wrapping in come.items() for identity in _series(key, wrapping)}
    vanished, orphaned, returned = [], [], 0
    for key, wrapping in gone.items():
        identities = _series(key, wrapping)
        gone_for_good = [identity for identity in identities if identity not in appeared]
        returned += len(identities) - len(gone_for_good)
        if len(gone_for_good) == len(identities):
            vanished.append((wrapping, key[2]))
        else:
            orphaned += gone_for_good
    return Difference(
        added=len(appeared) - returned, vanished=tuple(vanished), orphaned=tuple(orphaned)
    )


def differ_singly(
    gone: Mapping[Single, tuple[metrics.Wrapping, bytes]], come: Collection[Single]
) -> Difference:
    """Do what `differ` does where all points, in *gone* with their bytes, are single series."""
    vanished = tuple(point for single, point in gone.items() if single not in come)
    return Difference(added=len(come) - len(gone) + len(vanished), vanished=vanished, orphaned=())


def markers(difference: Difference, origin: metrics.Origin, time_ns: int) -> otlp.Encoded:
    """Write a request that marks the vanished series at *time_ns*: points with NO_RECORDED_VALUE.

    Histograms keep their bounds and summaries their quantiles, so that each of their series can be
    marked downstream. Nothing vanished, nothing written: the request is empty.
    """
    if not difference.points:
        return otlp.Encoded(b"")
    groups: dict[metrics.Wrapping, list[plan.Piece]] = {}
    for wrapping, payload in difference.vanished:
        marker = points.stale(wrapping.kind, payload, time_ns)
        groups.setdefault(wrapping, []).extend((metrics.point_head(len(marker)), marker))
    for (name, encoded), scope in difference.orphaned:
        wrapping = metrics.Wrapping.of(name, translate.Kind.GAUGE, _UNKNOWN, b"", scope=scope)
        marker = points.stale_number(encoded, time_ns)
        group = groups.setdefault(wrapping, [])
        group += (metrics.point_head(len(marker)), marker)
    # The metrics of one scope side by side; sorting keeps the order within.
    order = {scope: i for i, scope in enumerate(dict.fromkeys(w.scope for w in groups))}
    wrappings = sorted(groups, key=lambda wrapping: order[wrapping.scope])
    body, _ = plan.assemble(origin, wrappings, [groups[wrapping] for wrapping in wrappings])
    return otlp.Encoded(body)


def _series(key: template.Key, wrapping: metrics.Wrapping) -> list[Identity]:
    name, _, payload, scope = key
    return [(i, scope) for i in points.identities(name, wrapping.kind, payload)]
