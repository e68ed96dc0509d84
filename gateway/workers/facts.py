"""Pods as the supervisor hands them on: encoded once, and kept for workers that start later."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from sys import intern
from typing import Final, TypeAlias

import msgspec

from common.enrichment.pods import GRACE, MAX_DEPARTED, PodFacts
from common.kube import reflector
from gateway.workers import messages

CHUNK: Final = 250  # pods of a list in one message, about 100 KB

Pairs: TypeAlias = tuple[tuple[str, str], ...]
_Row: TypeAlias = tuple[str, str, str, tuple[str, ...], str, Pairs, Pairs, str]

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Row] = msgspec.msgpack.Decoder(_Row)


def encoded(pod: PodFacts) -> msgspec.Raw:
    """Return *pod* without the names of its fields."""
    row: _Row = (
        pod.uid,
        pod.namespace,
        pod.name,
        pod.addresses,
        pod.since,
        pod.attributes,
        pod.containers,
        pod.legacy_label,
    )
    return msgspec.Raw(_encoder.encode(row))


def decoded(raw: msgspec.Raw) -> PodFacts:
    """Return the pod that `encoded` was given; texts that many pods share are shared again."""
    uid, namespace, name, addresses, since, attributes, containers, label = _decoder.decode(raw)
    own = {text: text for text in (uid, name, *addresses)}
    return PodFacts(
        uid=uid,
        namespace=intern(namespace),
        name=name,
        addresses=addresses,
        since=since,
        attributes=tuple([(intern(k), own.get(v) or intern(v)) for k, v in attributes]),
        containers=tuple([(intern(k), intern(v)) for k, v in containers]),
        legacy_label=intern(label),
    )


class Store:
    """All pods that there are, encoded: about 0.5 KB each.

    Those deleted a moment ago are kept as long as an index keeps them, so that a worker that starts
    then knows them as well.
    """

    __slots__ = ("_departed", "_pods", "synced")

    def __init__(self) -> None:
        self.synced = False  # whether a complete list ever arrived
        self._pods: dict[str, msgspec.Raw] = {}  # by uid
        self._departed: OrderedDict[str, tuple[float, msgspec.Raw]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many pods there are, without those that are gone."""
        return len(self._pods)

    def apply(self, change: reflector.Change[PodFacts], now: float) -> Sequence[messages.ToWorker]:
        """Take in what an informer tells at *now* (seconds); return what workers are to be told."""
        self._sweep(now)
        match change:
            case reflector.Replaced(items=items):
                return self._replace(items, now)
            case reflector.Deleted(item=pod):
                raw = encoded(pod)
                self._pods.pop(pod.uid, None)
                self._depart(pod.uid, raw, now)
                return (messages.Changed(raw, gone=True),)
            case reflector.Added(item=pod) | reflector.Modified(item=pod):
                raw = encoded(pod)
                self._departed.pop(pod.uid, None)
                if self._pods.get(pod.uid) == raw:
                    return ()  # most changes of a pod concern nothing that enrichment wants
                self._pods[pod.uid] = raw
                return (messages.Changed(raw, gone=False),)

    def snapshot(self) -> Sequence[messages.ToWorker]:
        """Return what a worker has to be told that knows nothing; nothing before the first list."""
        if not self.synced:
            return ()
        pods = list(self._pods.values())
        ends = range(CHUNK, max(len(pods), 1) + CHUNK, CHUNK)
        told: list[messages.ToWorker] = [
            messages.Pods(pods[end - CHUNK : end], last=end >= len(pods)) for end in ends
        ]
        told += [messages.Changed(raw, gone=True) for _, raw in self._departed.values()]
        return told

    def _replace(self, items: Iterable[PodFacts], now: float) -> Sequence[messages.ToWorker]:
        before, self._pods = self._pods, {pod.uid: encoded(pod) for pod in items}
        for uid, raw in before.items():
            if uid not in self._pods:
                self._depart(uid, raw, now)
        for uid in [uid for uid in self._departed if uid in self._pods]:
            del self._departed[uid]
        self.synced = True
        return self.snapshot()

    def _depart(self, uid: str, raw: msgspec.Raw, now: float) -> None:
        self._departed[uid] = (now, raw)
        self._departed.move_to_end(uid)

    def _sweep(self, now: float) -> None:
        while self._departed:
            uid, (since, _) = next(iter(self._departed.items()))
            if now - since < GRACE and len(self._departed) <= MAX_DEPARTED:
                return
            del self._departed[uid]


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
    """What one worker has yet to be told; one that falls behind is told everything anew.

    ``behind`` counts how often that happened.
    """

    __slots__ = ("_frames", "_max_bytes", "_size", "_stale", "behind")

    def __init__(self, max_bytes: int) -> None:
        self.behind = 0
        self._max_bytes = max_bytes
        self._frames: list[bytes] = []
        self._size = 0
        self._stale = False

    def offer(self, frames: Iterable[bytes]) -> None:
        """Keep *frames*, unless the worker is behind by more than the bound already."""
        if self._stale:
            return
        for frame in frames:
            self._frames.append(frame)
            self._size += len(frame)
        if self._size > self._max_bytes:
            self._frames, self._size, self._stale = [], 0, True
            self.behind += 1

    def take(self, everything: Iterable[bytes]) -> list[bytes]:
        """Return what to write now, which is *everything* for a worker that fell behind."""
        if self._stale:
            self._stale = False
            return list(everything)
        frames, self._frames, self._size = self._frames, [], 0
        return frames
