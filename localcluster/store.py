"""The objects of the cluster: written one at a time, read in pages, followed by revision."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from localcluster import admission, deletion, errors, kinds, pages, selectors
from localcluster.history import Change, Event, History, Key, Record
from localcluster.kinds import Kind, Object
from localcluster.pages import Page
from localcluster.selectors import Selection

SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so that no word appears in a name
_KEPT = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much the store holds, in bytes of JSON."""

    object_bytes: int = 1536 << 10  # what etcd takes
    total_bytes: int = 256 << 20
    history_bytes: int = 32 << 20


class Store:
    """Every object, by group, resource, namespace and name.

    What is returned is borrowed: it is shared with the other readers and must not be changed; pass
    an editing function to :meth:`change`, which gets a copy. What is passed in is copied. *now* is
    the wall clock in Unix seconds, *entropy* gives that many random bytes. Not for threads.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        entropy: Callable[[int], bytes],
        bounds: Bounds | None = None,
        first_revision: int = 1,
    ) -> None:
        self.bounds = bounds or Bounds()
        self.size = 0  # bytes of JSON of all objects
        self.now = now  # Unix seconds
        self._entropy = entropy
        self._history = History(self.bounds.history_bytes, first_revision)
        self._objects: dict[tuple[str, str], dict[Key, Record]] = {}
        self._subscribers: list[Callable[[Change], None]] = []

    @property
    def revision(self) -> int:
        """The revision of the latest write."""
        return self._history.revision

    def timestamp(self, seconds_ahead: float = 0) -> str:
        """Return the time as Kubernetes writes it, in whole seconds."""
        return rfc3339(self.now() + seconds_ahead)

    def subscribe(self, call: Callable[[Change], None]) -> Callable[[], None]:
        """Have *call* called after every write, until the returned function is called."""
        self._subscribers.append(call)
        return lambda: self._subscribers.remove(call)

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Return one object, or ``None``."""
        record = self._table(kind).get(_key(kind, namespace, name))
        return record.value if record else None

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return one object; raises ``StatusError`` 404."""
        return self._record(kind, namespace, name).value

    def objects(self, kind: Kind, selection: Selection = selectors.ALL) -> list[Object]:
        """Return the selected objects by namespace and name."""
        table = self._table(kind)
        return [r.value for _, r in sorted(table.items()) if selection.matches(r.value)]

    def page(
        self,
        kind: Kind,
        selection: Selection = selectors.ALL,
        *,
        limit: int = 0,
        token: str = "",
        at: int | None = None,
    ) -> Page:
        """Return one page of at most *limit* objects (0: all), as they were at one revision.

        *token* continues an earlier page at that page's revision; *at* asks for an exact one.
        Raises ``StatusError`` 400 for a bad token and 410 when the history no longer reaches back.
        """
        return pages.cut(
            self._table(kind), kind, selection, self._history, limit=limit, token=token, at=at
        )

    def changes(self, since: int) -> Sequence[Change]:
        """Return what was written after revision *since*; raises ``StatusError`` 410."""
        return self._history.since(since)

    def create(
        self, kind: Kind, item: Object, *, namespace: str = "", with_status: bool = False
    ) -> Object:
        """Store a new object and return it with uid, creationTimestamp and resourceVersion.

        The status of a kind with a status subresource is dropped, as a real server does, unless
        *with_status*. Raises ``StatusError`` 400, 403 (the namespace ends), 404 (it does not
        exist), 409, 413 or 422.
        """
        item = kinds.clone(item)
        admission.shape(kind, item)
        metadata = item["metadata"]
        namespace = admission.place(kind, item, namespace)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + self.suffix()
        if "status" in kind.subresources and not with_status and kind != kinds.NODES:
            item.pop("status", None)  # nodes register themselves with their status
            if kind == kinds.PODS:
                item["status"] = {"phase": "Pending"}
        admission.admit(kind, item)
        key = _key(kind, namespace, metadata["name"])
        if kind.namespaced:
            self._check_namespace(kind, key)
        if key in self._table(kind):
            raise errors.already_exists(kind, key.name)
        for field in (*_KEPT, "resourceVersion", "selfLink"):
            metadata.pop(field, None)
        metadata["uid"] = str(uuid.UUID(bytes=self._entropy(16), version=4))
        metadata["creationTimestamp"] = self.timestamp()
        if "spec" in item:
            metadata["generation"] = 1
        return self._commit("ADDED", key, None, item).value

    def update(
        self, kind: Kind, item: Object, *, namespace: str = "", subresource: str = ""
    ) -> Object:
        """Replace an object, or its status; a resourceVersion in *item* must be the current one.

        Nothing is written when nothing changes. An object marked for deletion that has lost its
        last finalizer disappears. Raises ``StatusError`` 400, 404, 409, 413 or 422.
        """
        item = kinds.clone(item)
        admission.shape(kind, item)
        namespace = admission.place(kind, item, namespace)
        before = self._record(kind, namespace, str(item["metadata"].get("name") or ""))
        return self._replace(kind, before, item, subresource)

    def change(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        edit: Callable[[Object], Object],
        *,
        subresource: str = "",
    ) -> Object:
        """Read, edit and write in one step: *edit* gets a copy and returns the object to store."""
        before = self._record(kind, namespace, name)
        edited = edit(kinds.clone(before.value))
        admission.shape(kind, edited)
        if edited["metadata"].get("name") != name:
            raise errors.bad_request("the name of an object cannot be changed; create a new one")
        return self._replace(kind, before, edited, subresource)

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        grace: float | None = None,
        uid: str = "",
        revision: str = "",
    ) -> Object:
        """Delete an object, or mark it for deletion when somebody must act first.

        Somebody is a finalizer, the controller that empties a Namespace, or the kubelet of a Pod
        that may be running (*grace* in seconds; 0 deletes at once). *uid* and *revision* are
        preconditions. Raises ``StatusError`` 404 or 409.
        """
        before = self._record(kind, namespace, name)
        metadata = before.value["metadata"]
        for given, actual, what in (
            (uid, metadata["uid"], "UID"),
            (revision, metadata["resourceVersion"], "ResourceVersion"),
        ):
            if given and given != actual:
                raise errors.precondition(kind, name, what, given, actual)
        seconds = deletion.grace(kind, before.value, grace)
        if seconds == 0 and not deletion.is_held(kind, before.value):
            return self._remove(before)
        marked = kinds.clone(before.value)
        held = marked["metadata"].get("deletionGracePeriodSeconds")
        if held is not None and held <= seconds:
            return before.value
        marked["metadata"]["deletionTimestamp"] = self.timestamp(seconds)
        marked["metadata"]["deletionGracePeriodSeconds"] = seconds
        if kind == kinds.NAMESPACES:
            marked["status"] = {**(marked.get("status") or {}), "phase": "Terminating"}
        return self._commit("MODIFIED", before.key, before, marked).value

    def suffix(self) -> str:
        """Return five random letters, as generateName appends them."""
        return "".join(SAFE_LETTERS[b % len(SAFE_LETTERS)] for b in self._entropy(5))

    def _table(self, kind: Kind) -> dict[Key, Record]:
        return self._objects.setdefault((kind.group, kind.resource), {})

    def _record(self, kind: Kind, namespace: str, name: str) -> Record:
        record = self._table(kind).get(_key(kind, namespace, name))
        if record is None:
            raise errors.not_found(kind, name)
        return record

    def _check_namespace(self, kind: Kind, key: Key) -> None:
        namespace = self.get(kinds.NAMESPACES, "", key.namespace)
        if namespace["metadata"].get("deletionTimestamp"):
            why = (
                f"unable to create new content in namespace {key.namespace}"
                " because it is being terminated"
            )
            raise errors.forbidden(kind, key.name, why)

    def _replace(self, kind: Kind, before: Record, item: Object, subresource: str) -> Object:
        old = before.value
        admission.admit(kind, item)
        given, kept = item["metadata"], old["metadata"]
        if given.get("resourceVersion") not in {None, "", kept["resourceVersion"]}:
            raise errors.modified(kind, before.key.name)
        if given.get("uid") not in {None, "", kept["uid"]}:
            raise errors.precondition(kind, before.key.name, "UID", given["uid"], kept["uid"])
        if subresource == "status":
            item = {**old, "status": item.get("status", {})}
        elif "status" in kind.subresources and not subresource:
            item = {k: v for k, v in item.items() if k != "status"}
            item |= {"status": old["status"]} if "status" in old else {}
        metadata = {k: v for k, v in item["metadata"].items() if k not in _KEPT and v is not None}
        metadata |= {k: kept[k] for k in (*_KEPT, "resourceVersion") if k in kept}
        if kind.namespaced:
            metadata["namespace"] = before.key.namespace
        if item.get("spec") != old.get("spec"):
            metadata["generation"] = metadata.get("generation", 0) + 1
        item = {**item, "metadata": metadata}
        if item == old:
            return old
        ending = metadata.get("deletionTimestamp")
        if (
            ending
            and not deletion.is_held(kind, item)
            and not metadata["deletionGracePeriodSeconds"]
        ):
            return self._commit("DELETED", before.key, before, item).value
        return self._commit("MODIFIED", before.key, before, item).value

    def _remove(self, before: Record) -> Object:
        return self._commit("DELETED", before.key, before, {**before.value}).value

    def _commit(self, event: Event, key: Key, before: Record | None, item: Object) -> Record:
        revision = self.revision + 1
        item["metadata"] = {**item["metadata"], "resourceVersion": str(revision)}
        record = Record(key=key, value=item, encoded=msgspec.json.encode(item))
        table = self._objects.setdefault((key.group, key.resource), {})
        growth = len(record.encoded) - (len(table[key].encoded) if key in table else 0)
        if event == "DELETED":
            self.size -= len(table.pop(key).encoded)
        else:
            if len(record.encoded) > self.bounds.object_bytes:
                raise errors.too_large(len(record.encoded), self.bounds.object_bytes)
            if self.size + growth > self.bounds.total_bytes:
                raise errors.too_large(self.size + growth, self.bounds.total_bytes)
            self.size += growth
            table[key] = record
        change = Change(revision=revision, event=event, before=before, record=record)
        self._history.append(change)
        for call in tuple(self._subscribers):
            call(change)
        return record


def rfc3339(seconds: float) -> str:
    """Write Unix *seconds* as metav1.Time: UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(kind: Kind, namespace: str, name: str) -> Key:
    return Key(kind.group, kind.resource, namespace if kind.namespaced else "", name)
