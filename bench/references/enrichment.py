"""Enrichment as one would write it first: parse, look through all pods, edit, serialise.

Nothing here is shared with the code it is compared to but the inputs: pods as the API server lists
them, and rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from common.enrichment.attributes import Rules
from common.kube.objects import Container, Pod


@dataclass(frozen=True)
class Answer:
    resource: bytes
    namespace: str
    source: str
    pod: str  # uid, or "" for none


def enrich(
    resource: bytes, peer: str | None, *, trusted: bool, pods: Sequence[Pod], rules: Rules
) -> Answer:
    message = Resource.FromString(resource)
    said = {}
    for pair in message.attributes:
        if pair.value.HasField("string_value"):
            said.setdefault(pair.key, pair.value.string_value)
    pod = _find(said, None if trusted else peer, pods)
    empty = {key for key, value in said.items() if value == ""}
    there = {pair.key for pair in message.attributes} - empty
    service = said.get("service.name", "")
    if _unknown(service, rules):
        there.discard("service.name")
    missing = {
        key: value
        for key, value in (_wanted(pod, said, rules) | dict(rules.constants)).items()
        if value and key not in there
    }
    if pod is not None:  # what the pod says precedes the constants
        missing |= {k: v for k, v in _wanted(pod, said, rules).items() if v and k not in there}
    names_a_pod = any(said.get(f"k8s.pod.{key}") for key in ("uid", "ip")) or (
        said.get("k8s.pod.name") and said.get("k8s.namespace.name")
    )
    nobodys = trusted and not names_a_pod
    if rules.strategy == "kyma-legacy" and "service.name" not in there and not nobodys:
        final = missing | {k: v for k, v in said.items() if v}
        labels = (pod.metadata.labels or {}) if pod else {}
        names = [labels.get("app.kubernetes.io/name"), labels.get("app")] if pod else []
        kinds = ("deployment", "daemonset", "statefulset", "job", "pod")
        names += [final.get(f"k8s.{kind}.name") for kind in kinds]
        missing["service.name"] = next((n for n in [*names, service] if n), "unknown_service")
    kept = [
        pair
        for pair in message.attributes
        if pair.key not in missing and not pair.key.startswith("kyma.")
    ]
    for key, value in missing.items():
        pair = KeyValue(key=key)
        pair.value.string_value = value
        kept.append(pair)
    del message.attributes[:]
    message.attributes.extend(kept)
    namespace = said.get("k8s.namespace.name") or missing.get("k8s.namespace.name", "")
    source = (said.get("kyma.input.name") if trusted else "") or "otlp"
    return Answer(message.SerializeToString(), namespace, source, pod.metadata.uid if pod else "")


def _find(said: dict[str, str], peer: str | None, pods: Sequence[Pod]) -> Pod | None:
    def by_address(address: str | None) -> Pod | None:
        owners = [
            pod
            for pod in pods
            if not pod.spec.host_network
            and pod.status.phase not in ("Succeeded", "Failed")
            and address in [pod.status.pod_ip, *[a.ip for a in pod.status.pod_ips or ()]]
        ]
        return _youngest(owners) if address else None

    uid = said.get("k8s.pod.uid")
    if uid:  # nobody else's, whatever else is said
        return next((pod for pod in pods if pod.metadata.uid == uid), None)
    name = (said.get("k8s.namespace.name"), said.get("k8s.pod.name"))
    by_name = [pod for pod in pods if (pod.metadata.namespace, pod.metadata.name) == name]
    named = _youngest(by_name) if all(name) else None
    return named or by_address(said.get("k8s.pod.ip")) or by_address(peer)


def _youngest(owners: Sequence[Pod]) -> Pod | None:
    """Of pods in one list the last to start is right; of two that started at once, neither."""
    ages = [pod.status.start_time or pod.metadata.creation_timestamp or "" for pod in owners]
    last = [pod for pod, age in zip(owners, ages, strict=True) if age == max(ages)]
    return last[0] if len(last) == 1 else None


def _unknown(service: str, rules: Rules) -> bool:
    if rules.strategy == "otel":
        return service.startswith("unknown_service")
    return service == "unknown_service" or (
        service.startswith("unknown_service:") and service != "unknown_service:"
    )


def _wanted(pod: Pod | None, said: dict[str, str], rules: Rules) -> dict[str, str]:
    if pod is None:
        return {}
    meta, labels = pod.metadata, pod.metadata.labels or {}
    wanted = {
        "k8s.pod.name": meta.name,
        "k8s.pod.uid": meta.uid,
        "k8s.pod.ip": pod.status.pod_ip,
        "k8s.namespace.name": meta.namespace,
        "k8s.node.name": pod.spec.node_name,
        "k8s.pod.start_time": meta.creation_timestamp or "",
    }
    workload = _workload(pod)
    wanted |= {key: name for key, name in workload.items() if "replicaset" not in key}
    for key, value in labels.items():
        if key in rules.label_keys or any(key.startswith(p) for p in rules.label_prefixes):
            wanted[f"k8s.pod.label.{key}"] = value
    containers = pod.spec.containers or ()
    asked = said.get("k8s.container.name")
    if asked:
        chosen = [c for c in containers if c.name == asked]
    else:
        chosen = list(containers) if len(containers) == 1 else []
    if chosen:
        wanted["k8s.container.name"] = chosen[0].name
    if rules.strategy == "otel":
        wanted |= _service(pod, list(workload.values()), chosen)
    return wanted


def _workload(pod: Pod) -> dict[str, str]:
    for owner in pod.metadata.owner_references or ():
        kind, name = owner.kind, owner.name
        template = (pod.metadata.labels or {}).get("pod-template-hash")
        if kind == "ReplicaSet" and template and name.endswith("-" + template):
            return {"k8s.deployment.name": name[: -len(template) - 1]}
        if kind in ("ReplicaSet", "StatefulSet", "DaemonSet", "Job"):
            return {f"k8s.{kind.lower()}.name": name}
    return {}


def _service(pod: Pod, workloads: list[str], containers: list[Container]) -> dict[str, str]:
    meta, labels = pod.metadata, pod.metadata.labels or {}
    found = {"service.namespace": meta.namespace}
    app = [labels.get(f"app.kubernetes.io/{label}") for label in ("instance", "name")]
    found["service.name"] = next(name for name in [*app, *workloads, meta.name] if name)
    for container in containers:
        found["service.instance.id"] = f"{meta.namespace}.{meta.name}.{container.name}"
        found["service.version"] = container.image.rpartition("/")[2].partition(":")[2]
    if labels.get("app.kubernetes.io/version"):
        found["service.version"] = labels["app.kubernetes.io/version"]
    for key, value in (meta.annotations or {}).items():
        name = key.removeprefix("resource.opentelemetry.io/")
        if name != key and value and not name.startswith(("k8s.", "kyma.")):
            found[name] = value
    return found
