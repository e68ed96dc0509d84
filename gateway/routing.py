"""Which part of a request goes to which pipeline: a pure decision on one generation of routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar, final

from common.service.ledger import FilterRule
from common.wire import otlp
from gateway.filters import NOTHING, Removed, Selection

Outlet = TypeVar("Outlet")

_Kept: TypeAlias = tuple[bytes, bytes, int]
"""A Resource, what is kept behind it, and the points of that."""


@final
@dataclass(slots=True)
class Piece:
    """One frame of a request with its completed Resource; never changed once made."""

    frame: otlp.Frame
    resource: bytes
    namespace: str  # "" when unknown
    source: str  # the input it came by


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[Outlet]):
    """One pipeline: what it takes of which source, and where that goes."""

    name: str
    selections: Mapping[str, Selection]
    outlet: Outlet
    required: bool = False  # without room here requests are turned away, instead of being lost here


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Routes(Generic[Outlet]):
    """All pipelines; swapped whole, so that a request sees one generation from end to end."""

    generation: int
    pipelines: tuple[Route[Outlet], ...]
    required: bool = False
    """Whether there are pipelines without whose room nothing is taken."""
    durable: bool = False
    """Whether an outlet writes to disk before a request may be acknowledged."""


@final
@dataclass(slots=True)
class Share(Generic[Outlet]):
    """A pipeline's part of a request: ``received == points + sum(filtered)``."""

    route: Route[Outlet]
    received: int
    body: otlp.Encoded
    points: int
    filtered: Removed
    spans: otlp.Spans


def route(pieces: Sequence[Piece], routes: Routes[Outlet]) -> list[Share[Outlet]]:
    """Return what each pipeline gets of a request, in the order of the pipelines.

    Order within the request is kept. Pipelines that take everything share one body.
    """
    received = sum([piece.frame.points for piece in pieces])
    whole: tuple[otlp.Encoded, otlp.Spans] | None = None
    shares: list[Share[Outlet]] = []
    for pipeline in routes.pipelines:
        kept, filtered = _kept(pieces, pipeline.selections)
        if kept is None:
            if whole is None:
                whole = _joined([
                    (piece.resource, piece.frame.rest, piece.frame.points) for piece in pieces
                ])  # fmt: skip
            shares.append(Share(pipeline, received, whole[0], received, NOTHING, whole[1]))
        else:
            left = received - sum(filtered.values())
            body, spans = _joined(kept)
            shares.append(Share(pipeline, received, body, left, filtered, spans))
    return shares


def _kept(
    pieces: Sequence[Piece], selections: Mapping[str, Selection]
) -> tuple[list[_Kept] | None, Removed]:
    """Return the Resources that pass, with what is kept behind them, and what was removed by rule.

    ``None`` says that everything passes.
    """
    filtered: dict[str, int] = {}
    kept: list[_Kept] = []
    for piece in pieces:
        selection = selections.get(piece.source)
        frame = piece.frame
        rest, points = frame.rest, frame.points
        if selection is None or selection.frames:
            # What nobody can have asked for yet is left out everywhere: to send it to those who did
            # not ask would be worse than to have a newer agent wait for a newer gateway.
            unknown = FilterRule.UNKNOWN_INPUT
            rule = unknown if selection is None else selection.rule(piece.namespace)
            if rule is not None:
                filtered[rule] = filtered.get(rule, 0) + points
                continue
        if selection is not None and selection.names:
            recipe = selection.recipe(frame)
            for name, count in recipe.removed.items():
                filtered[name] = filtered.get(name, 0) + count
            if recipe.total == points:
                continue
            rest = recipe.cut(rest)
            points -= recipe.total
        kept.append((piece.resource, rest, points))
    return (kept, filtered) if filtered else (None, NOTHING)


def _joined(frames: Sequence[_Kept]) -> tuple[otlp.Encoded, otlp.Spans]:
    """Write frames as one request; every byte of them is copied once."""
    if len(frames) == 1:
        resource, rest, _ = frames[0]
        return otlp.Encoded(b"".join(otlp.parts(resource, rest))), ()
    written: list[bytes] = []
    spans: list[tuple[int, int]] = []
    for resource, rest, points in frames:
        part = otlp.parts(resource, rest)
        written += part
        spans.append((sum(map(len, part)), points))
    return otlp.Encoded(b"".join(written)), tuple(spans)
