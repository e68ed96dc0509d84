"""From a container's specification to what is run: program, arguments, environment, probe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcluster.kinds import Object

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_PLAIN_FIELDS: Mapping[str, tuple[str, str]] = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "metadata.uid": ("metadata", "uid"),
    "spec.nodeName": ("spec", "nodeName"),
    "spec.serviceAccountName": ("spec", "serviceAccountName"),
}


class ConfigError(ValueError):
    """A specification that this kubelet cannot run; the message goes into the Pod's status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a Pod lives."""

    pod: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One container, ready to start."""

    arguments: tuple[str, ...]  # the program first
    environment: Mapping[str, str]
    directory: str  # "" is the Pod's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A readiness probe; *path* is empty for a mere connection. Times are in seconds."""

    host: str
    port: int
    path: str = ""
    headers: Mapping[str, str]
    delay: float
    period: float
    timeout: float
    successes: int
    failures: int


def program(
    pod: Object,
    container: Object,
    addresses: Addresses,
    *,
    base: Mapping[str, str],
    entrypoints: Mapping[str, Sequence[str]],
) -> Program:
    """Resolve what *container* runs, as Kubernetes would.

    *base* is the environment that an image would bring; *entrypoints* stand in for the images:
    what an image runs when the container has no command. Raises :class:`ConfigError`.
    """
    for unsupported in ("envFrom", "lifecycle"):
        if container.get(unsupported):
            raise ConfigError(f"{unsupported} is not supported here; leave it out")
    environment = _environment(pod, container, addresses, base)
    command = container.get("command") or entrypoints.get(container.get("image", ""), ())
    if not command:
        raise ConfigError(
            f"no command specified, and the image {container.get('image', '')!r} has no entrypoint"
            f" here; known images: {', '.join(sorted(entrypoints)) or 'none'}"
        )
    words = [*command, *(container.get("args") or ())]
    arguments = tuple(expand(str(word), environment) for word in words)
    if any("\0" in text for text in (*arguments, *environment, *environment.values())):
        raise ConfigError("neither arguments nor environment may hold a zero byte")
    return Program(
        arguments=arguments,
        environment=environment,
        directory=container.get("workingDir", ""),
    )


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)``; ``$$`` is a dollar sign, and an unknown name stays as it is written."""

    def answer(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return _REFERENCE.sub(answer, text)


def probe(container: Object, address: str) -> Probe | None:
    """Read the readiness probe; raises :class:`ConfigError` for a kind of probe not known here."""
    spec = container.get("readinessProbe")
    if not spec:
        return None
    action = spec.get("httpGet") or spec.get("tcpSocket")
    if action is None:
        raise ConfigError("of readiness probes only httpGet and tcpSocket are supported here")
    if action.get("scheme", "HTTP") != "HTTP":
        raise ConfigError("readiness probes speak plain HTTP here; leave out the scheme")
    return Probe(
        host=action.get("host") or address,
        port=_port(container, action.get("port")),
        path=(action.get("path") or "/") if "httpGet" in spec else "",
        headers={h["name"]: h["value"] for h in action.get("httpHeaders") or ()},
        delay=float(spec.get("initialDelaySeconds", 0)),
        period=float(spec.get("periodSeconds", 10)),
        timeout=float(spec.get("timeoutSeconds", 1)),
        successes=int(spec.get("successThreshold", 1)),
        failures=int(spec.get("failureThreshold", 3)),
    )


def _environment(
    pod: Object, container: Object, addresses: Addresses, base: Mapping[str, str]
) -> dict[str, str]:
    environment = {**base, "HOSTNAME": pod["metadata"]["name"]}
    for entry in container.get("env") or ():
        name = str(entry.get("name") or "")
        if not name or "=" in name:
            raise ConfigError(f"env: {name!r} cannot be the name of a variable")
        source = entry.get("valueFrom")
        if not source:
            # A variable may refer to those before it.
            environment[name] = expand(str(entry.get("value") or ""), environment)
        elif "fieldRef" in source:
            path = source["fieldRef"].get("fieldPath", "")
            environment[name] = _field(pod, addresses, path, name)
        else:
            kinds = ", ".join(source)
            raise ConfigError(f"env {name}: valueFrom.{kinds} is not supported here, only fieldRef")
    return environment


def _field(pod: Object, addresses: Addresses, path: str, name: str) -> str:
    if path in {"status.podIP", "status.podIPs"}:
        return addresses.pod
    if path in {"status.hostIP", "status.hostIPs"}:
        return addresses.host
    if path in _PLAIN_FIELDS:
        section, field = _PLAIN_FIELDS[path]
        return str(pod[section].get(field) or "")
    if found := _SUBSCRIPT.fullmatch(path):
        return str((pod["metadata"].get(found[1]) or {}).get(found[2], ""))
    raise ConfigError(f"env {name}: the field {path!r} is not supported by the downward API")


def _port(container: Object, port: Any) -> int:
    """Return a port by number or by the name that the container gives it."""
    if isinstance(port, int):
        return port
    for known in container.get("ports") or ():
        if known.get("name") == port:
            return int(known["containerPort"])
    raise ConfigError(f"the readiness probe's port {port!r} is no port of the container")
