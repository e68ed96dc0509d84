"""What one watch sees of the changes: what begins to match appears, what ceases to vanishes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localcluster.history import Change, Event, Record
from localcluster.kinds import Kind
from localcluster.selectors import Selection


def visible(
    changes: Iterable[Change], kind: Kind, selection: Selection
) -> Iterator[tuple[Event, Record]]:
    """Translate changes into the events of one watch, in order."""
    for change in changes:
        if change.record.key[:2] != (kind.group, kind.resource):
            continue
        before = change.before is not None and selection.matches(change.before.value)
        after = change.event != "DELETED" and selection.matches(change.record.value)
        if after:
            yield ("MODIFIED" if before else "ADDED"), change.record
        elif before:
            yield "DELETED", change.record
