"""Whose resource is this: by address, by uid, by name, or by who sent it, in this order.

Unlike the Collector, which stops at the first association that is *present*, a miss here falls
through to the next: an unknown ``k8s.pod.ip`` must not hide a known peer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a resource and its sender say about its pod; "" where they say nothing."""

    address: str
    uid: str
    name: tuple[str, str]  # namespace, name: both, or two empty ones
    peer: str


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
    """Return the pod that *known* points to at this moment.

    Runs for every resource of every request, memo or not, so it builds nothing: 0.2 µs. No pod
    has the empty string as uid, address or name, so what is absent simply misses.
    """
    return (
        index.by_address.get(known.address)
        or index.by_uid.get(known.uid)
        or index.by_name.get(known.name)
        or index.by_address.get(known.peer)
    )


def hit(known: Evidence, index: Pods) -> By | None:
    """Return which association finds the pod, ``None`` if none does."""
    for by, found in zip(ASSOCIATIONS, _lookups(known, index), strict=True):
        if found is not None:
            return by
    return None


def cause(known: Evidence, index: Pods) -> Cause:
    """Say why nothing was found: the most specific thing that should have been."""
    if not index.synced:
        return "not_synced"
    if known.address:
        return "unknown_address"
    if known.uid:
        return "unknown_uid"
    if known.name[1]:
        return "unknown_name"
    if not known.peer:
        return "nothing_to_go_by"
    return "loopback_peer" if is_loopback(known.peer) else "unknown_peer"


def explain(known: Evidence, index: Pods) -> tuple[tuple[By, str, str], ...]:
    """Return for every association, in order, what was looked up and what came of it."""
    values = (known.address, known.uid, "/".join(known.name).strip("/"), known.peer)
    looked = zip(ASSOCIATIONS, values, _lookups(known, index), strict=True)
    return tuple(
        [
            (
                by,
                value,
                f"{pod.namespace}/{pod.name}" if pod else "unknown" if value else "not given",
            )
            for by, value, pod in looked
        ]
    )


def is_loopback(address: str) -> bool:
    """Tell whether *address* is this machine's own: Istio's 127.0.0.6 is as good as any."""
    return address.startswith("127.") or address == "::1"


def _lookups(known: Evidence, index: Pods) -> tuple[pods.PodFacts | None, ...]:
    return (
        index.by_address.get(known.address),
        index.by_uid.get(known.uid),
        index.by_name.get(known.name),
        index.by_address.get(known.peer),
    )
