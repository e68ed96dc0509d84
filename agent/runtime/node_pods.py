"""What must be known of a node's pods beyond what its kubelet measures. Pure.

The kubelet's summary knows neither the type of a volume nor what a container asked for; the API
server does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

import msgspec

from common.kube import objects, quantity, reflector

# Under this hash the kubelet knows the static pod that a pod of the API server mirrors;
# https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-hash
HASH: Final = "kubernetes.io/config.hash"
CLAIM: Final = "persistentVolumeClaim"


class Resources(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a container asks for, and what it may have at most (core/v1 ResourceRequirements)."""

    requests: dict[str, quantity.Given] | None = None
    limits: dict[str, quantity.Given] | None = None


class Container(objects.Container, frozen=True, kw_only=True, rename="camel", gc=False):
    """A container with its resources."""

    resources: Resources | None = None


class PodSpec(objects.PodSpec, frozen=True, kw_only=True, rename="camel", gc=False):
    """A pod's specification with resources and volumes.

    A volume is its name and one further key, which is its type. The gateway, which reads every pod
    of the cluster, does without all that.
    """

    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    volumes: tuple[dict[str, msgspec.Raw], ...] | None = None


class Pod(objects.Pod, frozen=True, kw_only=True, gc=False):
    """A pod (core/v1), as far as metrics of its node need it."""

    spec: PodSpec = PodSpec()


class Bounds(NamedTuple):
    """What was asked for and what is allowed, in cores and bytes; 0 where nothing was said."""

    cpu_request: float = 0.0
    cpu_limit: float = 0.0
    memory_request: float = 0.0
    memory_limit: float = 0.0


UNBOUNDED: Final = Bounds()


class Volume(NamedTuple):
    """Its type as the pod's specification has it (``emptyDir``), and the claim it is of, or ""."""

    type: str
    claim: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One pod of this node. *total* is of all its containers, 0 where one of them says nothing."""

    uid: str
    namespace: str
    name: str
    ip: str = ""
    hash: str = ""
    """What the kubelet calls it instead of its UID; "" unless it mirrors a static pod."""
    total: Bounds = UNBOUNDED
    containers: Mapping[str, Bounds] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)


UNKNOWN: Final = Facts(uid="", namespace="", name="")


@final
class Known:
    """The pods of this node by the UID that the kubelet uses."""

    __slots__ = ("_by_hash", "_by_uid")

    def __init__(self, pods: Iterable[Facts] = ()) -> None:
        self._by_uid: dict[str, Facts] = {}
        self._by_hash: dict[str, Facts] = {}
        self.replace(pods)

    def __len__(self) -> int:
        return len(self._by_uid)

    def get(self, uid: str) -> Facts:
        """Return what is known of a pod, `UNKNOWN` if nothing is."""
        return self._by_uid.get(uid) or self._by_hash.get(uid, UNKNOWN)

    def put(self, pod: Facts) -> None:
        """Note the latest about a pod."""
        self._by_uid[pod.uid] = pod
        if pod.hash:
            self._by_hash[pod.hash] = pod

    def remove(self, pod: Facts) -> None:
        """Forget a pod that is gone."""
        self._by_uid.pop(pod.uid, None)
        # Its successor may mirror the same static pod.
        if self._by_hash.get(pod.hash, UNKNOWN).uid == pod.uid:
            del self._by_hash[pod.hash]

    def replace(self, pods: Iterable[Facts]) -> None:
        """Note a complete list: other pods are gone."""
        self._by_uid, self._by_hash = {}, {}
        for pod in pods:
            self.put(pod)

    def changed(self, change: reflector.Change[Facts]) -> None:
        """Note what happened to pods."""
        reflector.applied(change, self.replace, self.put, self.remove)


def facts(pod: Pod) -> Facts:
    """Take from *pod* what is needed; never raises, whatever it says."""
    meta, spec = pod.metadata, pod.spec
    own = {container.name: _bounds(container) for container in spec.containers or ()}
    first = {container.name: _bounds(container) for container in spec.init_containers or ()}
    return Facts(
        uid=meta.uid,
        namespace=meta.namespace,
        name=meta.name,
        ip=pod.status.pod_ip,
        hash=(meta.annotations or {}).get(HASH, ""),
        # Init containers do not count, as in the Collector's receiver.
        total=_total(own.values()),
        containers=first | own,
        volumes=dict(filter(None, map(_volume, spec.volumes or ()))),
    )


def _bounds(container: Container) -> Bounds:
    resources = container.resources or Resources()
    requests, limits = resources.requests or {}, resources.limits or {}
    return Bounds(cores(requests), cores(limits), size(requests), size(limits))


def cores(given: Mapping[str, quantity.Given]) -> float:
    """Return how much CPU is *given*, 0 for nothing or nonsense."""
    return max(0, quantity.thousandths(given.get("cpu", 0)) or 0) / 1000


def size(given: Mapping[str, quantity.Given]) -> float:
    """Return how many bytes of memory are *given*, 0 for nothing or nonsense."""
    return float(max(0, quantity.whole(given.get("memory", 0)) or 0))


def _total(bounds: Iterable[Bounds]) -> Bounds:
    columns = list(zip(*bounds, strict=True))
    return Bounds(*(sum(column) if all(column) else 0.0 for column in columns))


def _volume(volume: Mapping[str, msgspec.Raw]) -> tuple[str, Volume] | None:
    kind = next((key for key in volume if key != "name"), "")
    name = _text(volume.get("name"))
    if not kind or not name:
        return None
    return name, Volume(kind, _claim(volume[kind]) if kind == CLAIM else "")


def _text(raw: msgspec.Raw | None) -> str:
    try:
        return msgspec.json.decode(raw or b'""', type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


class _Claim(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    claim_name: str = ""


def _claim(raw: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=_Claim).claim_name
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
