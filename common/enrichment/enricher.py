"""Completes Resources with what is known about their pods, and remembers the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from common.config import input_names
from common.enrichment import association, attributes, pods
from common.wire import memo, otlp

ENTRY_BYTES: Final = 600  # measured: objects of one memo entry, apart from the bytes of resources
Key = tuple[bytes, str | None, bool]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Enriched:
    """A completed Resource, and what the pipelines ask about it."""

    resource: bytes
    namespace: str  # k8s.namespace.name as it now stands, or ""
    source: str  # the input it came by: "otlp", or what an agent says
    hit: association.By | association.Cause  # which association found its pod, or why none did
    missing: association.Missing | None  # the pod, if it was not found and may yet become known


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    evidence: association.Evidence
    pod: pods.PodFacts | None
    synced: bool
    enriched: Enriched


class Enricher:
    """Enriches resources by *rules* from *index*, remembering up to *memo_bytes*.

    ``hits`` and ``misses`` count resources by association and by cause, one each per call: what is
    held for its pod to become known counts when it comes and when it goes on.
    """

    __slots__ = ("_index", "_memo", "_rules", "hits", "misses")

    def __init__(self, rules: attributes.Rules, index: association.Pods, memo_bytes: int) -> None:
        self._rules = rules
        self._index = index
        self._memo: memo.Memo[Key, _Remembered] = memo.Memo(memo_bytes)
        self.hits: dict[str, int] = dict.fromkeys(association.ASSOCIATIONS, 0)
        self.misses: dict[str, int] = dict.fromkeys(association.CAUSES, 0)

    @property
    def memo(self) -> memo.Memo[Key, _Remembered]:
        """The memo, for its counters."""
        return self._memo

    def enrich(self, resource: bytes, peer: str | None, *, trusted: bool) -> Enriched:
        """Complete *resource* (an encoded Resource), sent from the address *peer*.

        *trusted* is what proved itself to be an agent: its ``kyma.input.name`` is believed, and
        its peer address is nobody's; where it names no pod (nodes, workloads, the cluster) it gets
        constants and nothing else. From anybody else the input is ``otlp``, whatever it says. No
        attribute that says something is changed; all that start with ``kyma.`` are removed. Raises
        :class:`common.wire.errors.Malformed`.
        """
        key = (resource, peer, trusted)
        found = self._memo.get(key)
        # Looked up anew each time, misses too: the pod may have changed, come or gone since, and a
        # few dict lookups cost less than any way to be told about it.
        if (
            found is None
            or found.pod is not association.locate(found.evidence, self._index)
            or found.synced is not self._index.synced
        ):
            found = self._compute(resource, peer, trusted=trusted)
            self._memo.put(key, found, ENTRY_BYTES + len(resource) + len(found.enriched.resource))
        enriched = found.enriched
        counts = self.misses if found.pod is None else self.hits
        counts[enriched.hit] += 1
        return enriched

    def adds(self, pod: pods.PodFacts | None) -> Mapping[str, str]:
        """Return what a resource that says nothing would get if it were *pod*'s."""
        return otlp.string_attributes(_complete(b"", {}, pod, self._rules)[0])

    def _compute(self, resource: bytes, peer: str | None, *, trusted: bool) -> _Remembered:
        index = self._index
        said = otlp.string_attributes(resource)
        known = association.evidence(said, peer, use_peer=not trusted)
        pod = association.locate(known, index)
        # What an agent tells of a node, or of a workload as a whole, is no service's.
        served = not trusted or bool(association.mentioned(known))
        # And what it measures of a pod, or of a container that it names, nobody in there has sent.
        sent = not trusted or said.get(input_names.ATTRIBUTE) != input_names.RUNTIME
        completed, namespace = _complete(resource, said, pod, self._rules, served=served, sent=sent)
        enriched = Enriched(
            resource=completed,
            namespace=namespace,
            source=(said.get(input_names.ATTRIBUTE) if trusted else None) or input_names.OTLP,
            hit=(pod and association.hit(known, index)) or association.cause(known, index),
            missing=association.missing(known, index) if pod is None else None,
        )
        return _Remembered(evidence=known, pod=pod, synced=index.synced, enriched=enriched)


def _complete(
    resource: bytes,
    said: Mapping[str, str],
    pod: pods.PodFacts | None,
    rules: attributes.Rules,
    *,
    served: bool = True,
    sent: bool = True,
) -> tuple[bytes, str]:
    """Return *resource* with what was missing, and the namespace it ends up with.

    Unless it is *served* by anybody, nobody needs a name to call it by. Unless it was *sent* from
    inside a pod, no container is guessed, and none is an instance of a service.
    """
    keys = otlp.attribute_keys(resource)
    empty = {key for key, value in said.items() if not value}
    present = {k for k in keys if k not in empty and not k.startswith(attributes.INTERNAL)}
    name = said.get(attributes.SERVICE_NAME, "")
    if name and attributes.is_unknown_service(name, rules.strategy):
        present.discard(attributes.SERVICE_NAME)
    added: dict[str, str] = {}
    for key, value in (*_of_pod(pod, said, rules, sent=sent), *rules.constants):
        if value and key not in present:
            added.setdefault(key, value)
    if served and rules.strategy == "kyma-legacy" and attributes.SERVICE_NAME not in present:
        label = pod.legacy_label if pod is not None else ""
        merged = added | {key: value for key, value in said.items() if value}
        added[attributes.SERVICE_NAME] = attributes.legacy_service_name(label, merged, name)
    kept = resource
    if not keys.isdisjoint(added) or any(key.startswith(attributes.INTERNAL) for key in keys):
        kept = otlp.without_attributes(
            resource, lambda key: key in added or key.startswith(attributes.INTERNAL)
        )
    entries = [otlp.attribute(key, value) for key, value in added.items()]
    namespace = said.get(attributes.NAMESPACE) or added.get(attributes.NAMESPACE, "")
    return b"".join((kept, *entries)) if entries else kept, namespace


def _of_pod(
    pod: pods.PodFacts | None, said: Mapping[str, str], rules: attributes.Rules, *, sent: bool
) -> attributes.Attributes:
    """Return what the pod adds; what labels and annotations say precedes what an image tells."""
    if pod is None:
        return ()
    if not sent:
        return tuple([pair for pair in pod.attributes if pair[0] != attributes.SERVICE_INSTANCE])
    container = said.get(attributes.CONTAINER, "")
    sender = attributes.of_container(pod.containers, pod.namespace, pod.name, container, rules)
    return (*pod.attributes, *sender)
