"""Which part of a request goes to which pipeline: a pure decision on one generation of routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from common.wire import otlp
from gateway.filters import NOTHING, Removed, Selection

Outlet = TypeVar("Outlet")


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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Routes(Generic[Outlet]):
    """All pipelines; swapped whole, so that a request sees one generation from end to end."""

    generation: int
    pipelines: tuple[Route[Outlet], ...]


@final
@dataclass(slots=True)
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
    received = sum([piece.frame.points for piece in pieces])
    whole: otlp.Encoded | None = None
    shares: list[Share[Outlet]] = []
    for pipeline in routes.pipelines:
        kept, filtered = _kept(pieces, pipeline.selections)
        if kept is None:
            if whole is None:
                whole = _joined([(piece.resource, piece.frame.rest) for piece in pieces])
            shares.append(Share(pipeline, received, whole, received, NOTHING))
        else:
            left = received - sum(filtered.values())
            shares.append(Share(pipeline, received, _joined(kept), left, filtered))
    return shares


def _kept(
    pieces: Sequence[Piece], selections: Mapping[str, Selection]
) -> tuple[list[tuple[bytes, bytes]] | None, Removed]:
    """Return the Resources that pass, with what is kept behind them, and what was removed by rule.

    ``None`` says that everything passes.
    """
    filtered: dict[str, int] = {}
    kept: list[tuple[bytes, bytes]] = []
    for piece in pieces:
        selection = selections.get(piece.source)
        frame = piece.frame
        rest = frame.rest
        if selection is not None:
            if selection.frames:
                rule = selection.rule(piece.namespace)
                if rule is not None:
                    filtered[rule] = filtered.get(rule, 0) + frame.points
                    continue
            if selection.names:
                recipe = selection.recipe(frame)
                for name, count in recipe.removed.items():
                    filtered[name] = filtered.get(name, 0) + count
                if recipe.total == frame.points:
                    continue
                rest = recipe.cut(rest)
        kept.append((piece.resource, rest))
    return (kept, filtered) if filtered else (None, NOTHING)


def _joined(frames: Sequence[tuple[bytes, bytes]]) -> otlp.Encoded:
    """Write frames as one request; every byte of them is copied once."""
    if len(frames) == 1:
        return otlp.Encoded(b"".join(otlp.parts(*frames[0])))
    return otlp.Encoded(b"".join([part for frame in frames for part in otlp.parts(*frame)]))
