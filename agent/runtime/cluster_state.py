"""What is known of the cluster, and how it is told: as requests of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, TypeAlias, assert_never, final

from agent.runtime import cluster_kinds, writing
from agent.runtime.cluster_facts import Facts
from agent.runtime.cluster_kinds import Kind
from agent.runtime.writing import Metric, Point
from common.config import input_names, shared
from common.kube import reflector
from common.wire import otlp, otlp_attributes

MAX_KNOWN: Final = 4096  # sets of points whose bytes are remembered, of some 500 bytes each

Told: TypeAlias = tuple[bytes, tuple[Point, ...]]
"""Entries of ``Resource.attributes`` as they are written, and the points of that resource."""

_one = otlp_attributes.attribute
_shared = lru_cache(maxsize=16384)(otlp_attributes.attribute)
_INPUT: Final = _one(input_names.ATTRIBUTE, input_names.RUNTIME)


@final
class State:
    """Objects by kind, those of the chosen namespaces; a kind is told only when it is complete."""

    def __init__(self, kinds: Iterable[Kind], namespaces: shared.Namespaces) -> None:
        self._kinds = {kind.resource: kind for kind in kinds}
        self._namespaces = namespaces
        self._known: dict[str, dict[str, Facts]] = {}

    @property
    def objects(self) -> Mapping[str, int]:
        """How many are known, by kind."""
        return {kind: len(self._known.get(kind, ())) for kind in self._kinds}

    @property
    def missing(self) -> Collection[str]:
        """The kinds of which no complete list has arrived yet."""
        return [kind for kind in self._kinds if kind not in self._known]

    def take(self, kind: str, change: reflector.Change[Facts]) -> None:
        """Note what happened to objects of *kind*."""
        match change:
            case reflector.Replaced(items=items):
                self._known[kind] = {
                    item.key: item for item in items if self._namespaces.take(item.namespace)
                }
            case reflector.Added(item=item) | reflector.Modified(item=item):
                if self._namespaces.take(item.namespace):
                    self._known[kind][item.key] = item
            case reflector.Deleted(item=item):
                self._known[kind].pop(item.key, None)
            case _ as never:
                assert_never(never)

    def told(self) -> Iterator[Told]:
        """Tell every object, and what is inside it, leaving out those without points.

        Objects may come and go meanwhile: each kind is told as it was when its turn came.
        """
        endpoints = _endpoints(self._known.get("endpointslices", {}).values())
        for kind in self._kinds.values():
            if not kind.keys or kind.resource not in self._known:
                continue
            for facts in tuple(self._known[kind.resource].values()):
                attributes = _attributes(kind.keys, facts.values, own=2) + _INPUT
                points = facts.points
                if kind.resource == "services":
                    points += endpoints.get((facts.namespace, facts.values[1]), ())
                if points:
                    yield attributes, points
                for part in facts.parts:
                    if part.points:
                        inner = _attributes(cluster_kinds.CONTAINER_KEYS, part.values, own=1)
                        yield attributes + inner, part.points


def pieces(
    told: Iterable[Told], *, version: str, time_ns: int, max_bytes: int
) -> Iterator[tuple[otlp.Encoded, int]]:
    """Write what is *told* as requests of at most *max_bytes*, each with its number of points.

    A resource that is larger than that by itself is a request by itself: the API server bounds it.
    """
    frames, size, total = list[bytes](), 0, 0
    # Equal points are mostly one object, and are written once: a third of the time. They are
    # kept beside what was written, so that no other object takes their identity.
    known = dict[int, tuple[tuple[Point, ...], bytes]]()
    for attributes, points in told:
        found = known.get(id(points))
        if found is None:
            if len(known) >= MAX_KNOWN:
                known.clear()
            written = writing.scoped(points, scope=(writing.SCOPE, version), time_ns=time_ns)
            found = known[id(points)] = (points, written)
        # A request is its frames, one after the other, so that it can be cut between any two.
        frame = writing.frame(attributes, found[1])
        if frames and size + len(frame) > max_bytes:
            yield otlp.Encoded(b"".join(frames)), total
            frames, size, total = [], 0, 0
        frames.append(frame)
        size += len(frame)
        total += len(points)
    if frames:
        yield otlp.Encoded(b"".join(frames)), total


def _attributes(keys: Iterable[str], values: Iterable[str], *, own: int) -> bytes:
    """Write attributes, those without a value left out; the first *own* are no other object's."""
    return b"".join(
        [
            _one(key, value) if i < own else _shared(key, value)
            for i, (key, value) in enumerate(zip(keys, values, strict=True))
            if value
        ]
    )


def _endpoints(slices: Iterable[Facts]) -> Mapping[tuple[str, str], tuple[Point, ...]]:
    """Add up slices by namespace and Service."""
    sums: dict[tuple[str, str], dict[tuple[Metric, tuple[tuple[str, str], ...]], float]] = {}
    for one in slices:
        of_service = sums.setdefault((one.namespace, one.values[1]), {})
        for point in one.points:
            place = point.metric, point.attributes
            of_service[place] = of_service.get(place, 0) + point.value
    return {
        service: tuple(
            [Point(metric, value, attributes) for (metric, attributes), value in found.items()]
        )
        for service, found in sums.items()
    }
