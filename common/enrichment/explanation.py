"""Why a resource found its pod, or found none: every association in words for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, TypeAlias, final

from common.enrichment import association, pods

Outcome: TypeAlias = Literal[
    "found",
    "not_given",  # the resource, or the sender, says nothing of the kind
    "contradicted",  # a pod has it, but the resource itself says that it is another's
    "loopback",  # this machine's own address: nobody's
    "host",  # a node's own address: that of every pod on the host's network
    "several",  # living pods claim it, and nothing tells who is right
    "ended",  # a pod had it, and has ended; the address may be given to another
    "taken",  # a pod shows it still, but was seen to lose it to another that is gone
    "not_synced",  # no complete list of pods has arrived yet
    "unknown",  # no pod that we were told of has it, or it was deleted longer ago than the grace
]  # fmt: skip
MOST: Final = 10  # pods named in one sentence


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one association made of a resource; *pod* only if it was found by it."""

    by: association.By
    value: str
    outcome: Outcome
    pod: pods.PodFacts | None
    words: str


def attempts(known: association.Evidence, index: pods.PodIndex, now: float) -> tuple[Attempt, ...]:
    """Return what each association makes of *known*, in the order in which they are tried.

    The first that found one decides. *now* is on the clock of the index. Looks through all pods:
    for people who ask, not for every resource.
    """
    values = (known.address, known.uid, "/".join(known.name).strip("/"), known.peer)
    looked = zip(association.ASSOCIATIONS, values, association.lookups(known, index), strict=True)
    found: list[Attempt] = []
    for by, value, pod in looked:
        outcome, words = _outcome(known, value, pod, index, now)
        chosen = pod if outcome == "found" else None
        found.append(Attempt(by=by, value=value, outcome=outcome, pod=chosen, words=words))
    return tuple(found)


def departure(pod: pods.PodFacts, index: pods.PodIndex, now: float) -> str:
    """Say when *pod* was deleted and how long it is still found, "" while it lives."""
    since = index.departed_at(pod.uid)
    if since is None:
        return ""
    ago = max(0.0, now - since)
    return f"deleted {ago:.0f} s ago, found for {max(0.0, pods.GRACE - ago):.0f} s more"


def name_of(pod: pods.PodFacts) -> str:
    """Return ``namespace/name``."""
    return f"{pod.namespace}/{pod.name}"


def _outcome(
    known: association.Evidence,
    value: str,
    pod: pods.PodFacts | None,
    index: pods.PodIndex,
    now: float,
) -> tuple[Outcome, str]:
    if not value:
        return "not_given", ""
    if pod is not None:
        return _of_a_pod(known, pod, index, now)
    if value in {known.address, known.peer}:
        return _of_no_pod_with_address(value, index)
    if value != known.uid and (rivals := index.rivals(known.name)):
        return "several", f"uids {_listed(rival.uid for rival in rivals)}"
    return _of_nobody(index)


def _of_a_pod(
    known: association.Evidence, pod: pods.PodFacts, index: pods.PodIndex, now: float
) -> tuple[Outcome, str]:
    gone = departure(pod, index, now)
    if known.uid and known.uid != pod.uid:
        return "contradicted", f"{name_of(pod)} has uid {pod.uid}, the resource names another"
    name = (pod.namespace, pod.name)
    if known.name[1] and known.name != name and (gone or known.name in index.by_name):
        which = f"{name_of(pod)} ({gone})" if gone else name_of(pod)
        return "contradicted", f"it is the address of {which}, the resource names another pod"
    return "found", ", ".join([word for word in (pod.state, gone) if word])


def _of_no_pod_with_address(address: str, index: pods.PodIndex) -> tuple[Outcome, str]:
    if association.is_loopback(address):
        return "loopback", "this machine's own address: a sidecar, or a process beside us"
    if rivals := index.rivals(address):
        return "several", f"claimed by {_listed(map(name_of, rivals))}"
    if index.is_host(address):
        return "host", "a node's own address, which all pods on its network share"
    everybody = index.by_uid.values()
    ended = [p for p in everybody if address in p.withheld]
    if ended:
        names = (f"{name_of(p)} ({p.state})" for p in ended)
        return "ended", f"it was the address of {_listed(names)}"
    losers = [p for p in everybody if address in p.addresses]
    if losers:
        names = (name_of(p) for p in losers)
        return "taken", f"{_listed(names)} lost it to a pod that is gone"
    return _of_nobody(index)


def _of_nobody(index: pods.PodIndex) -> tuple[Outcome, str]:
    if not index.synced:
        return "not_synced", "no complete list of pods has arrived yet"
    return "unknown", f"no pod has it, and none did in the last {pods.GRACE:.0f} s"


def _listed(names: Iterable[str]) -> str:
    some = list(islice(names, MOST + 1))
    return ", ".join(some[:MOST]) + (", ..." if len(some) > MOST else "")
