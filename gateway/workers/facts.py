"""Pods as the supervisor hands them on: encoded once, and kept for workers that start later."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Final, TypeAlias, final

import msgspec

from common.enrichment.pods import GRACE, MAX_DEPARTED, Pairs, PodFacts, one_of, one_of_pairs
from common.kube import reflector
from gateway.workers import messages

CHUNK: Final = 250  # pods of a list in one message, about 100 KB

_Texts: TypeAlias = tuple[str, ...]
_Fields: TypeAlias = tuple[
    str, str, str, _Texts, str, _Texts, _Texts, Pairs, str, str, _Texts, str
]  # of a PodFacts, in its order

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Fields] = msgspec.msgpack.Decoder(_Fields)


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A pod as it is kept and sent, without the names of its fields."""

    uid: str
    raw: bytes


def encoded(pod: PodFacts) -> Row:
    """Return *pod* as it is kept and sent."""
    fields: _Fields = (
        pod.uid,
        pod.namespace,
        pod.name,
        pod.addresses,
        pod.since,
        pod.keys,
        pod.values,
        pod.containers,
        pod.legacy_label,
        pod.host,
        pod.withheld,
        pod.state,
    )
    return Row(pod.uid, _encoder.encode(fields))


def decoded(raw: bytes | msgspec.Raw) -> PodFacts:
    """Return the pod that `encoded` was given; texts that many pods share are shared again."""
    (
        uid, namespace, name, addresses, since, keys, values, containers, label, host, withheld,
        state,
    ) = _decoder.decode(raw)  # fmt: skip
    own = {text: text for text in (uid, name, *addresses)}
    return PodFacts(
        uid=uid,
        namespace=intern(namespace),
        name=name,
        addresses=addresses,
        since=intern(since),
        keys=one_of(keys),
        values=tuple([own.get(value) or intern(value) for value in values]),
        containers=one_of_pairs(containers),
        legacy_label=intern(label),
        host=intern(host),
        withheld=withheld,
        state=intern(state),
    )


class Store:
    """All pods that there are, encoded: about 0.5 KB each.

    Those deleted a moment ago are kept as long as an index keeps them, so that a worker that starts
    then knows them as well.
    """

    __slots__ = ("_departed", "_pods", "synced")

    def __init__(self) -> None:
        self.synced = False  # whether a complete list ever arrived
        self._pods: dict[str, bytes] = {}  # by uid
        self._departed: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many pods there are, without those that are gone."""
        return len(self._pods)

    def apply(self, change: reflector.Change[Row], now: float) -> messages.ToWorker | None:
        """Take in what an informer tells at *now* (seconds); return what workers are to be told.

        ``None`` means nothing, but after a whole list: then it is the `snapshot`.
        """
        self._sweep(now)
        match change:
            case reflector.Replaced(items=rows):
                self._replace(rows, now)
                return None
            case reflector.Deleted(item=row):
                self._pods.pop(row.uid, None)
                self._depart(row.uid, row.raw, now)
                return messages.Changed(msgspec.Raw(row.raw), gone=True)
            case reflector.Added(item=row) | reflector.Modified(item=row):
                self._departed.pop(row.uid, None)
                if self._pods.get(row.uid) == row.raw:
                    return None  # most changes of a pod concern nothing that enrichment wants
                self._pods[row.uid] = row.raw
                return messages.Changed(msgspec.Raw(row.raw), gone=False)

    def snapshot(self, *, departed: bool) -> Iterable[messages.ToWorker]:
        """Return all pods that there are, as a worker is told; nothing before the first list.

        A worker that starts is told of the *departed* as well; others know when those left, and
        would keep them longer. It is of this moment, and put into words as it is read: workers
        take their time, and 10,000 pods are 5 MB.
        """
        if not self.synced:
            return ()
        gone = [raw for _, raw in self._departed.values()] if departed else []
        return _told(list(self._pods.values()), gone)

    def _replace(self, rows: Iterable[Row], now: float) -> None:
        before, self._pods = self._pods, {row.uid: row.raw for row in rows}
        for uid, raw in before.items():
            if uid not in self._pods:
                self._depart(uid, raw, now)
        for uid in [uid for uid in self._departed if uid in self._pods]:
            del self._departed[uid]
        self.synced = True

    def _depart(self, uid: str, raw: bytes, now: float) -> None:
        self._departed[uid] = (now, raw)
        self._departed.move_to_end(uid)

    def _sweep(self, now: float) -> None:
        while self._departed:
            uid, (since, _) = next(iter(self._departed.items()))
            if now - since < GRACE and len(self._departed) <= MAX_DEPARTED:
                return
            del self._departed[uid]


def _told(pods: Sequence[bytes], departed: Sequence[bytes]) -> Iterator[messages.ToWorker]:
    for start in range(0, max(1, len(pods)), CHUNK):
        part = [msgspec.Raw(raw) for raw in pods[start : start + CHUNK]]
        yield messages.Pods(part, last=start + CHUNK >= len(pods))
    for raw in departed:
        yield messages.Changed(msgspec.Raw(raw), gone=True)


class Listener:
    """A worker's ear: puts parts of a list together, and says what changed."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[PodFacts] = []

    def heard(self, told: messages.Pods | messages.Changed) -> reflector.Change[PodFacts] | None:
        """Return the change that *told* means, ``None`` while a list is not complete."""
        if isinstance(told, messages.Changed):
            pod = decoded(told.pod)
            return reflector.Deleted(pod) if told.gone else reflector.Modified(pod)
        self._parts += map(decoded, told.pods)
        if not told.last:
            return None
        items, self._parts = tuple(self._parts), []
        return reflector.Replaced(items)


class Outbox:
    """What one worker has yet to be told; one that knows nothing is told everything.

    So is one that falls behind by more than *max_bytes*; ``behind`` counts how often that happened.
    """

    __slots__ = ("_frames", "_ignorant", "_max_bytes", "_size", "behind")

    def __init__(self, max_bytes: int) -> None:
        self.behind = 0
        self._max_bytes = max_bytes
        self._frames: list[bytes] = []
        self._size = 0
        self._ignorant = True

    def forget(self) -> None:
        """Tell everything next."""
        self._frames, self._size, self._ignorant = [], 0, True

    def offer(self, frame: bytes) -> None:
        """Keep *frame*, unless everything is to be told anyway."""
        if self._ignorant:
            return
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > self._max_bytes:
            self.forget()
            self.behind += 1

    def take(self, everything: Callable[[], Iterable[bytes]]) -> Iterable[bytes]:
        """Return what to write now; *everything* is asked for what there is to know."""
        if self._ignorant:
            self._ignorant = False
            return everything()
        frames, self._frames, self._size = self._frames, [], 0
        return frames
