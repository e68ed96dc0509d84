"""What is known about pods, and which pod a uid, an address or a name means now."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from sys import intern
from typing import Final, Generic, TypeAlias, TypeVar, final

from common.enrichment import attributes
from common.kube import objects, reflector

Key = TypeVar("Key", bound=Hashable)
Pairs: TypeAlias = attributes.Attributes
GRACE: Final = 120.0  # seconds that data of a deleted pod may take to arrive
MAX_DEPARTED: Final = 20_000  # deleted pods kept, at most 2 KB each; the oldest leave early


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """One revision of one pod: all that enrichment wants, computed once.

    Addresses are text in canonical form: hashing a ``str`` costs 20 ns and an ``IPv4Address``
    0.4 µs, and the text is what arrives. There are none where an address would not identify the
    pod: on the host's network, and after it ended.
    """

    uid: str
    namespace: str
    name: str
    addresses: tuple[str, ...]
    since: str  # RFC 3339, when it started; decides whose address it is
    attributes: Pairs
    containers: Pairs  # name, version
    legacy_label: str


def facts(pod: objects.Pod, rules: attributes.Rules) -> PodFacts:
    """Keep of *pod* what matters under *rules*.

    Texts that many pods share (namespace, node, workload, labels) are interned: that is half of the
    2 KB a pod may cost.
    """
    meta, status = pod.metadata, pod.status
    addresses: tuple[str, ...] = ()
    if not pod.spec.host_network and status.phase not in objects.TERMINAL:
        given = [status.pod_ip, *[a.ip for a in status.pod_ips or ()]]
        addresses = tuple(dict.fromkeys([canonical(a) for a in given if a]))
    own = {text: text for text in (meta.uid, meta.name, *addresses)}
    return PodFacts(
        uid=meta.uid,
        namespace=intern(meta.namespace),
        name=meta.name,
        addresses=addresses,
        since=status.start_time or meta.creation_timestamp or "",
        attributes=tuple(
            [(intern(k), own.get(v) or intern(v)) for k, v in attributes.of_pod(pod, rules)]
        ),
        containers=tuple(
            [(intern(name), intern(v)) for name, v in attributes.containers(pod, rules)]
        ),
        legacy_label=intern(attributes.legacy_label(pod, rules)),
    )


def canonical(address: str) -> str:
    """Return the one spelling of an address; text that is none comes back as it is."""
    if ":" not in address:  # IPv4 has one spelling, and is by far the most frequent
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


class _Claims(Generic[Key]):
    """Who owns a key that several pods may claim.

    Almost always one does, so only contested keys carry the list of who else wants them.
    """

    __slots__ = ("contested", "winners")

    def __init__(self) -> None:
        self.winners: dict[Key, PodFacts] = {}
        self.contested: dict[Key, dict[str, PodFacts]] = {}

    def claim(self, key: Key, pod: PodFacts, departed: Mapping[str, float]) -> None:
        winner = self.winners.setdefault(key, pod)
        if winner is not pod:
            rivals = self.contested.setdefault(key, {winner.uid: winner})
            rivals[pod.uid] = pod
            self._settle(key, rivals, departed)

    def release(self, key: Key, pod: PodFacts, departed: Mapping[str, float]) -> None:
        rivals = self.contested.get(key)
        if rivals is None:
            self.winners.pop(key, None)
            return
        rivals.pop(pod.uid, None)
        self._settle(key, rivals, departed)
        if len(rivals) == 1:
            del self.contested[key]

    def reconsider(self, key: Key, departed: Mapping[str, float]) -> None:
        rivals = self.contested.get(key)
        if rivals is not None:
            self._settle(key, rivals, departed)

    def _settle(
        self, key: Key, rivals: Mapping[str, PodFacts], departed: Mapping[str, float]
    ) -> None:
        # The living before the dead, then the younger; the uid only so that order never matters.
        self.winners[key] = max(
            rivals.values(), key=lambda pod: (pod.uid not in departed, pod.since, pod.uid)
        )


class PodIndex:
    """Finds pods by uid, address and name.

    Changed in place, by one thread, between awaits: a snapshot per change would copy three maps of
    10,000 entries (0.4 ms) 200 times a second for nothing. What readers may rely on is that a
    :class:`PodFacts` never changes: another revision is another object. The three maps are for
    reading; they stay the same objects for the life of the index.

    Deleted pods are found for ``GRACE`` seconds more, unless a living one claims the same key.
    """

    __slots__ = (
        "_addresses", "_departed", "_names", "_pods", "by_address", "by_name", "by_uid", "synced",
    )  # fmt: skip

    def __init__(self) -> None:
        self._pods: dict[str, PodFacts] = {}
        # uid to the time of departure, oldest first. Not a dict: finding its first entry again and
        # again walks over all that were removed before it.
        self._departed: OrderedDict[str, float] = OrderedDict()
        self._addresses: _Claims[str] = _Claims()
        self._names: _Claims[tuple[str, str]] = _Claims()
        self.by_uid: Mapping[str, PodFacts] = self._pods
        self.by_address: Mapping[str, PodFacts] = self._addresses.winners
        self.by_name: Mapping[tuple[str, str], PodFacts] = self._names.winners
        self.synced = False

    def __len__(self) -> int:
        """Return how many pods are known, the departed included."""
        return len(self._pods)

    @property
    def departed(self) -> int:
        """How many of them are deleted and in their grace."""
        return len(self._departed)

    def apply(self, change: reflector.Change[PodFacts], now: float) -> None:
        """Take in what an informer tells, *now* being seconds on any clock that only grows."""
        self.sweep(now)
        match change:
            case reflector.Replaced(items=items):
                self._replace(items, now)
            case reflector.Added(item=pod) | reflector.Modified(item=pod):
                self._put(pod)
            case reflector.Deleted(item=pod):
                self._put(pod)  # its last revision
                self._depart((pod.uid,), now)

    def sweep(self, now: float) -> None:
        """Forget the departed whose grace is over; call it now and then, changes do as well."""
        while self._departed:
            uid, since = next(iter(self._departed.items()))
            if now - since < GRACE and len(self._departed) <= MAX_DEPARTED:
                return
            self._forget(uid)

    def _replace(self, items: Iterable[PodFacts], now: float) -> None:
        listed = {pod.uid: pod for pod in items}
        for pod in listed.values():
            self._put(pod)
        gone = [uid for uid in self._pods if uid not in listed and uid not in self._departed]
        self._depart(gone, now)
        self.synced = True

    def _put(self, pod: PodFacts) -> None:
        if not (pod.uid and pod.name):
            return  # nothing that Kubernetes stores; an empty key would match every resource
        revived = self._departed.pop(pod.uid, None) is not None
        old = self._pods.get(pod.uid)
        if old == pod and not revived:
            return  # the same object stays, so that what was computed from it stays too
        if old is not None:
            self._release(old)
        self._pods[pod.uid] = pod
        for address in pod.addresses:
            self._addresses.claim(address, pod, self._departed)
        self._names.claim((pod.namespace, pod.name), pod, self._departed)

    def _depart(self, uids: Iterable[str], now: float) -> None:
        for uid in uids:
            pod = self._pods.get(uid)
            if pod is None:
                continue
            self._departed[uid] = now
            for address in pod.addresses:
                self._addresses.reconsider(address, self._departed)
            self._names.reconsider((pod.namespace, pod.name), self._departed)
        self.sweep(now)

    def _forget(self, uid: str) -> None:
        del self._departed[uid]
        self._release(self._pods.pop(uid))

    def _release(self, pod: PodFacts) -> None:
        for address in pod.addresses:
            self._addresses.release(address, pod, self._departed)
        self._names.release((pod.namespace, pod.name), pod, self._departed)
