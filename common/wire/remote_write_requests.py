"""Series gathered from one body, by family, and bound into requests of a bounded size.

A family is what has one MetricMetadata: all series called ``foo``, or ``foo_bucket``, ``foo_sum``
and ``foo_count`` of the histogram foo. The series of a point travel in one request, its family's
metadata with it; the samples of a series are in time order, within a request and from one to the
next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, final

from common.wire import remote_write_parts, remote_write_series
from common.wire.remote_write_exemplars import Spelt
from common.wire.remote_write_parts import Composite, Native, Part
from common.wire.remote_write_series import Sample
from common.wire.remote_write_terms import Drop

_SUFFIXES: Final = ("_bucket", "_sum", "_count")  # of a histogram's or a summary's series


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An encoded ``prometheus.WriteRequest``, not compressed."""

    body: bytes | bytearray  # whichever it was made as; a copy of megabytes is worth avoiding
    points: int
    """OTLP data points it carries; 0 if there is only a ``target_info`` in it."""
    samples: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What became of a body."""

    requests: tuple[Request, ...]
    """To be sent in this order: later ones may continue series of earlier ones."""
    dropped: Mapping[Drop, int]
    """Points in no request, by reason; reasons without points are absent."""


@dataclass(slots=True)
class Family:
    """Everything called by one name.

    Whoever adds a point to *singles* looks first whether its head is there already, and then adds
    to *repeated*: the loop over number points does so itself, a call would cost it a third.
    """

    name: str
    metadata: bytes
    singles: dict[bytes, bytes] = field(default_factory=dict)
    """Points of one series: what follows the head, value and stamp."""
    repeated: dict[bytes, list[Sample]] = field(default_factory=dict)
    """Further samples by head, in any order; and those whose stamp does not fit behind a head."""
    exemplars: dict[bytes, list[Spelt]] = field(default_factory=dict)
    """Of the points in *singles* and *repeated*, by head."""
    composites: dict[bytes, list[Composite]] = field(default_factory=dict)
    """By the head of ``_count``, which tells the labels that all their series share."""
    natives: dict[bytes, list[Native]] = field(default_factory=dict)
    """Native histograms by head."""
    extras: list[Part] = field(default_factory=list)

    def composite_heads(self) -> set[bytes]:
        """Return the heads of all series of `composites`."""
        points = chain.from_iterable(self.composites.values())
        return set(chain.from_iterable(point.heads for point in points))


class Sheaf:
    """The series of one body."""

    __slots__ = ("_families", "duplicates", "exemplars_dropped")

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self.duplicates = 0
        """Points that `bind` left out: their series has a later point of the same millisecond."""
        self.exemplars_dropped = 0
        """Exemplars that `bind` left out: their point was, or they do not fit beside it."""

    def family(self, name: str, metadata: bytes) -> Family:
        """Return the family called *name*; the first *metadata* wins."""
        found = self._families.get(name)
        if found is None:
            found = self._families[name] = Family(name, metadata)
        return found

    def heads(self) -> set[bytes]:
        """Return the heads of all series gathered so far, but for those of ``extras``."""
        found: set[bytes] = set()
        for family in self._families.values():
            found.update(family.singles, family.repeated, family.composite_heads(), family.natives)
        return found

    def bind(self, max_bytes: int) -> tuple[Request, ...]:
        """Return requests of at most *max_bytes*; a point that alone exceeds them is sent alone.

        To be called once, when everything has been gathered.
        """
        families = self._families.values()
        for family in families:
            if family.composites:
                self._settle_composites(family, max_bytes)
            if family.natives:
                self._settle_natives(family, max_bytes)
        for family in families:
            if family.repeated or family.exemplars:
                self._settle_repeated(family, max_bytes)
        filled = [family for family in families if family.singles or family.extras]
        if sum(map(_size, filled)) <= max_bytes:
            return (_whole(filled),) if filled else ()
        return tuple(_cut(filled, max_bytes))

    def _settle_composites(self, family: Family, max_bytes: int) -> None:
        """Make parts of histograms and summaries."""
        # A gauge may be called like a histogram's series. Both in one request would make a
        # backend refuse all of it, and of the two the gauge is the one that is spelt out.
        names = [f"{family.name}{suffix}" for suffix in _SUFFIXES]
        rivals = [self._families[name] for name in names if name in self._families]
        taken: list[Collection[bytes]] = [
            heads
            for rival in (family, *rivals)
            for heads in (rival.singles, rival.repeated)
            if heads
        ]
        taken += [rival.composite_heads() for rival in rivals if rival.composites]
        for points in family.composites.values():
            kept = {point.milliseconds: point for point in points}
            if taken and any(head in d for p in points for head in p.heads for d in taken):
                kept = {}
            self.duplicates += len(points) - len(kept)
            given = sum([point.exemplar_count for point in points if point.exemplars])
            self.exemplars_dropped += given
            if kept:
                ordered = [kept[ms] for ms in sorted(kept)]
                parts, left_out = remote_write_parts.of_composites(
                    ordered, max_bytes - len(family.metadata)
                )
                family.extras += parts
                if given:
                    sent = sum([point.exemplar_count for point in ordered])
                    self.exemplars_dropped += left_out - sent

    def _settle_natives(self, family: Family, max_bytes: int) -> None:
        """Make parts of native histograms."""
        # No series may have both samples and histograms, and the samples are there already.
        names = {family.name, *[family.name.removesuffix(end) for end in _SUFFIXES]}
        rivals = [self._families[name] for name in names if name in self._families]
        taken: list[Collection[bytes]] = [family.singles, family.repeated]
        taken += [rival.composite_heads() for rival in rivals if rival.composites]
        for head, points in family.natives.items():
            kept = {point.milliseconds: point for point in points}
            if any(head in heads for heads in taken):
                kept = {}
            ordered = [kept[ms] for ms in sorted(kept)]
            self.duplicates += len(points) - len(kept)
            self.exemplars_dropped += sum([len(point.exemplars) for point in points])
            if kept:
                parts, left_out = remote_write_parts.of_natives(
                    head, ordered, max_bytes - len(family.metadata)
                )
                family.extras += parts
                sent = sum([len(point.exemplars) for point in ordered])
                self.exemplars_dropped += left_out - sent

    def _settle_repeated(self, family: Family, max_bytes: int) -> None:
        """Make parts of the series that have several samples, one at an unusual time, exemplars."""
        for head in family.exemplars:
            family.repeated.setdefault(head, [])
        for head, samples in family.repeated.items():
            first = family.singles.pop(head, None)
            if first is not None:
                samples.insert(0, remote_write_series.read_sample(first))
            kept = dict(samples)
            self.duplicates += len(samples) - len(kept)
            parts, left_out = remote_write_parts.of_samples(
                head,
                sorted(kept.items()),
                family.exemplars.get(head, ()),
                max_bytes - len(family.metadata),
            )
            family.extras += parts
            self.exemplars_dropped += left_out


def _size(family: Family) -> int:
    singles = sum(map(len, family.singles)) + sum(map(len, family.singles.values()))
    return len(family.metadata) + singles + sum([len(part) for part, _, _ in family.extras])


def _whole(families: Sequence[Family]) -> Request:
    """Bind everything into one request: joins only, nothing is looked at one by one."""
    pieces: list[bytes] = []
    points = samples = 0
    for family in families:
        pieces += chain.from_iterable(family.singles.items())
        points += len(family.singles)
        samples += len(family.singles)
        for part, carried, sampled in family.extras:
            pieces.append(part)
            points += carried
            samples += sampled
        pieces.append(family.metadata)
    return Request(body=b"".join(pieces), points=points, samples=samples)


def _cut(families: Sequence[Family], max_bytes: int) -> Iterator[Request]:
    """Fill one request after the other, in order."""
    pieces: list[bytes] = []
    size = points = samples = 0
    for family in families:
        announced = False  # in the request that is being filled
        singles = ((head + sample, 1, 1) for head, sample in family.singles.items())
        for part, carried, sampled in chain(singles, family.extras):
            grows = len(part) + (0 if announced else len(family.metadata))
            if pieces and size + grows > max_bytes:
                yield Request(body=b"".join(pieces), points=points, samples=samples)
                pieces, size, points, samples = [], 0, 0, 0
                announced, grows = False, len(part) + len(family.metadata)
            if not announced:
                pieces.append(family.metadata)
                announced = True
            pieces.append(part)
            size, points, samples = size + grows, points + carried, samples + sampled
    yield Request(body=b"".join(pieces), points=points, samples=samples)
