"""What is known about pods, and which pod a uid, an address or a name means now."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from sys import intern
from typing import Final, TypeAlias, final

from common.enrichment import attributes, claims
from common.kube import objects, reflector

Pairs: TypeAlias = attributes.Attributes
GRACE: Final = 120.0  # seconds that data of a deleted pod may take to arrive
HOST_NETWORK: Final = "hostNetwork"
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
    keys: tuple[str, ...]  # of the attributes that it adds; one object for all pods alike
    values: tuple[str, ...]
    containers: Pairs  # name, version
    legacy_label: str
    host: str  # the address of its node, or "": nobody on it is known by that
    withheld: tuple[str, ...]  # addresses that it has, or had, and that do not identify it
    state: str  # why they do not: "hostNetwork" or the phase it ended in; "" for all others

    @property
    def attributes(self) -> Pairs:
        """What it adds to a resource, in order."""
        return tuple(zip(self.keys, self.values, strict=True))


def facts(pod: objects.Pod, rules: attributes.Rules) -> PodFacts:
    """Keep of *pod* what matters under *rules*.

    Texts that many pods share (namespace, node, workload, labels) are interned, and what is alike
    in all pods of a workload is one object: a pod costs 0.7 KB, two thirds less than without.
    """
    meta, status = pod.metadata, pod.status
    given = [status.pod_ip, *[a.ip for a in status.pod_ips or ()]]
    addresses = tuple(dict.fromkeys([canonical(a) for a in given if a]))
    state = status.phase if status.phase in objects.TERMINAL else ""
    if pod.spec.host_network:
        state = HOST_NETWORK
    own = {text: text for text in (meta.uid, meta.name, *addresses)}
    added = attributes.of_pod(pod, rules)
    return PodFacts(
        uid=meta.uid,
        namespace=intern(meta.namespace),
        name=meta.name,
        addresses=() if state else addresses,
        since=intern(status.start_time or meta.creation_timestamp or ""),
        keys=one_of(tuple([key for key, _ in added])),
        values=tuple([own.get(value) or intern(value) for _, value in added]),
        containers=one_of_pairs(attributes.containers(pod, rules)),
        legacy_label=intern(attributes.legacy_label(pod, rules)),
        host=intern(canonical(status.host_ip)),
        withheld=addresses if state else (),
        state=state,
    )


@lru_cache(maxsize=1024)
def one_of(alike: tuple[str, ...]) -> tuple[str, ...]:
    """Return the one of all equal tuples that came first, as long as it is remembered."""
    return tuple([intern(text) for text in alike])


@lru_cache(maxsize=1024)
def one_of_pairs(alike: Pairs) -> Pairs:
    """Return the one of all equal tuples that came first, as long as it is remembered."""
    return tuple([(intern(name), intern(version)) for name, version in alike])


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


def is_address(text: str) -> bool:
    """Tell whether *text* is an IP address, in any spelling."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class PodIndex:
    """Finds pods by uid, address and name.

    Changed in place, by one thread, between awaits: a snapshot per change would copy three maps of
    10,000 entries (0.4 ms) 200 times a second for nothing. What readers may rely on is that a
    :class:`PodFacts` never changes: another revision is another object. The three maps are for
    reading; they stay the same objects for the life of the index.

    Deleted pods are found for ``GRACE`` seconds more, unless a living one claims the same key.
    """

    __slots__ = (
        "_addresses", "_departed", "_hosts", "_names", "_pods", "by_address", "by_name", "by_uid",
        "synced",
    )  # fmt: skip

    def __init__(self) -> None:
        self._pods: dict[str, PodFacts] = {}
        # uid to the time of departure, oldest first. Not a dict: finding its first entry again and
        # again walks over all that were removed before it.
        self._departed: OrderedDict[str, float] = OrderedDict()
        self._hosts: dict[str, int] = {}  # addresses of nodes, by how many pods speak of them
        self._addresses: claims.Claims[str, PodFacts] = claims.Claims()
        self._names: claims.Claims[tuple[str, str], PodFacts] = claims.Claims()
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

    def departed_at(self, uid: str) -> float | None:
        """Return when the pod *uid* was deleted, ``None`` while it lives or is not known."""
        return self._departed.get(uid)

    def is_host(self, address: str) -> bool:
        """Tell whether *address* is a node's own, and so that of every pod on its network."""
        return address in self._hosts

    def rivals(self, by: str | tuple[str, str]) -> tuple[PodFacts, ...]:
        """Return all who claim an address, or a (namespace, name), that more than one claims."""
        if isinstance(by, str):
            return tuple(self._addresses.contested.get(by, {}).values())
        return tuple(self._names.contested.get(by, {}).values())

    def apply(self, change: reflector.Change[PodFacts], now: float) -> None:
        """Take in what an informer tells, *now* being seconds on any clock that only grows."""
        self.sweep(now)
        match change:
            case reflector.Replaced(items=items):
                self._replace(items, now)
            case reflector.Added(item=pod) | reflector.Modified(item=pod):
                self._put(pod, seen=True)
            case reflector.Deleted(item=pod):
                self._delete(pod, now)

    def sweep(self, now: float) -> None:
        """Forget the departed whose grace is over; call it now and then, changes do as well."""
        while self._departed:
            uid, since = next(iter(self._departed.items()))
            if now - since < GRACE and len(self._departed) <= MAX_DEPARTED:
                return
            self._forget(uid)

    def _replace(self, items: Iterable[PodFacts], now: float) -> None:
        listed = {pod.uid: pod for pod in items}
        # Those that are gone leave first, then all let go of what they no longer have: within a
        # list there is no before and after, and addresses may have changed hands.
        self._depart([u for u in self._pods if u not in listed and u not in self._departed], now)
        for pod in listed.values():
            old = self._pods.get(pod.uid)
            if old is not None and old.addresses != pod.addresses:
                lost = tuple([a for a in old.addresses if a not in pod.addresses])
                self._addresses.hand_over(old, lost, None, (), self._departed, seen=False)
        for pod in listed.values():
            self._put(pod, seen=False)
        self.synced = True

    def _put(self, pod: PodFacts, *, seen: bool) -> None:
        if not (pod.uid and pod.name):
            return  # nothing that Kubernetes stores; an empty key would match every resource
        old = self._pods.get(pod.uid)
        if self._departed.pop(pod.uid, None) is None:
            if old == pod:
                return  # the same object stays, so that what was computed from it stays too
        elif old is not None:
            self._let_go(old)  # it lives after all; what it had may be another's by now
            old = None
        self._revise(old, pod, seen=seen)

    def _delete(self, pod: PodFacts, now: float) -> None:
        if not (pod.uid and pod.name):
            return
        old = self._pods.get(pod.uid)
        self._departed.pop(pod.uid, None)
        self._departed[pod.uid] = now
        if old != pod:
            self._revise(old, pod, seen=True)  # its last revision
        self._reconsider(pod)
        self.sweep(now)

    def _depart(self, uids: Iterable[str], now: float) -> None:
        for uid in uids:
            self._departed[uid] = now
            self._reconsider(self._pods[uid])
        self.sweep(now)

    def _reconsider(self, pod: PodFacts) -> None:
        for address in pod.addresses:
            self._addresses.reconsider(address, pod, self._departed)
        self._names.reconsider((pod.namespace, pod.name), pod, self._departed)

    def _forget(self, uid: str) -> None:
        del self._departed[uid]
        self._let_go(self._pods.pop(uid))

    def _let_go(self, pod: PodFacts) -> None:
        self._addresses.hand_over(pod, pod.addresses, None, (), self._departed, seen=False)
        self._names.hand_over(
            pod, ((pod.namespace, pod.name),), None, (), self._departed, seen=False
        )
        self._count_hosts(pod, -1)

    def _revise(self, old: PodFacts | None, pod: PodFacts, *, seen: bool) -> None:
        departed = self._departed
        self._pods[pod.uid] = pod
        had: tuple[str, ...] = ()
        called: tuple[tuple[str, str], ...] = ()
        if old is None:
            self._count_hosts(pod, 1)
        else:
            had, called = old.addresses, ((old.namespace, old.name),)
            if old.host != pod.host or HOST_NETWORK in {old.state, pod.state}:
                self._count_hosts(pod, 1)
                self._count_hosts(old, -1)
        name = (pod.namespace, pod.name)
        if had or pod.addresses:
            self._addresses.hand_over(old, had, pod, pod.addresses, departed, seen=seen)
        if old is not None and called[0] == name:  # always, but for histories that are made up
            self._names.renew(name, old, pod, departed)
        else:
            self._names.hand_over(old, called, pod, (name,), departed, seen=seen)

    def _count_hosts(self, pod: PodFacts, more: int) -> None:
        for address in _hosts_of(pod):
            count = self._hosts.get(address, 0) + more
            if count:
                self._hosts[address] = count
            else:
                del self._hosts[address]


def _hosts_of(pod: PodFacts) -> tuple[str, ...]:
    """Return the addresses of nodes that *pod* tells, each once."""
    if pod.state == HOST_NETWORK:
        return tuple(dict.fromkeys([a for a in (pod.host, *pod.withheld) if a]))
    return (pod.host,) if pod.host else ()
