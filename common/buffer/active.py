"""The segment that is being written: its file, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from common.buffer import events, folders
from common.buffer.disk import Disk, write_all
from common.buffer.events import Pending
from common.buffer.upkeep import Upkeep


@final
@dataclass(slots=True)
class Active:
    """An open segment, for the writer's thread only; made by `begin`."""

    descriptor: int
    first: int
    salt: int
    anchor: float  # seconds between the wall clock and the steady one when it began
    capacity: int  # bytes
    born: float  # seconds on the steady clock
    end: int = 0
    told: int = 0  # offset up to which records were told of
    dirty: int = 0  # bytes written since the last synchronisation
    untold: list[Pending] = field(default_factory=list)  # behind it, perhaps not written whole

    def has_room(self, size: int) -> bool:
        """Say whether *size* bytes more fit into what is reserved."""
        return self.end + size <= self.capacity

    def write(self, disk: Disk, batch: Sequence[Pending], size: int) -> None:
        """Append *batch*, which takes *size* bytes; raises OSError, then nothing of it counts."""
        self.untold += batch
        pieces: list[bytes] = []
        for pending in batch:
            head = pending.head(self.salt, events.stamp(pending.at, self.anchor))
            pieces += (head, pending.body)
        write_all(disk, self.descriptor, pieces)
        self.end += size
        self.dirty += size

    def news(self) -> events.Wrote | None:
        """Return what there is to tell, which counts as told from then on."""
        if not self.untold:
            return None
        wrote = events.Wrote(self.first, self.told, self.anchor, self.untold)
        self.untold, self.told = [], self.end
        return wrote


def begin(
    folder: Path,
    record: Pending,
    capacity: int,
    disk: Disk,
    upkeep: Upkeep,
    *,
    now: float,
    sync: bool,
) -> Active:
    """Create a segment in *folder* that begins with *record*, and reserve its *capacity* in bytes.

    With *sync* its name is on the disk, too. Raises OSError, and then there is none.
    """
    salt, anchor = disk.salt(), disk.seconds() - now
    path = folder / folders.segment_name(record.number, salt)
    descriptor = disk.create(path)
    try:
        disk.reserve(descriptor, capacity)
        if sync:
            disk.sync_folder(folder)
    except OSError:
        upkeep.close(descriptor)
        with suppress(OSError):  # an empty segment is deleted at the next start
            disk.unlink(path)
        raise
    return Active(descriptor, record.number, salt, anchor, capacity, now)
