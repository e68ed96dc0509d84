"""What the API server fills in and refuses before an object is stored: defaults and validation."""

from __future__ import annotations

import re
from typing import Any

from localcluster import errors, kinds, selectors
from localcluster.kinds import Kind, Object

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?")
MAX_NAME = 253


def admit(kind: Kind, item: Object) -> None:
    """Fill in the defaults of *item*, whose :func:`shape` is right, in place, and check it.

    Raises ``StatusError`` 400 or 422.
    """
    fill = _DEFAULTS.get((kind.group, kind.resource))
    if fill is not None:
        fill(item)
    _metadata(kind, item)
    check = _CHECKS.get((kind.group, kind.resource))
    if check is not None:
        check(kind, item)


def shape(kind: Kind, item: Object) -> None:
    """Check that *item* is an object of *kind* at all, and complete its outermost keys in place."""
    if not isinstance(item, dict):
        raise errors.bad_request(f"a {kind.name} is a JSON object, got {type(item).__name__}")
    for section in ("metadata", "spec", "status"):
        if item.get(section) is None:
            item.pop(section, None)
        elif not isinstance(item[section], dict):
            raise errors.bad_request(f"{kind.name}: {section} must be an object")
    item.setdefault("metadata", {})
    for given, wanted, key in (
        (item.setdefault("apiVersion", kind.api_version), kind.api_version, "apiVersion"),
        (item.setdefault("kind", kind.name), kind.name, "kind"),
    ):
        if given != wanted:
            raise errors.bad_request(
                f"the {key} in the data ({given}) does not match the expected one ({wanted})"
            )


def place(kind: Kind, item: Object, namespace: str) -> str:
    """Return the namespace of the path or of the manifest, which must agree; write it down.

    Raises ``StatusError`` 400 when they do not.
    """
    metadata = item["metadata"]
    given = metadata.get("namespace") or ""
    if not kind.namespaced:
        metadata.pop("namespace", None)
        return ""
    if namespace and given and namespace != given:
        raise errors.bad_request(
            f"the namespace of the provided object ({given}) does not match the namespace"
            f" sent on the request ({namespace})"
        )
    metadata["namespace"] = namespace or given or "default"
    return str(metadata["namespace"])


def _metadata(kind: Kind, item: Object) -> None:
    metadata = item["metadata"]
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise errors.invalid(kind, "", "metadata.name", "name or generateName is required")
    rule = _LABEL if kind in {kinds.NAMESPACES, kinds.SERVICES} else _SUBDOMAIN
    if len(name) > (63 if rule is _LABEL else MAX_NAME) or not rule.fullmatch(name):
        raise errors.invalid(
            kind, name, "metadata.name",
            f'"{name}" must be lower case alphanumeric characters, "-" or ".", and short enough',
        )  # fmt: skip
    for section in ("labels", "annotations"):
        values = metadata.get(section)
        if values is None:
            metadata.pop(section, None)
        elif not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise errors.bad_request(
                f"{kind.name} {name!r}: metadata.{section} must map to strings"
            )
    for key, value in (metadata.get("labels") or {}).items():
        if len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            raise errors.invalid(
                kind, name, "metadata.labels",
                f'"{value}" of {key} must be at most 63 alphanumeric characters, "-", "_" or "."',
            )  # fmt: skip


def _fill_namespace(item: Object) -> None:
    labels = item["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = item["metadata"].get("name", "")
    item.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    item.setdefault("status", {}).setdefault("phase", "Active")


def _fill_pod(item: Object) -> None:
    _fill_pod_spec(item.setdefault("spec", {}))


def _fill_pod_spec(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("serviceAccountName", "default")
    for container in spec.get("containers") or []:
        if isinstance(container, dict):
            for port in container.get("ports") or []:
                port.setdefault("protocol", "TCP")


def _fill_service(item: Object) -> None:
    spec = item.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    # Nothing answers on a virtual address here; pods are reached by their own, as behind any
    # headless Service.
    spec.setdefault("clusterIP", "None")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _fill_workload(item: Object) -> None:
    template = item.setdefault("spec", {}).setdefault("template", {})
    template.setdefault("metadata", {})
    _fill_pod_spec(template.setdefault("spec", {}))


def _fill_deployment(item: Object) -> None:
    _fill_workload(item)
    item["spec"].setdefault("replicas", 1)
    item["spec"].setdefault("revisionHistoryLimit", 10)
    item["spec"].setdefault("strategy", {"type": "RollingUpdate"})


def _fill_replicas(item: Object) -> None:
    _fill_workload(item)
    item["spec"].setdefault("replicas", 1)


def _fill_daemonset(item: Object) -> None:
    _fill_workload(item)
    item["spec"].setdefault("revisionHistoryLimit", 10)
    item["spec"].setdefault("updateStrategy", {"type": "RollingUpdate"})


def _fill_job(item: Object) -> None:
    spec = item.setdefault("spec", {})
    template = spec.setdefault("template", {}).setdefault("spec", {})
    template.setdefault("restartPolicy", "")  # unlike elsewhere, it has to be said
    _fill_workload(item)
    for key, value in (("completions", 1), ("parallelism", 1), ("backoffLimit", 6)):
        spec.setdefault(key, value)


def _fill_secret(item: Object) -> None:
    item.setdefault("type", "Opaque")


def _check_pod(kind: Kind, item: Object) -> None:
    _check_containers(kind, item["metadata"]["name"], "spec.containers", item["spec"])


def _check_containers(kind: Kind, name: str, field: str, spec: Object) -> None:
    containers = spec.get("containers")
    if not isinstance(containers, list) or not containers:
        raise errors.invalid(kind, name, field, "Required value")
    seen: set[str] = set()
    for i, container in enumerate(containers):
        own = container.get("name") if isinstance(container, dict) else None
        if not isinstance(own, str) or not _LABEL.fullmatch(own) or own in seen:
            raise errors.invalid(kind, name, f"{field}[{i}].name", "must be a unique DNS label")
        seen.add(own)


def _check_workload(kind: Kind, item: Object) -> None:
    name, spec = item["metadata"]["name"], item["spec"]
    if not spec.get("selector"):
        raise errors.invalid(kind, name, "spec.selector", "Required value")
    if not selectors.from_object(spec["selector"]).matches(spec["template"]):
        raise errors.invalid(
            kind,
            name,
            "spec.template.metadata.labels",
            "`selector` does not match template `labels`",
        )
    _check_containers(kind, name, "spec.template.spec.containers", spec["template"]["spec"])


def _check_job(kind: Kind, item: Object) -> None:
    name, template = item["metadata"]["name"], item["spec"]["template"]["spec"]
    if template["restartPolicy"] not in {"OnFailure", "Never"}:
        raise errors.invalid(
            kind, name, "spec.template.spec.restartPolicy",
            'Required value: valid values: "OnFailure", "Never"',
        )  # fmt: skip
    _check_containers(kind, name, "spec.template.spec.containers", template)


_DEFAULTS: dict[tuple[str, str], Any] = {
    ("", "namespaces"): _fill_namespace,
    ("", "pods"): _fill_pod,
    ("", "services"): _fill_service,
    ("", "secrets"): _fill_secret,
    ("apps", "deployments"): _fill_deployment,
    ("apps", "daemonsets"): _fill_daemonset,
    ("apps", "replicasets"): _fill_replicas,
    ("apps", "statefulsets"): _fill_replicas,
    ("batch", "jobs"): _fill_job,
}
_CHECKS: dict[tuple[str, str], Any] = {
    ("", "pods"): _check_pod,
    ("batch", "jobs"): _check_job,
} | {
    ("apps", resource): _check_workload
    for resource in ("deployments", "daemonsets", "replicasets", "statefulsets")
}
