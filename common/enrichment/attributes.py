"""What a pod contributes to the resources it sends: identity, workload, service, labels.

Keys and precedence follow the OpenTelemetry semantic conventions for Kubernetes ("k8s attributes",
"Specify resource attributes using Kubernetes annotations") and, for ``kyma-legacy``, the rules of
the telemetry module that pipelines are compatible with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from common.enrichment import owners
from common.kube import objects

Attributes: TypeAlias = tuple[tuple[str, str], ...]
Strategy: TypeAlias = Literal["otel", "kyma-legacy"]

SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE: Final = "service.instance.id"
SERVICE_NAMESPACE: Final = "service.namespace"
CONTAINER: Final = "k8s.container.name"
NAMESPACE: Final = "k8s.namespace.name"
POD: Final = "k8s.pod.name"
POD_IP: Final = "k8s.pod.ip"
POD_UID: Final = "k8s.pod.uid"
INTERNAL: Final = "kyma."  # attributes that never leave the gateway
ANNOTATION: Final = "resource.opentelemetry.io/"
UNKNOWN: Final = "unknown_service"

_APP_LABELS: Final = ("app.kubernetes.io/instance", "app.kubernetes.io/name")
_LEGACY_LABELS: Final = ("app.kubernetes.io/name", "app")
_VERSION_LABEL: Final = "app.kubernetes.io/version"
_NAMING: Final = (
    owners.DEPLOYMENT,
    owners.REPLICASET,
    owners.STATEFULSET,
    owners.DAEMONSET,
    owners.CRONJOB,
    owners.JOB,
)
_LEGACY_NAMING: Final = (
    owners.DEPLOYMENT,
    owners.DAEMONSET,
    owners.STATEFULSET,
    owners.JOB,
    POD,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What to add, decided by configuration.

    ``constants`` go to every resource, pod or not. ``label_keys`` and ``label_prefixes`` choose pod
    labels, which become ``k8s.pod.label.<key>``.
    """

    strategy: Strategy = "otel"
    constants: Attributes = ()
    label_keys: frozenset[str] = frozenset()
    label_prefixes: tuple[str, ...] = ()


def of_pod(pod: objects.Pod, rules: Rules) -> Attributes:
    """Return what *pod* adds to a resource that does not say it itself; no value is empty.

    Everything that depends on which container sends is left to :func:`of_container`.
    """
    meta, labels = pod.metadata, pod.metadata.labels or {}
    workloads = owners.workloads(meta)
    found = {
        POD: meta.name,
        POD_UID: meta.uid,
        POD_IP: pod.status.pod_ip,
        NAMESPACE: meta.namespace,
        "k8s.node.name": pod.spec.node_name,
        # By convention the creation, not status.startTime: it is the one that never changes.
        "k8s.pod.start_time": meta.creation_timestamp or "",
        **{key: name for key, name in workloads.items() if key != owners.REPLICASET},
        **_extracted(labels, rules),
    }
    if rules.strategy == "otel":
        found[SERVICE_NAME] = _first(labels, _APP_LABELS) or _first(workloads, _NAMING) or meta.name
        found[SERVICE_NAMESPACE] = meta.namespace
        found[SERVICE_VERSION] = labels.get(_VERSION_LABEL, "")
        found |= _annotated(meta.annotations or {})
    return tuple([(key, value) for key, value in found.items() if value])


def containers(pod: objects.Pod, rules: Rules) -> Attributes:
    """Return the name of every container of *pod* with the version its image tells, or ""."""
    versions = rules.strategy == "otel"
    return tuple(
        [(c.name, image_version(c.image) if versions else "") for c in pod.spec.containers or ()]
    )


def of_container(
    known: Attributes, namespace: str, pod: str, name: str, rules: Rules
) -> Attributes:
    """Return what the sending container adds, *name* being what the resource says, or "".

    The only container of a pod is the one; of several, none is guessed.
    """
    chosen = known[0] if len(known) == 1 and not name else None
    for container in known:
        if container[0] == name:
            chosen = container
    if chosen is None:
        return ()
    found = ((CONTAINER, chosen[0]),)
    if rules.strategy != "otel":
        return found
    instance = (SERVICE_INSTANCE, f"{namespace}.{pod}.{chosen[0]}")
    return (*found, instance, (SERVICE_VERSION, chosen[1])) if chosen[1] else (*found, instance)


def legacy_label(pod: objects.Pod, rules: Rules) -> str:
    """Return the service name that the labels of *pod* give under ``kyma-legacy``, or ""."""
    if rules.strategy != "kyma-legacy":
        return ""
    return _first(pod.metadata.labels or {}, _LEGACY_LABELS)


def legacy_service_name(label: str, merged: Mapping[str, str], sent: str) -> str:
    """Return the service name under ``kyma-legacy`` for a resource that has none worth keeping.

    *label* is :func:`legacy_label` of its pod, *merged* the attributes it ends up with, *sent* what
    it called itself.
    """
    return label or _first(merged, _LEGACY_NAMING) or sent or UNKNOWN


def is_unknown_service(name: str, strategy: Strategy) -> bool:
    """Tell whether a service name is only what an SDK says when it was told none."""
    if strategy == "otel":
        return name.startswith(UNKNOWN)
    # ^unknown_service(:.+)?$ : near misses such as "unknown_service_test" are somebody's choice
    return name == UNKNOWN or (name.startswith(UNKNOWN + ":") and len(name) > len(UNKNOWN) + 1)


def image_version(image: str) -> str:
    """Return ``tag@digest``, the digest or the tag of an image reference, or ""."""
    name, _, digest = image.partition("@")
    _, _, last = name.rpartition("/")  # a registry may have a port, which is no tag
    _, _, tag = last.partition(":")
    return f"{tag}@{digest}" if tag and digest else digest or tag


def _first(found: Mapping[str, str], keys: Iterable[str]) -> str:
    for key in keys:
        if value := found.get(key):
            return value
    return ""


def _extracted(labels: Mapping[str, str], rules: Rules) -> dict[str, str]:
    if not rules.label_keys and not rules.label_prefixes:
        return {}
    return {
        f"k8s.pod.label.{key}": value
        for key, value in labels.items()
        if key in rules.label_keys or key.startswith(rules.label_prefixes)
    }


def _annotated(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return what annotations set; who a pod is, and what is ours, is not theirs to say."""
    return {
        key: value
        for name, value in annotations.items()
        if name.startswith(ANNOTATION)
        and value
        and (key := name.removeprefix(ANNOTATION))
        and not key.startswith(("k8s.", INTERNAL))
    }
