"""Which bytes of a known shape are kept under a choice of metrics: found once, then only copied.

A recipe leaves metrics out of what is behind the Resource of a ResourceMetrics frame. What it keeps
are ranges of bytes, unknown fields and odd orders included; only the lengths of scopes change, and
they depend on the shape alone. Hence the recipe that was found for one frame holds for all frames
of its layout.

Source: opentelemetry/proto/metrics/v1/metrics.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from common.wire import memo, otlp_shape, protobuf

RECIPE_BYTES: Final = 400  # measured: objects of a recipe and its place in the memo
SPAN_BYTES: Final = 140  # of each span: a slice and its two numbers

Judge: TypeAlias = Callable[[str], str | None]
"""Returns the rule by which metrics of a name are left out, ``None`` if they are kept."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """What is kept of frames of one layout, and how many points go by which rule."""

    spans: tuple[slice | bytes, ...] | None
    """Ranges of what is behind the Resource, and bytes to put between; ``None`` is all of it."""
    removed: Mapping[str, int]
    """Data points left out, by rule; rules that removed none are not there."""
    total: int
    """Data points left out by all rules."""

    @property
    def size(self) -> int:
        """About how many bytes it takes to remember this."""
        return RECIPE_BYTES + SPAN_BYTES * len(self.spans or ())

    def cut(self, rest: bytes) -> bytes:
        """Return what is kept of *rest*: the same object if all of it, ``b""`` if nothing."""
        if self.spans is None:
            return rest
        view = memoryview(rest)
        return b"".join([view[s] if isinstance(s, slice) else s for s in self.spans])


Recipes: TypeAlias = memo.Memo[tuple["Layout", Hashable], Recipe]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What every ResourceMetrics of one shape has in common, as far as it was asked for."""

    points: int
    """Data points of metrics that have a name."""
    refused: int
    """Data points of metrics that have none."""
    named: Recipe | None
    """Takes the latter out; ``None`` if there are none."""
    _recipes: Recipes = field(repr=False)

    def recipe(self, rest: bytes, choice: Hashable, judge: Judge) -> Recipe:
        """Return the recipe of *choice*, whose rules are *judge*'s, for frames of this layout.

        *rest* is any of them: what is behind its Resource, metrics without a name taken out.
        """
        key = (self, choice)
        found = self._recipes.get(key)
        if found is None:
            found = recipe(rest, judge)
            self._recipes.put(key, found, found.size)
        return found


def unnamed(name: str) -> str | None:
    """Judge metrics by whether they have a name: without one nobody could ask for them."""
    return None if name else "unnamed"


def recipe(rest: bytes, judge: Judge) -> Recipe:
    """Find what *judge* keeps of *rest*, the fields of a valid ResourceMetrics but its Resource.

    Where anything is left out, scopes in which no metric is left vanish; without scopes the frame
    does. Raises `errors.Malformed` for messages of absurdly many fields, see `protobuf.fields`.
    """
    frame = otlp_shape.read_frame(rest)
    verdicts = [[judge(metric.name) for metric in scope.metrics] for scope in frame.scope_metrics]
    if not any(rule is not None for scope in verdicts for rule in scope):
        return Recipe(spans=None, removed={}, total=0)
    removed: dict[str, int] = {}
    for scope, rules in zip(frame.scope_metrics, verdicts, strict=True):
        for metric, rule in zip(scope.metrics, rules, strict=True):
            points = 0 if rule is None else otlp_shape.points_of(metric)
            if rule is not None and points:
                removed[rule] = removed.get(rule, 0) + points
    spans: list[slice | bytes] = []
    start = left = index = 0
    for number, wire_type, tag_at, at, end in protobuf.fields(rest):
        if number != otlp_shape.SCOPE_METRICS or wire_type != protobuf.BYTES:
            continue
        kept = _scope(rest, at, end, verdicts[index])
        index += 1
        if kept is not None and not kept:  # nothing of it goes
            left += 1
            continue
        spans.append(slice(start, tag_at))
        start = end
        if kept:
            left += 1
            size = sum([span.stop - span.start for span in kept])
            spans += (protobuf.tag(number, wire_type) + protobuf.varint(size), *kept)
    spans.append(slice(start, len(rest)))
    total = sum(removed.values())
    if not left:
        return Recipe(spans=(), removed=removed, total=total)
    wanted = tuple([s for s in spans if isinstance(s, bytes) or s.start < s.stop])
    return Recipe(spans=wanted, removed=removed, total=total)


def _scope(rest: bytes, at: int, end: int, rules: list[str | None]) -> list[slice] | None:
    """Return the ranges kept of a ScopeMetrics: none at all if it is kept whole, ``None`` to drop.

    A scope without metrics says nothing about any, and goes.
    """
    if None not in rules:
        return None
    if all(rule is None for rule in rules):
        return []
    spans: list[slice] = []
    start, index = at, 0
    for number, wire_type, tag_at, _, behind in protobuf.fields(rest, at, end):
        if number == otlp_shape.METRICS and wire_type == protobuf.BYTES:
            if rules[index] is not None:
                if start < tag_at:
                    spans.append(slice(start, tag_at))
                start = behind
            index += 1
    if start < end:
        spans.append(slice(start, end))
    return spans
