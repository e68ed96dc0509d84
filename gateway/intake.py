"""The way of a request from the door to the queues: walk, enrich, route, book; nothing waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

from common.enrichment import association
from common.enrichment.enricher import Enriched
from common.service.ledger import Ledger
from common.wire import otlp
from gateway import holding, routing
from gateway.commit import Commit
from gateway.receivers import door

COME_AGAIN: Final = 5.0  # seconds: what a client is told while a destination has to have room
UNNAMED: Final = "unnamed"  # why a point is refused: its metric has no name


Frames = Callable[[bytes], tuple[otlp.Frame, ...]]
"""Validates a request and takes it apart, as `otlp.frames` does."""


class Queue(Protocol):
    """Where points wait for a backend."""

    def has_room(self, size: int) -> bool:
        """Say whether *size* bytes more would be taken now, without anything else being lost."""
        ...

    def offer(
        self,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans = (),
        written: Callable[[bool], None] | None = None,
    ) -> bool:
        """Take points that the ledger holds, or book their loss and say no.

        *written* is for those that are durable only, and is called once, now or later: with True as
        soon as nothing is lost by a crash any more, with False if that will not be.
        """
        ...


class Outlet(Queue, Protocol):
    """The end of a route: an account, and a queue whose contents it is the account of."""

    @property
    def ledger(self) -> Ledger: ...  # noqa: D102 - the protocol's names say it

    @property
    def durable(self) -> bool:
        """Whether `offer` tells when the data is safe from a crash."""
        ...


class Enricher(Protocol):
    """Completes a Resource, see :class:`common.enrichment.enricher.Enricher`."""

    def enrich(self, resource: bytes, peer: str | None, *, trusted: bool) -> Enriched:
        """Complete *resource*, sent from the address *peer*; may raise `errors.Malformed`."""
        ...


class Doorstep(Protocol):
    """Where data waits for its pod to become known, see :mod:`gateway.fresh_pods`."""

    def waits(self, missing: association.Missing) -> bool:
        """Say whether data of the pod that is *missing* shall be held."""
        ...

    def hold(
        self, missing: association.Missing, parcel: holding.Parcel
    ) -> Sequence[holding.Parcel]:
        """Take *parcel*; return what must go on at once, in order."""
        ...


Late: TypeAlias = tuple[association.Missing, holding.Parcel]
"""What shall wait on the doorstep, and for whom."""


class Intake:
    """Takes requests from all doors and hands each pipeline its part.

    ``routes`` may be replaced at any time between two requests; each sees one generation. What the
    *doorstep* holds is taken, but in no pipeline's account until it comes back to `pass_on`.
    """

    __slots__ = (
        "_doorstep", "_enricher", "_frames", "points", "refused", "rejected", "routes",
        "turned_away",
    )  # fmt: skip

    def __init__(
        self, enricher: Enricher, frames: Frames = otlp.frames, doorstep: Doorstep | None = None
    ) -> None:
        self._enricher = enricher
        self._frames = frames
        self._doorstep = doorstep
        self.routes: routing.Routes[Outlet] = routing.Routes(generation=0, pipelines=())
        self.points = 0  # taken, ever
        self.rejected = 0  # points that no pipeline was there for
        self.refused = {UNNAMED: 0}  # points that nobody could be given, by reason
        self.turned_away = 0  # requests, because a destination that is required had no room

    def overloaded(self) -> door.Overloaded | None:
        """Say whether a destination that is required is full.

        Others lose what they have no room for: a dead backend must not keep it from the rest.
        """
        routes = self.routes
        if routes.required:
            for route in routes.pipelines:
                if route.required and not route.outlet.has_room(1):
                    return self._turn_away()
        return None

    def take(self, body: bytes, peer: str | None, *, trusted: bool) -> door.Answer:
        """Take an encoded request, as :class:`door.Intake` says; raises `errors.Malformed`."""
        pieces, late, points, refused = self._pieces(body, peer, trusted, self._doorstep)
        if not points:
            return self._taken(0, refused)
        routes = self.routes
        if not routes.pipelines:
            self.rejected += points
            self.refused[UNNAMED] += refused
            total = points + refused
            return door.Taken(
                points=total, rejected=total, message="no pipeline is configured here"
            )
        shares = routing.route(pieces, routes) if pieces else []
        if routes.required and not (_has_room(shares) and self._has_room_later(late)):
            return self._turn_away(points + refused)
        self.points += points
        commit = Commit() if routes.durable else None
        if late and self._doorstep is not None:
            for missing, parcel in late:
                if commit is not None:
                    parcel.commit = commit
                    commit.expect()
                for each in self._doorstep.hold(missing, parcel):
                    self.pass_on(each)
        _book(shares, commit)
        if commit is not None and commit.settled and not commit.failed:
            commit = None
        return self._taken(points, refused, commit)

    def pass_on(self, parcel: holding.Parcel) -> int:
        """Hand each pipeline its part of what waited; return the points that none is there for.

        The sender was told long ago that they are taken, so nobody is turned away any more: a
        destination without room books the loss, and points without a pipeline count as rejected.
        """
        pieces, *_ = self._pieces(parcel.body, parcel.peer, parcel.trusted, None)
        if self.routes.pipelines:
            _book(routing.route(pieces, self.routes), parcel.commit)
            lost = 0
        else:
            self.rejected += parcel.points
            lost = parcel.points
        if parcel.commit is not None:
            parcel.commit.done(written=True)
        return lost

    def _pieces(
        self,
        body: bytes,
        peer: str | None,
        trusted: bool,  # noqa: FBT001 - as it came
        doorstep: Doorstep | None,
    ) -> tuple[list[routing.Piece], list[Late], int, int]:
        """Take a request apart: what is enriched, what shall wait, its points, and refused ones."""
        enrich = self._enricher.enrich
        pieces: list[routing.Piece] = []
        late: list[Late] = []
        points = refused = 0
        for frame in self._frames(body):
            refused += frame.refused
            if not frame.points:
                continue
            points += frame.points
            enriched = enrich(frame.resource, peer, trusted=trusted)
            missing = enriched.missing
            if missing is not None and doorstep is not None and doorstep.waits(missing):
                parcel = holding.Parcel(
                    body=otlp.splice(frame, frame.resource),
                    points=frame.points,
                    peer=peer,
                    trusted=trusted,
                )
                late.append((missing, parcel))
                continue
            pieces.append(
                routing.Piece(frame, enriched.resource, enriched.namespace, enriched.source)
            )
        return pieces, late, points, refused

    def _has_room_later(self, late: Sequence[Late]) -> bool:
        """Say whether what shall wait may; nobody knows yet which of those required will get it."""
        size = sum([len(parcel.body) for _, parcel in late])
        routes = [route for route in self.routes.pipelines if route.required]
        return not size or all(route.outlet.has_room(size) for route in routes)

    def _taken(self, points: int, refused: int, commit: Commit | None = None) -> door.Taken:
        """Book *refused* points, which enter no ledger, and say what became of the others."""
        if not refused:
            return door.Taken(points=points, commit=commit)
        self.refused[UNNAMED] += refused
        message = f"{refused} data points of metrics without a name; name them"
        total = points + refused
        return door.Taken(points=total, rejected=refused, message=message, commit=commit)

    def _turn_away(self, points: int = 1) -> door.Overloaded:
        self.turned_away += 1
        return door.Overloaded(COME_AGAIN, points)


def _book(shares: Sequence[routing.Share[Outlet]], commit: Commit | None) -> None:
    for share in shares:
        outlet = share.route.outlet
        outlet.ledger.receive(share.received, share.filtered)
        if not share.points:
            continue
        if commit is not None and outlet.durable:
            commit.expect()
            outlet.offer(share.body, share.points, share.spans, commit.done)
        else:
            outlet.offer(share.body, share.points, share.spans)


def _has_room(shares: Sequence[routing.Share[Outlet]]) -> bool:
    """Say whether every destination that is required has room for what it gets."""
    return all(
        share.route.outlet.has_room(len(share.body))
        for share in shares
        if share.points and share.route.required
    )
