"""The samples of an exposition, sorted into the metrics and points that they are parts of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from agent.exposition import drafts, grammar, model, native, numbers, relabelling, roles
from agent.exposition.roles import Part

_FOR_GOOD = frozenset((native.Unsent.GAUGE, native.Unsent.FRACTIONAL, native.Unsent.SCHEMA))
"""Why a native histogram is not sent whatever its numbers."""

_Rows: TypeAlias = Iterable[tuple[int, bytes, grammar.Labels]]


class Shape(NamedTuple):
    """What is the same for all points of a metric."""

    name: bytes
    type: bytes  # Prometheus' word
    family: bytes  # whose help and unit are the metric's
    scaled: bool = False  # native histograms with exponential buckets


@dataclass(slots=True, kw_only=True)
class Gathered:
    """All samples of an exposition; labels are those that are stored, sorted by name."""

    drafts: dict[Shape, drafts.Draft] = field(default_factory=dict)
    created: dict[bytes, dict[grammar.Labels, int]] = field(default_factory=dict)
    """The sample that says since when points count, by their family and labels."""
    natives: dict[bytes, set[grammar.Labels]] = field(default_factory=dict)
    """The labels of native histograms, by family."""
    unsupported: set[tuple[bytes, grammar.Labels]] = field(default_factory=set)
    """Points that OTLP has no type for: family and labels."""
    unsent: Counter[native.Unsent] = field(default_factory=Counter)
    """Native histograms that OTLP cannot express, whatever their numbers."""
    info: grammar.Labels | None = None  # what is said of the target, without what it adds itself
    duplicates: int = 0
    hidden: int = 0
    filtered: int = 0


@dataclass(slots=True)
class _Name:
    # What is known of all samples of one name.
    role: roles.Role
    chosen: bool = True  # by name
    draft: drafts.Draft | None = None
    seen: set[grammar.Labels] = field(default_factory=set)  # series without times of their own


class Gatherer:
    """Sorts samples into points; lives for one exposition."""

    __slots__ = (
        "_bounds", "_exposition", "_found", "_names", "_orphans", "_prefixes", "_relabelled",
        "_timed", "_unwanted",
    )  # fmt: skip

    def __init__(
        self,
        exposition: model.Exposition,
        relabelled: relabelling.Relabelled,
        *,
        prefixes: tuple[bytes, ...],
        without: Iterable[tuple[bytes, bytes]],
        reserved: Iterable[bytes],
    ) -> None:
        """Take what is exposed, and the rules of the target; see `translate.Rules`.

        Names in *reserved* are series without exposed labels that are there already.
        """
        self._exposition = exposition
        self._relabelled = relabelled
        self._prefixes = prefixes
        self._unwanted = frozenset(without)
        self._names: dict[bytes, _Name] = {}
        self._orphans: dict[bytes, _Name] = {}
        self._bounds: dict[bytes, float] = {}
        self._timed = (exposition.times != model.UNTIMED).tolist()
        self._found = Gathered()
        for name in reserved:
            self._name(name).seen.add(relabelled.own)

    def gather(self) -> Gathered:
        """Go through the samples, once."""
        names = self._names
        every = self._exposition.names, self._exposition.labels
        rows: _Rows = zip(range(len(every[0])), *every, strict=True)
        if self._prefixes or self._unwanted:
            rows = self._chosen(rows)
        for i, name, exposed in rows:
            known = names.get(name) or self._name(name)
            if known.role.part is Part.NUMBER:
                self._add_number(known, exposed, i)
            else:
                self._add_part(known, name, exposed, i)
        return self._found

    def _chosen(self, rows: _Rows) -> Iterator[tuple[int, bytes, grammar.Labels]]:
        unwanted = self._unwanted
        for row in rows:
            known = self._names.get(row[1]) or self._name(row[1])
            # Created timestamps are not series, so there is nothing to choose.
            if known.role.part is Part.CREATED or (known.chosen and unwanted.isdisjoint(row[2])):
                yield row
            else:
                self._found.filtered += 1

    def _name(self, name: bytes) -> _Name:
        found = roles.role(name, self._exposition.families, self._exposition.format)
        chosen = not self._prefixes or name.startswith(self._prefixes)
        known = self._names[name] = _Name(found, chosen)
        return known

    def _add_number(self, known: _Name, exposed: grammar.Labels, i: int) -> None:
        labels = self._relabelled[exposed]
        # One series may have several samples if each says when it was taken.
        if not self._timed[i]:
            if labels in known.seen:
                self._found.duplicates += 1
                return
            known.seen.add(labels)
        draft = known.draft
        if draft is None:
            draft = known.draft = self._draft(known.role)
        draft.singles.append((labels, i))

    def _add_part(self, known: _Name, name: bytes, exposed: grammar.Labels, i: int) -> None:
        match known.role.part:
            case Part.STEP | Part.SUM | Part.COUNT:
                self._add_to_group(known, name, exposed, i)
            case Part.CREATED:
                self._found.hidden += 1
                labels = self._relabelled[exposed]
                self._found.created.setdefault(known.role.family, {}).setdefault(labels, i)
            case Part.TARGET:
                self._describe_target(exposed)
            case Part.UNSUPPORTED:
                labels, _ = self._step(exposed, b"le")
                self._found.unsupported.add((known.role.family, labels))
            case _:
                self._add_native(known, name, exposed, i)

    def _add_to_group(self, known: _Name, name: bytes, exposed: grammar.Labels, i: int) -> None:
        role = known.role
        spot: drafts.Spot = role.part
        if role.part is Part.STEP:
            label = b"le" if role.type == b"histogram" else b"quantile"
            labels, spot = self._step(exposed, label)
            if math.isnan(spot):  # not a bucket, not a quantile: a series like any other
                self._add_orphan(known, name, exposed, i)
                return
        else:
            labels = self._relabelled[exposed]
        draft = known.draft
        if draft is None:
            draft = known.draft = self._draft(role)
        if not draft.add(labels, spot, i, self._timed):
            self._found.duplicates += 1

    def _add_orphan(self, known: _Name, name: bytes, exposed: grammar.Labels, i: int) -> None:
        orphans = self._orphans.get(name)
        if orphans is None:
            role = roles.Role(Part.NUMBER, name, name, roles.UNKNOWN)
            orphans = self._orphans[name] = _Name(role, seen=known.seen)
        self._add_number(orphans, exposed, i)

    def _add_native(self, known: _Name, name: bytes, exposed: grammar.Labels, i: int) -> None:
        histogram = self._exposition.natives.get(i)
        if histogram is None:  # a histogram has no series of its very name
            self._add_orphan(known, name, exposed, i)
            return
        labels = self._relabelled[exposed]
        if not self._timed[i]:
            if labels in known.seen:
                self._found.duplicates += 1
                return
            known.seen.add(labels)
        told = native.exponential(histogram)
        if isinstance(told, native.Unsent) and told in _FOR_GOOD:
            self._found.unsent[told] += 1
            return
        custom = histogram.schema == native.CUSTOM
        self._draft(known.role, scaled=not custom).natives.append((labels, i))
        self._found.natives.setdefault(known.role.family, set()).add(labels)

    def _describe_target(self, exposed: grammar.Labels) -> None:
        if self._found.info is not None:
            self._found.duplicates += 1
            return
        # What the target adds itself, its resource and its points have already.
        self._found.info = tuple(
            pair
            for pair in self._relabelled[exposed]
            if pair not in self._relabelled.own and pair[0] not in relabelling.IDENTITY
        )

    def _draft(self, role: roles.Role, *, scaled: bool = False) -> drafts.Draft:
        shape = Shape(role.metric, role.type, role.family, scaled)
        return self._found.drafts.setdefault(shape, drafts.Draft())

    def _step(self, exposed: grammar.Labels, label: bytes) -> tuple[grammar.Labels, float]:
        # The labels of the whole point, and the bound or quantile; NaN where there is none.
        if label in self._relabelled.reserved:  # the target's own
            labels = self._relabelled[exposed]
            return _without(labels, label), self._number(dict(labels).get(label, b""))
        if exposed and exposed[-1][0] == label:
            rest, bound = exposed[:-1], exposed[-1][1]
        else:
            rest, bound = _without(exposed, label), dict(exposed).get(label, b"")
        return self._relabelled[rest], self._number(bound)

    def _number(self, bound: bytes) -> float:
        known = self._bounds.get(bound)
        if known is None:
            try:
                known = numbers.number(bound)
            except ValueError:
                known = math.nan
            self._bounds[bound] = known
        return known


def _without(labels: grammar.Labels, label: bytes) -> grammar.Labels:
    return tuple([pair for pair in labels if pair[0] != label])
