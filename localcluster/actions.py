"""What a controller decides to do, and the doing of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from localcluster import patches
from localcluster.errors import StatusError
from localcluster.kinds import Kind, Object
from localcluster.store import Store

_OVERTAKEN = frozenset({"NotFound", "Conflict", "AlreadyExists", "Forbidden"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Store a new object."""

    kind: Kind
    item: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Merge *patch* into an object, or into its status, as long as it is still the same object."""

    kind: Kind
    item: Object
    patch: Object
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete an object, as long as it is still the same object."""

    kind: Kind
    item: Object
    grace: float | None = None


Action = Create | Edit | Delete


def carry_out(store: Store, actions: Iterable[Action]) -> list[StatusError]:
    """Do *actions* in order; return the refusals that only mean that the world has moved on.

    Whoever is level-triggered looks again and decides anew. Other refusals are raised: they say
    that a controller wrote something that is no valid object.
    """
    overtaken = []
    for action in actions:
        try:
            _do(store, action)
        except StatusError as error:
            if error.reason not in _OVERTAKEN:
                raise
            overtaken.append(error)
    return overtaken


def _do(store: Store, action: Action) -> None:
    match action:
        case Create(kind=kind, item=item):
            store.create(kind, item)
        case Edit(kind=kind, item=item, patch=patch, subresource=subresource):
            metadata = item["metadata"]
            patch = {**patch, "metadata": {**patch.get("metadata", {}), "uid": metadata["uid"]}}
            store.change(
                kind,
                metadata.get("namespace", ""),
                metadata["name"],
                lambda current: patches.patched(kind, current, patch, patches.MERGE),
                subresource=subresource,
            )
        case Delete(kind=kind, item=item, grace=grace):
            metadata = item["metadata"]
            where = (metadata.get("namespace", ""), metadata["name"])
            store.delete(kind, *where, uid=metadata["uid"], grace=grace)
        case _ as never:
            assert_never(never)
