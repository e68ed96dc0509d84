"""Pages of a list: each continues where the last one ended, at the revision the list began with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from localcluster import errors
from localcluster.history import History, Key, Record
from localcluster.kinds import Kind
from localcluster.selectors import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the objects as they were at *revision*; *token* asks for more, "" at the end."""

    records: tuple[Record, ...]
    revision: int
    token: str = ""
    remaining: int | None = None  # unknown with selectors, as in the real API


class _Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a continue token says: the revision, and the last key that was returned."""

    rv: int
    after: tuple[str, str]


def cut(
    table: Mapping[Key, Record],
    kind: Kind,
    selection: Selection,
    history: History,
    *,
    limit: int,
    token: str,
    at: int | None,
) -> Page:
    """Cut one page; see :meth:`localcluster.store.Store.page`."""
    start = _decode(token) if token else None
    revision = start.rv if start else history.revision if at is None else at
    try:
        records = _at(table, kind, history, revision)
    except errors.StatusError as error:
        if start is None:
            raise
        raise errors.expired(
            "The provided continue parameter is too old to display a consistent list result."
            " You must start a new list without the continue parameter."
        ) from error
    chosen = [
        record
        for key, record in sorted(records.items())
        if (start is None or (key.namespace, key.name) > start.after)
        and selection.matches(record.value)
    ]
    if not limit or len(chosen) <= limit:
        return Page(records=tuple(chosen), revision=revision)
    last = chosen[limit - 1].key
    return Page(
        records=tuple(chosen[:limit]),
        revision=revision,
        token=_encode(_Token(rv=revision, after=(last.namespace, last.name))),
        remaining=None if selection.narrow else len(chosen) - limit,
    )


def _at(
    table: Mapping[Key, Record], kind: Kind, history: History, revision: int
) -> Mapping[Key, Record]:
    """Go back to *revision* by undoing what was written since."""
    changes = history.since(revision)
    if not changes:
        return table
    records = dict(table)
    for change in reversed(changes):
        if change.record.key[:2] != (kind.group, kind.resource):
            continue
        if change.before is None:
            del records[change.record.key]
        else:
            records[change.record.key] = change.before
    return records


def _encode(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _decode(token: str) -> _Token:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token), type=_Token)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise errors.bad_request(f"continue key is not valid: {error}") from error
