"""What is kept of Services and EndpointSlices: only what can make a target of this node. Pure.

Both are watched for the whole cluster, because the API server can select neither by node: what is
of no use here is dropped as soon as it is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from agent.discovery import annotations as asked
from common.kube import objects

SERVICE_LABEL: Final = "kubernetes.io/service-name"  # of a slice: whose endpoints it has
MAX_SERVICES: Final = 10_000  # that ask, in the whole cluster; further ones are not kept
ADDRESS_TYPES: Final = frozenset({"IPv4", "IPv6"})
Ports: TypeAlias = tuple[tuple[str, int], ...]
"""Names ("" for none) and numbers of TCP ports."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service and what it asks for; without ``notes.values`` nobody asks."""

    namespace: str
    name: str
    notes: asked.Notes
    ports: Ports = ()
    """The Service's own ports; those of its pods are in the slices."""

    @property
    def key(self) -> str:
        """Return "namespace/name"."""
        return f"{self.namespace}/{self.name}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Addresses on this node, and the pod behind them, if there is one."""

    addresses: tuple[str, ...]
    pod: str = ""
    uid: str = ""
    here: bool = True
    """Whether the slice itself says that it is on this node; else the pod has to be ours."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Endpoints of one Service, of one address family, that share their ports."""

    namespace: str
    name: str
    service: str
    """The name of the Service, in the same namespace."""
    ports: Ports = ()
    endpoints: tuple[Endpoint, ...] = ()
    elsewhere: int = field(default=0, compare=False)
    """How many endpoints of other nodes it has."""

    @property
    def key(self) -> str:
        """Return "namespace/name" of the slice."""
        return f"{self.namespace}/{self.name}"

    @property
    def service_key(self) -> str:
        """Return "namespace/name" of the Service."""
        return f"{self.namespace}/{self.service}"


def shrink_service(service: objects.Service) -> Service:
    """Keep of *service* its annotations and ports, and of one that does not ask only its name."""
    meta = service.metadata
    notes = asked.kept(meta.annotations)
    if "scrape" not in notes.values:
        return Service(namespace=meta.namespace, name=meta.name, notes=asked.NOTHING)
    return Service(
        namespace=meta.namespace,
        name=meta.name,
        notes=notes,
        ports=tuple(
            (port.name or "", port.port)
            for port in service.spec.ports or ()
            if port.protocol in {"TCP", None}
        ),
    )


def shrinking(node: str) -> Callable[[objects.EndpointSlice], Slice]:
    """Return what keeps of a slice the endpoints that are, or may be, on *node*."""

    def shrink(found: objects.EndpointSlice) -> Slice:
        meta, every = found.metadata, found.endpoints or ()
        service = (meta.labels or {}).get(SERVICE_LABEL, "")
        near = tuple(
            _near(endpoint, node)
            for endpoint in every
            if endpoint.addresses and _may_be_here(endpoint, node)
        )
        if not near or not service or found.address_type not in ADDRESS_TYPES:
            return Slice(namespace=meta.namespace, name=meta.name, service=service)
        return Slice(
            namespace=meta.namespace,
            name=meta.name,
            service=service,
            ports=tuple(
                (port.name or "", port.port)
                for port in found.ports or ()
                if port.port and port.protocol in {"TCP", None}
            ),
            endpoints=near,
            elsewhere=len(every) - len(near),
        )

    return shrink


def _may_be_here(endpoint: objects.Endpoint, node: str) -> bool:
    if endpoint.node_name:
        return endpoint.node_name == node
    # Without a node only a pod can tell; that we know none of that name is decided later.
    return endpoint.target_ref is not None and endpoint.target_ref.kind == "Pod"


def _near(endpoint: objects.Endpoint, node: str) -> Endpoint:
    reference = endpoint.target_ref
    pod = reference if reference is not None and reference.kind == "Pod" else None
    return Endpoint(
        addresses=endpoint.addresses or (),
        pod=pod.name if pod else "",
        uid=pod.uid if pod else "",
        here=endpoint.node_name == node,
    )
