"""Whose resource is this: by address, by uid, by name, or by who sent it, in this order.

Unlike the Collector, which stops at the first association that is *present*, a miss here falls
through to the next: an unknown ``k8s.pod.ip`` must not hide a known peer. But no association finds
a pod that the resource itself contradicts, because addresses are given to the next pod while the
data of the last one is still on its way:

* a resource that names a uid is that pod's, or nobody's: a uid is never used twice;
* one that names a pod we know is that pod's, whoever has the address;
* one that names a pod we do not know is not a deleted one's, whose address is likely that of the
  pod named by now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal, Protocol, TypeAlias, final

from common.enrichment import attributes, pods

By: TypeAlias = Literal["address", "uid", "name", "peer"]
Cause: TypeAlias = Literal[
    "not_synced",  # no complete list of pods has arrived yet
    "unknown_address", "unknown_uid", "unknown_name",  # the resource names a pod we do not know
    "unknown_peer",  # only the sender's address was left, and no pod has it
    "loopback_peer",  # a sidecar or this machine: nobody's address
    "nothing_to_go_by",  # the resource names no pod, and the peer does not count
]  # fmt: skip
Identity: TypeAlias = tuple[Literal["uid", "name", "address"], str]
"""One thing that a pod is known by; names are ``namespace/name``."""
ASSOCIATIONS: Final[tuple[By, ...]] = ("address", "uid", "name", "peer")
CAUSES: Final[tuple[Cause, ...]] = (
    "not_synced", "unknown_address", "unknown_uid", "unknown_name", "unknown_peer",
    "loopback_peer", "nothing_to_go_by",
)  # fmt: skip


class Pods(Protocol):
    """Where pods are looked up, see :class:`common.enrichment.pods.PodIndex`."""

    @property
    def by_uid(self) -> Mapping[str, pods.PodFacts]: ...  # noqa: D102 - the protocol's names say it
    @property
    def by_address(self) -> Mapping[str, pods.PodFacts]: ...  # noqa: D102
    @property
    def by_name(self) -> Mapping[tuple[str, str], pods.PodFacts]: ...  # noqa: D102
    @property
    def synced(self) -> bool: ...  # noqa: D102

    def departed_at(self, uid: str) -> float | None: ...  # noqa: D102
    def is_host(self, address: str) -> bool: ...  # noqa: D102


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a resource and its sender say about its pod; "" where they say nothing."""

    address: str
    uid: str
    name: tuple[str, str]  # namespace, name: both, or two empty ones
    peer: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A pod that was not found: what pointed to it, and what it would become known by."""

    evidence: Evidence
    awaited: Identity


def evidence(said: Mapping[str, str], peer: str | None, *, use_peer: bool) -> Evidence:
    """Collect from the string attributes of a resource, and from *peer* if it may count."""
    name = (said.get(attributes.NAMESPACE, ""), said.get(attributes.POD, ""))
    return Evidence(
        address=pods.canonical(said.get(attributes.POD_IP, "")),
        uid=said.get(attributes.POD_UID, ""),
        name=name if all(name) else ("", ""),
        peer=pods.canonical(peer) if peer and use_peer else "",
    )


def locate(known: Evidence, index: Pods) -> pods.PodFacts | None:
    """Return the pod that *known* points to at this moment, and that it does not contradict.

    Runs for every resource of every request, memo or not, so it builds nothing: 0.2 µs. No pod
    has the empty string as uid, address or name, so what is absent simply misses.
    """
    if known.uid:
        return index.by_uid.get(known.uid)
    found = index.by_address.get(known.address) or index.by_address.get(known.peer)
    if not known.name[1]:
        return found
    named = index.by_name.get(known.name)
    if named is None and found is not None and index.departed_at(found.uid) is None:
        return found
    return named


def hit(known: Evidence, index: Pods) -> By | None:
    """Return the first association that finds the pod of `locate`, ``None`` if none does."""
    pod = locate(known, index)
    if pod is not None:
        for by, found in zip(ASSOCIATIONS, lookups(known, index), strict=True):
            if found is pod:
                return by
    return None


def cause(known: Evidence, index: Pods) -> Cause:
    """Say why nothing was found: the most specific thing that should have been."""
    if not index.synced:
        return "not_synced"
    if known.address and known.address not in index.by_address:
        return "unknown_address"
    if known.uid:  # or the address is known, but another pod's
        return "unknown_uid"
    if known.name[1]:
        return "unknown_name"
    if not known.peer:
        return "nothing_to_go_by"
    return "loopback_peer" if is_loopback(known.peer) else "unknown_peer"


def missing(known: Evidence, index: Pods) -> Missing | None:
    """Return the pod of *known*, which `locate` did not find, as one that may yet become known.

    ``None`` where no pod can be meant: nothing is said, or an address is left that cannot be a
    pod's own, being this machine's, a node's, or none at all.
    """
    if known.uid:
        return Missing(evidence=known, awaited=("uid", known.uid))
    if known.name[1]:
        return Missing(evidence=known, awaited=("name", "/".join(known.name)))
    for address in (known.address, known.peer):
        if address and _may_be_a_pods(address, index):
            return Missing(evidence=known, awaited=("address", address))
    return None


def mentioned(known: Evidence) -> tuple[Identity, ...]:
    """Return everything by which a pod that becomes known could be that of *known*."""
    if known.uid:
        return (("uid", known.uid),)
    found: list[Identity] = [("name", "/".join(known.name))] if known.name[1] else []
    found += [("address", a) for a in dict.fromkeys((known.address, known.peer)) if a]
    return tuple(found)


def identities(pod: pods.PodFacts) -> tuple[Identity, ...]:
    """Return everything that *pod* is known by."""
    return (
        ("uid", pod.uid),
        ("name", f"{pod.namespace}/{pod.name}"),
        *[("address", address) for address in pod.addresses],
    )


def is_loopback(address: str) -> bool:
    """Tell whether *address* is this machine's own: Istio's 127.0.0.6 is as good as any."""
    return address.startswith("127.") or address == "::1"


def lookups(known: Evidence, index: Pods) -> tuple[pods.PodFacts | None, ...]:
    """Return whom each of `ASSOCIATIONS` alone would find, contradicted or not."""
    return (
        index.by_address.get(known.address),
        index.by_uid.get(known.uid),
        index.by_name.get(known.name),
        index.by_address.get(known.peer),
    )


def _may_be_a_pods(address: str, index: Pods) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    nobodys = (
        parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast or parsed.is_link_local
    )
    return not nobodys and not index.is_host(address)
