"""A Lease in the API server: how it is read and written, and what others wrote there kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from common.kube import client as kube, leadership, objects
from common.service import clock

GROUP: Final = "coordination.k8s.io"


class _Spec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct, frozen=True, kw_only=True):
    metadata: objects.Metadata = objects.Metadata()
    spec: _Spec | None = None


@dataclass(slots=True)
class Place:
    """Where the Lease is, and all that it said last: what others wrote there is kept."""

    client: kube.Client
    namespace: str
    name: str
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def leases(self) -> str:
        """The path of all Leases of the namespace."""
        return f"/apis/{GROUP}/v1/namespaces/{self.namespace}/leases"

    def take(self, body: bytes) -> leadership.Record:
        """Remember a Lease as the API server sent it.

        Raises :class:`msgspec.MsgspecError` or :class:`UnicodeDecodeError` if it is none.
        """
        document = msgspec.json.decode(body, type=dict[str, Any])
        lease = msgspec.convert(document, _Lease)
        self.document = document
        spec = lease.spec or _Spec()
        return leadership.Record(
            holder=spec.holder_identity or "",
            version=lease.metadata.resource_version,
            duration=float(spec.lease_duration_seconds or 0),
            transitions=spec.lease_transitions or 0,
        )

    async def read(self, *, fresh: bool) -> leadership.Record:
        """Ask for it; raises what `take` does, and :class:`client.Failure`."""
        params = None if fresh else {"resourceVersion": "0"}  # from the API server's cache
        return self.take(await self.client.get(f"{self.leases}/{self.name}", params))

    async def write(self, step: leadership.Write) -> str:
        """Carry *step* out; return the version that came of it. Raises as `read` does."""
        now = _micro_time(clock.unix_seconds())
        spec = {
            "holderIdentity": step.holder,
            "leaseDurationSeconds": step.duration,
            "leaseTransitions": step.transitions,
            "renewTime": now,
            **({"acquireTime": now} if step.acquires else {}),
        }
        if not step.version:
            body = await self.client.create(
                self.leases,
                {
                    "apiVersion": f"{GROUP}/v1",
                    "kind": "Lease",
                    "metadata": {"name": self.name, "namespace": self.namespace},
                    "spec": {**spec, "acquireTime": now},
                },
            )
        else:
            metadata = {**self.document.get("metadata", {}), "resourceVersion": step.version}
            whole = {**(self.document.get("spec") or {}), **spec}
            body = await self.client.replace(
                f"{self.leases}/{self.name}",
                {**self.document, "metadata": metadata, "spec": whole},
            )
        return self.take(body).version


def _micro_time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
