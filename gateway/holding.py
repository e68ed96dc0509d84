"""Data of pods that nobody has heard of yet: what waits, for how long, and why it goes on."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, final

from common.enrichment import association, pods
from common.kube import reflector
from common.wire import memo, otlp
from gateway.commit import Commit

Why: TypeAlias = Literal["known", "expired", "no_room", "shutdown"]
WHYS: Final[tuple[Why, ...]] = (
    "known",  # the pod became known
    "expired",  # it did not, in time
    "no_room",  # there was no room to wait in
    "shutdown",  # the gateway stops
)
FEW: Final = 64  # queues: 25 µs to look at all of them
PARCEL_BYTES: Final = 300  # measured: objects of a parcel, apart from its body
QUEUE_BYTES: Final = 1700  # measured: objects of a queue with its identities, apart from texts
VAIN_BYTES: Final = 400  # measured: objects of an identity that is not waited for, apart from text


@final
@dataclass(slots=True, kw_only=True)
class Parcel:
    """A frame of a request as it came, as a request of its own, and who sent it."""

    body: otlp.Encoded
    points: int
    peer: str | None
    trusted: bool
    commit: Commit | None = None  # expects this parcel, if its request has to be safe on disk


@final
@dataclass(slots=True, kw_only=True)
class _Queue:
    """What one sender sent, in order; it goes on together."""

    until: float
    awaited: association.Identity
    parcels: list[Parcel] = field(default_factory=list)
    size: int = QUEUE_BYTES


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for one identity, for people; ``seconds`` are left at most."""

    points: int
    size: int
    seconds: float


class Holding:
    """Holds data for up to *seconds* each, *max_bytes* in all, until its pod is in *index*.

    Data is queued by its evidence, that is by what a sender says and where it sends from: what
    comes later joins the queue, and the queue goes on as one, so that order is kept. What an
    identity was waited for in vain is remembered, up to *memo_bytes*: its data passes at once until
    the pod becomes known, so that who will never be a pod of ours is delayed once.

    Every method that returns parcels gives them up: the caller sends them on, in order, at once.

    The account, in points: ``taken == points + sum(released.values())`` at every moment. Pipelines
    book what waits when it goes on; a pipeline that is added meanwhile gets its share, too.
    """

    def __init__(
        self, index: pods.PodIndex, *, seconds: float, max_bytes: int, memo_bytes: int
    ) -> None:
        self.max_bytes = max_bytes
        self.points = self.size = 0  # waiting now; bytes with their overhead
        self.taken = 0  # points that came here, ever
        self.released: dict[Why, int] = dict.fromkeys(WHYS, 0)  # points
        self._index, self._seconds = index, seconds
        # Oldest first, which is also the order of their ends. Not a dict: finding its first entry
        # again and again walks over all that were removed before it.
        self._queues: OrderedDict[association.Evidence, _Queue] = OrderedDict()
        self._wanted: dict[association.Identity, dict[association.Evidence, None]] = {}
        self._vain: memo.Memo[association.Identity, bool] = memo.Memo(memo_bytes)

    @property
    def due(self) -> float | None:
        """When the time of the first queue is over, ``None`` when nothing waits."""
        for queue in self._queues.values():
            return queue.until
        return None

    @property
    def vain(self) -> memo.Memo[association.Identity, bool]:
        """The identities that are not waited for, for its counters."""
        return self._vain

    def balance(self) -> int:
        """Return by how many points the account is off: zero, or there is a bug."""
        return self.taken - self.points - sum(self.released.values())

    def waits(self, missing: association.Missing, *, informed: bool) -> bool:
        """Say whether data of the pod that is *missing* shall come here.

        *informed*: pods that appear would be told of, as the API server answers. What waits already
        is joined in any case. Runs for every resource of an unknown sender: 0.3 µs.
        """
        if self._queues and missing.evidence in self._queues:
            return True
        return informed and not self._vain.get(missing.awaited)

    def hold(self, missing: association.Missing, parcel: Parcel, now: float) -> list[Parcel]:
        """Take *parcel*, for which `waits` said yes; return what goes on at once.

        That is nothing, or, where there is no room, all that waited for the same and *parcel*.
        """
        self.taken += parcel.points
        known = missing.evidence
        queue = self._queues.get(known)
        size = PARCEL_BYTES + len(parcel.body)
        if self.size + size + (QUEUE_BYTES if queue is None else 0) > self.max_bytes:
            before = self._release(known, "no_room") if queue is not None else []
            self.released["no_room"] += parcel.points
            return [*before, parcel]
        if queue is None:
            queue = _Queue(until=now + self._seconds, awaited=missing.awaited)
            self._queues[known] = queue
            self.size += QUEUE_BYTES
            for identity in association.mentioned(known):
                self._wanted.setdefault(identity, {})[known] = None
        queue.parcels.append(parcel)
        queue.size += size
        self.size += size
        self.points += parcel.points
        return []

    def changed(self, change: reflector.Change[pods.PodFacts]) -> list[Parcel]:
        """Return what need not wait any longer, the index having taken in *change*."""
        if not self._queues and not len(self._vain):
            return []
        match change:
            case reflector.Replaced(items=items):
                changed = items
                candidates = dict.fromkeys(self._queues)
            case _:
                changed = (change.item,)
                # Usually few wait, so all are looked at: an address that several pods claimed may
                # also have been let go of, by one that no longer shows it.
                candidates = dict.fromkeys(self._queues if len(self._queues) <= FEW else ())
        for pod in changed:
            for identity in association.identities(pod):
                self._vain.forget(identity)
                candidates.update(self._wanted.get(identity, {}))
        return [
            parcel
            for known in candidates
            if association.locate(known, self._index) is not None
            for parcel in self._release(known, "known")
        ]

    def expire(self, now: float) -> list[Parcel]:
        """Return what has waited long enough; its identities are not waited for again."""
        released: list[Parcel] = []
        while self._queues:
            known, queue = next(iter(self._queues.items()))
            if queue.until > now:
                break
            awaited = queue.awaited
            self._vain.put(awaited, True, VAIN_BYTES + len(awaited[1]))
            released += self._release(known, "expired")
        return released

    def empty(self) -> list[Parcel]:
        """Return all that waits, as the gateway stops."""
        return [p for known in list(self._queues) for p in self._release(known, "shutdown")]

    def waiting(self, identity: association.Identity, now: float) -> Waiting | None:
        """Say what waits for *identity*, ``None`` if nothing does."""
        queues = [self._queues[known] for known in self._wanted.get(identity, {})]
        if not queues:
            return None
        return Waiting(
            points=sum(_points(queue) for queue in queues),
            size=sum(queue.size for queue in queues),
            seconds=max(0.0, max(queue.until for queue in queues) - now),
        )

    def in_vain(self, identity: association.Identity) -> bool:
        """Say whether *identity* was waited for in vain."""
        return identity in self._vain

    def _release(self, known: association.Evidence, why: Why) -> list[Parcel]:
        queue = self._queues.pop(known)
        for identity in association.mentioned(known):
            wanting = self._wanted[identity]
            del wanting[known]
            if not wanting:
                del self._wanted[identity]
        points = _points(queue)
        self.size -= queue.size
        self.points -= points
        self.released[why] += points
        return queue.parcels


def _points(queue: _Queue) -> int:
    return sum([parcel.points for parcel in queue.parcels])
