"""What a kubelet says of its node: the fields of ``/stats/summary`` that we read. Pure.

Source: k8s.io/kubelet/pkg/apis/stats/v1alpha1, Summary. Nearly every field is optional there; what
is absent is ``None`` here, and never zero.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from common.wire import errors

Number = int | float | None
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class _Fields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Keys are in camel case."""


class Cpu(_Fields, frozen=True, kw_only=True):
    """CPUStats: a rate over a window of the kubelet's own, and a total."""

    usage_nano_cores: Number = None
    usage_core_nano_seconds: Number = None


class Memory(_Fields, frozen=True, kw_only=True):
    """MemoryStats; ``available_bytes`` is absent where there is no limit."""

    available_bytes: Number = None
    usage_bytes: Number = None
    working_set_bytes: Number = None
    rss_bytes: Number = None
    page_faults: Number = None
    major_page_faults: Number = None


class Filesystem(_Fields, frozen=True, kw_only=True):
    """FsStats."""

    available_bytes: Number = None
    capacity_bytes: Number = None
    used_bytes: Number = None
    inodes: Number = None
    inodes_free: Number = None
    inodes_used: Number = None


class Interface(_Fields, frozen=True, kw_only=True):
    """InterfaceStats."""

    name: str = ""
    rx_bytes: Number = None
    rx_errors: Number = None
    tx_bytes: Number = None
    tx_errors: Number = None


class Network(Interface, frozen=True, kw_only=True):
    """NetworkStats: the default interface, and all of them."""

    interfaces: tuple[Interface, ...] | None = None


class Container(_Fields, frozen=True, kw_only=True):
    """ContainerStats; ``rootfs`` is its writable layer."""

    name: str = ""
    start_time: str | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    rootfs: Filesystem | None = None
    logs: Filesystem | None = None


class Claim(_Fields, frozen=True, kw_only=True):
    """PVCReference."""

    name: str = ""


class Volume(Filesystem, frozen=True, kw_only=True):
    """VolumeStats."""

    name: str = ""
    claim: Claim | None = msgspec.field(default=None, name="pvcRef")


class Reference(_Fields, frozen=True, kw_only=True):
    """PodReference; the UID of a static pod is a hash that the API server does not know."""

    name: str = ""
    namespace: str = ""
    uid: str = ""


class Pod(_Fields, frozen=True, kw_only=True):
    """PodStats."""

    reference: Reference = msgspec.field(default=Reference(), name="podRef")
    start_time: str | None = None
    containers: tuple[Container, ...] | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    network: Network | None = None
    volumes: tuple[Volume, ...] | None = msgspec.field(default=None, name="volume")
    storage: Filesystem | None = msgspec.field(default=None, name="ephemeral-storage")


class Node(_Fields, frozen=True, kw_only=True):
    """NodeStats; ``system_containers`` are the kubelet, the container runtime and all pods."""

    node_name: str = ""
    start_time: str | None = None
    system_containers: tuple[Container, ...] | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    network: Network | None = None
    fs: Filesystem | None = None


class Summary(_Fields, frozen=True, kw_only=True):
    """All of it. A kubelet that measures nothing still names its node."""

    node: Node
    pods: tuple[Pod, ...] | None = None


_DECODER: Final = msgspec.json.Decoder(Summary)


def decode(body: bytes) -> Summary:
    """Read an answer of ``/stats/summary``.

    Raises :class:`~common.wire.errors.Malformed` for everything that is none.
    """
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError as error:
        raise errors.Malformed(f"not a summary: {error}") from error
    except UnicodeDecodeError as error:
        raise errors.Malformed(f"not a summary: byte {error.start} is not UTF-8") from error
    except RecursionError as error:
        raise errors.Malformed("not a summary: it is nested too deeply") from error


def started(text: str | None, now: int) -> int:
    """Return the start that *text* (RFC 3339) gives, in Unix nanoseconds, 0 if it gives none.

    Go writes the year 1 for a time that is not set; a start after *now* would say that a sum has
    not begun.
    """
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
        since = moment - _EPOCH
    except (ValueError, TypeError):  # TypeError: without a time zone
        return 0
    nanoseconds = since // _MICROSECOND * 1000
    return nanoseconds if 0 < nanoseconds <= now else 0
