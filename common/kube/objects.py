"""The few fields of Kubernetes objects that we read, and decoders that build nothing else.

Field names and meanings are those of the Kubernetes API reference (core/v1 Pod and Service;
discovery.k8s.io/v1 EndpointSlice; meta/v1 ListMeta, Status, WatchEvent). Lists may arrive as JSON
``null`` wherever Go left a slice nil, hence the unions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Protocol, TypeVar, cast

import msgspec

Item = TypeVar("Item")
Shrunk = TypeVar("Shrunk")
Verb = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
TERMINAL: Final = frozenset({"Succeeded", "Failed"})  # phases from which a pod never returns


class OwnerReference(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Who made an object (meta/v1 OwnerReference)."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Identity of an object; timestamps stay RFC 3339 text, "" or ``None`` when unset."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    creation_timestamp: str | None = None


class ContainerPort(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A port that a container declares; undeclared ports work just as well."""

    name: str = ""
    container_port: int = 0
    protocol: str = "TCP"


class Container(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A container as it was asked for."""

    name: str = ""
    image: str = ""
    ports: tuple[ContainerPort, ...] | None = None
    restart_policy: str | None = None
    """"Always" makes an init container a sidecar that runs as long as the pod does."""


class PodSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Where a pod runs and what it runs."""

    node_name: str = ""
    host_network: bool = False
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None


class PodAddress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One of the addresses of a dual-stack pod."""

    ip: str = ""


class PodStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What has become of a pod."""

    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[PodAddress, ...] | None = msgspec.field(default=None, name="podIPs")
    host_ip: str = msgspec.field(default="", name="hostIP")
    start_time: str | None = None


class Pod(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A pod (core/v1)."""

    metadata: Metadata = Metadata()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ServicePort(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A port of a Service; pods may listen on another."""

    name: str | None = None
    port: int = 0
    protocol: str | None = None


class ServiceSpec(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a Service offers."""

    ports: tuple[ServicePort, ...] | None = None


class Service(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A Service (core/v1)."""

    metadata: Metadata = Metadata()
    spec: ServiceSpec = ServiceSpec()


class ObjectReference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Another object that is meant (core/v1 ObjectReference)."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Somebody who serves, ready or not (discovery.k8s.io/v1 Endpoint)."""

    addresses: tuple[str, ...] | None = None
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A port of all endpoints of a slice: what pods listen on, ``None`` for every port."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class EndpointSlice(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Some of the endpoints of a Service, of one address family (discovery.k8s.io/v1)."""

    metadata: Metadata = Metadata()
    address_type: str = ""
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class ListMetadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Where a list stands: its version, and the token of the next page or ""."""

    resource_version: str = ""
    next_page: str = msgspec.field(default="", name="continue")


class ObjectList(msgspec.Struct, Generic[Item], frozen=True, kw_only=True, gc=False):
    """One page of a list of any kind."""

    metadata: ListMetadata = ListMetadata()
    items: tuple[Item, ...] | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a request or a watch failed (meta/v1 Status)."""

    code: int = 0
    reason: str = ""
    message: str = ""


NO_STATUS: Final = Status()


class Described(Protocol):
    """Anything that Kubernetes stores."""

    @property
    def metadata(self) -> Metadata:
        """Identity and version."""
        ...


Object = TypeVar("Object", bound=Described)


class _Versioned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    metadata: Metadata = Metadata()


class _WatchLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    type: Verb
    object: msgspec.Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list; ``next_page`` is "" on the last one."""

    items: tuple[Item, ...]
    version: str
    next_page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent(Generic[Item]):
    """One line of a watch: an object with its version, a bookmark (version only), or an error."""

    verb: Verb
    version: str = ""
    item: Item | None = None
    error: Status = NO_STATUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder(Generic[Item]):
    """Turns bytes of the API server into pages and events of one kind of item.

    Both callables raise :class:`msgspec.DecodeError` or :class:`UnicodeDecodeError` when the bytes
    are not what they should be.
    """

    page: Callable[[bytes], Page[Item]]
    event: Callable[[bytes], WatchEvent[Item]]


def decoder(kind: type[Object], shrink: Callable[[Object], Shrunk]) -> Decoder[Shrunk]:
    """Decode *kind* (one of the structs above) and keep only what *shrink* makes of each object.

    Shrinking happens page by page, so that a list of 10,000 objects is never whole in memory.
    """
    # mypy cannot subscript a generic with a runtime value; msgspec can.
    of_list: msgspec.json.Decoder[Any] = msgspec.json.Decoder(ObjectList[kind])  # type: ignore[valid-type]
    of_line = msgspec.json.Decoder(_WatchLine)
    of_object = msgspec.json.Decoder(kind)
    of_bookmark = msgspec.json.Decoder(_Versioned)
    of_status = msgspec.json.Decoder(Status)

    def page(body: bytes) -> Page[Shrunk]:
        listed = cast("ObjectList[Object]", of_list.decode(body))
        return Page(
            items=tuple([shrink(item) for item in listed.items or ()]),
            version=listed.metadata.resource_version,
            next_page=listed.metadata.next_page,
        )

    def event(line: bytes) -> WatchEvent[Shrunk]:
        read = of_line.decode(line)
        if read.type == "ERROR":
            return WatchEvent(verb="ERROR", error=of_status.decode(read.object))
        if read.type == "BOOKMARK":
            version = of_bookmark.decode(read.object).metadata.resource_version
            return WatchEvent(verb="BOOKMARK", version=version)
        found = of_object.decode(read.object)
        return WatchEvent(
            verb=read.type, version=found.metadata.resource_version, item=shrink(found)
        )

    return Decoder(page=page, event=event)


def itself(item: Object) -> Object:
    """Shrink to nothing less: the whole struct, for :func:`decoder`."""
    return item


def status_of(body: bytes) -> Status:
    """Read a Status from the body of a failed request; an empty one if it is something else."""
    try:
        return msgspec.json.decode(body, type=Status)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
    ):  # a proxy in between answers HTML; the HTTP status must do
        return NO_STATUS
