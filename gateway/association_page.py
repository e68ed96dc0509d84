"""The page that explains an association: who an address, a uid or a name is, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from common.enrichment import association, attributes, explanation, pods
from common.service import health

PARAMETERS: Final = ("ip", "uid", "name", "peer")
MOST_CHARACTERS: Final = 512  # of one value; a name with its namespace has 317 at most
USAGE: Final = (
    "give ip=ADDRESS, uid=UID or name=NAMESPACE/POD, or several of them as one resource would "
    "say them, and peer=ADDRESS where the sender's differs from ip"
)


class Enricher(Protocol):
    """Completes resources, see :class:`common.enrichment.enricher.Enricher`."""

    def adds(self, pod: pods.PodFacts | None) -> Mapping[str, str]:
        """Return what a resource that says nothing would get if it were *pod*'s."""
        ...


class Doorstep(Protocol):
    """Where data waits, see :class:`gateway.fresh_pods.Doorstep`."""

    def waiting(self, identity: association.Identity) -> dict[str, object] | None:
        """Return what waits for *identity*, as plain values, or ``None``."""
        ...

    def in_vain(self, identity: association.Identity) -> bool:
        """Say whether *identity* was waited for in vain."""
        ...


def explaining(
    enricher: Enricher,
    index: pods.PodIndex,
    doorstep: Doorstep,
    *,
    status: Callable[[], str],
    now: Callable[[], float],
) -> health.Page:
    """Return the page ``/debug/enrichment``.

    *status* says how the informer is doing, *now* is the clock of *index*. Everything shown is what
    the API server tells of pods, and of that only what enrichment keeps.
    """

    def page(query: Mapping[str, str]) -> dict[str, object]:
        known = evidence(query)
        pod = association.locate(known, index)
        moment = now()
        waiting = [(i, doorstep.waiting(i)) for i in association.mentioned(known)]
        return {
            "asked": {key: query[key] for key in PARAMETERS if key in query},
            "kubernetes": status(),
            "found": pod is not None,
            "by": association.hit(known, index),
            "cause": None if pod is not None else association.cause(known, index),
            "tried": [
                {"association": a.by, "value": a.value, "outcome": a.outcome, "words": a.words}
                | ({"pod": explanation.name_of(a.pod)} if a.pod is not None else {})
                for a in explanation.attempts(known, index, moment)
            ],
            "pod": None if pod is None else _pod(pod, index, moment),
            "adds": dict(enricher.adds(pod)),
            "held": {_words(identity): held for identity, held in waiting if held is not None},
            "waited_in_vain": [_words(i) for i, _ in waiting if doorstep.in_vain(i)],
        }

    return page


def evidence(query: Mapping[str, str]) -> association.Evidence:
    """Read what a resource would say; raises :class:`common.service.health.BadQuery`."""
    unknown = sorted(set(query) - set(PARAMETERS))
    if unknown:
        raise health.BadQuery(f"unknown parameter {unknown[0][:MOST_CHARACTERS]!r}; {USAGE}")
    given = {key: query[key] for key in PARAMETERS if query.get(key)}
    if not given:
        raise health.BadQuery(f"nothing is asked for; {USAGE}")
    for key, value in given.items():
        if len(value) > MOST_CHARACTERS:
            raise health.BadQuery(
                f"{key} has {len(value)} characters, the limit is {MOST_CHARACTERS}"
            )
        if key in {"ip", "peer"} and not pods.is_address(value):
            raise health.BadQuery(f"{key}={value} is not an IP address; {USAGE}")
    namespace, slash, name = given.get("name", "").partition("/")
    if "name" in given and not (namespace and slash and name and "/" not in name):
        raise health.BadQuery(f"name={given['name']} is not NAMESPACE/POD; {USAGE}")
    said = {
        attributes.POD_IP: given.get("ip", ""),
        attributes.POD_UID: given.get("uid", ""),
        attributes.NAMESPACE: namespace,
        attributes.POD: name,
    }
    return association.evidence(said, given.get("peer") or given.get("ip"), use_peer=True)


def _pod(pod: pods.PodFacts, index: pods.PodIndex, now: float) -> dict[str, object]:
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "addresses": pod.addresses,
        "withheld_addresses": pod.withheld,
        "state": pod.state or "its addresses identify it",
        "deleted": explanation.departure(pod, index, now) or None,
        "since": pod.since,
        "node_address": pod.host,
        "containers": [name for name, _ in pod.containers],
    }


def _words(identity: association.Identity) -> str:
    return "=".join(identity)
