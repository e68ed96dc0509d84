"""What was there in the last scrape and is no more: the series to be marked stale."""

from __future__ import annotations

from dataclasses import dataclass

from agent.exposition import metrics, points, template, translate
from common.wire import otlp


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How what is sent now differs from what was sent before."""

    added: int  # series that are new
    vanished: tuple[tuple[metrics.Wrapping, bytes], ...]  # whole points, numbers still 0
    orphaned: tuple[points.Identity, ...]  # series gone from points that live on

    @property
    def points(self) -> int:
        """Return how many points `markers` will have."""
        return len(self.vanished) + len(self.orphaned)


NOTHING = Difference(added=0, vanished=(), orphaned=())


def between(old: template.Template | None, new: template.Template | None) -> Difference:
    """Compare the series of two templates; None has none.

    A series counts as the same when name and labels are: its type, its help and the spelling of its
    labels may change. A bucket that leaves a histogram is an orphan: marking the whole histogram
    would mark the buckets that stay.
    """
    if old is new:
        return NOTHING
    if old is None or new is None:
        gone = old.tracked() if old is not None else {}
        return Difference(
            added=new.series if new is not None else 0,
            vanished=tuple((wrapping, payload) for (_, _, payload), wrapping in gone.items()),
            orphaned=(),
        )
    before, after = old.tracked(), new.tracked()
    appeared = {
        identity
        for key in after.keys() - before.keys()
        for identity in points.identities(key[0], after[key].kind, key[2])
    }
    vanished, orphaned, returned = [], [], 0
    # In the order of the old template, so that equal scrapes make equal bytes.
    for key, wrapping in before.items():
        if key in after:
            continue
        identities = points.identities(key[0], wrapping.kind, key[2])
        gone_for_good = [identity for identity in identities if identity not in appeared]
        returned += len(identities) - len(gone_for_good)
        if len(gone_for_good) == len(identities):
            vanished.append((wrapping, key[2]))
        else:
            orphaned += gone_for_good
    return Difference(
        added=len(appeared) - returned, vanished=tuple(vanished), orphaned=tuple(orphaned)
    )


def markers(difference: Difference, origin: metrics.Origin, time_ns: int) -> otlp.Encoded:
    """Write a request that marks the vanished series at *time_ns*: points with NO_RECORDED_VALUE.

    Histograms keep their bounds and summaries their quantiles, so that each of their series can be
    marked downstream. Nothing vanished, nothing written: the request is empty.
    """
    if not difference.points:
        return otlp.Encoded(b"")
    groups: dict[metrics.Wrapping, list[bytes]] = {}
    for wrapping, payload in difference.vanished:
        marker = points.stale(wrapping.kind, payload, time_ns)
        groups.setdefault(wrapping, []).append(marker)
    for name, encoded in difference.orphaned:
        wrapping = metrics.Wrapping.of(name, translate.Kind.GAUGE, b"unknown", b"")
        groups.setdefault(wrapping, []).append(points.stale_number(encoded, time_ns))
    return origin.request(b"".join(metric.metric(group) for metric, group in groups.items()))
