"""Which part of a request goes to which pipeline: a pure decision on one generation of routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, final

from common.wire import otlp
from gateway.filters import NOTHING, Removed, Selection

Outlet = TypeVar("Outlet")
EMPTY: Final = otlp.Encoded(b"")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One enriched frame of a request, as a request of its own."""

    body: otlp.Encoded
    points: int
    namespace: str  # "" when unknown
    source: str  # the input it came by


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[Outlet]):
    """One pipeline: what it takes of which source, and where that goes."""

    name: str
    selections: Mapping[str, Selection]
    outlet: Outlet


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Routes(Generic[Outlet]):
    """All pipelines; swapped whole, so that a request sees one generation from end to end."""

    generation: int
    pipelines: tuple[Route[Outlet], ...]


@final
@dataclass(frozen=True, slots=True)
class Share(Generic[Outlet]):
    """A pipeline's part of a request: ``received == points + sum(filtered)``."""

    route: Route[Outlet]
    received: int
    body: otlp.Encoded
    points: int
    filtered: Removed


def route(pieces: Sequence[Piece], routes: Routes[Outlet]) -> list[Share[Outlet]]:
    """Return what each pipeline gets of a request, in the order of the pipelines.

    Order within the request is kept. Pipelines that take everything share one body.
    """
    received = sum([piece.points for piece in pieces])
    whole: otlp.Encoded | None = None
    shares: list[Share[Outlet]] = []
    for pipeline in routes.pipelines:
        kept, filtered = _kept(pieces, pipeline.selections)
        if kept is None:
            if whole is None:
                whole = _joined([piece.body for piece in pieces])
            shares.append(Share(pipeline, received, whole, received, NOTHING))
        else:
            left = received - sum(filtered.values())
            shares.append(Share(pipeline, received, _joined(kept), left, filtered))
    return shares


def _kept(
    pieces: Sequence[Piece], selections: Mapping[str, Selection]
) -> tuple[list[otlp.Encoded] | None, Removed]:
    """Return the bodies that pass and what was removed by rule; ``None`` if everything passes."""
    filtered: dict[str, int] = {}
    kept: list[otlp.Encoded] = []
    for piece in pieces:
        selection = selections.get(piece.source)
        if selection is None:
            kept.append(piece.body)
            continue
        rule = selection.rule(piece.namespace)
        if rule is not None:
            filtered[rule] = filtered.get(rule, 0) + piece.points
            continue
        if selection.names is None:  # nearly always: nothing is looked at inside
            kept.append(piece.body)
            continue
        body, points, removed = selection.metrics(piece.body, piece.points)
        for name, count in removed.items():
            filtered[name] = filtered.get(name, 0) + count
        if points:
            kept.append(body)
    return (kept, filtered) if filtered else (None, NOTHING)


def _joined(bodies: Sequence[otlp.Encoded]) -> otlp.Encoded:
    """Concatenate requests, which merges them; one alone is not copied."""
    if len(bodies) == 1:
        return bodies[0]
    return otlp.Encoded(b"".join(bodies)) if bodies else EMPTY
