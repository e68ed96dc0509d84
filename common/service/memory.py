"""How much memory is in use, of how much: as the cgroup counts it, which is who kills.

Sources: Linux, Documentation/admin-guide/cgroup-v2.rst ("Memory Interface Files") and
cgroup-v1/memory.rst, proc_pid_statm(5). What is used is usage less ``inactive_file``, the file
cache that the kernel takes back before it kills; the kubelet calls it the working set.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, final

CGROUPS: Final = Path("/sys/fs/cgroup")
PROCESS: Final = Path("/proc/self")
UNLIMITED: Final = 1 << 60  # version 1 says "no limit" by a number close to the largest there is
KEPT: Final = 32 << 20  # the most that glibc takes for the size from which memory is mapped
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
RELIEF: Final = 0.95  # of what was too much: less has to be in use until it is enough again


@final
@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in use, and how many may be; ``None``: as many as the machine has."""

    used: int
    limit: int | None = None

    @property
    def fraction(self) -> float:
        """The part of the limit that is in use; 0 without one."""
        return self.used / self.limit if self.limit else 0.0


@final
@dataclass(frozen=True, slots=True)
class _Version:
    """What the files of a version of cgroups are called."""

    usage: str
    limit: str
    cache: str  # the line of memory.stat


_V2: Final = _Version("memory.current", "memory.max", "inactive_file")
_V1: Final = _Version("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file")


def scarce(memory: Memory, fraction: float, *, before: bool) -> bool:
    """Say whether more than *fraction* of the limit is in use.

    Once it was (*before*), that lasts until a good deal less is, lest it change with every request.
    """
    return memory.fraction > (fraction * RELIEF if before else fraction)


def limit(text: str) -> int | None:
    """Return the limit that a level's file tells; ``None`` for none, and for no such file."""
    found = _number(text)
    return None if found is None or found >= UNLIMITED else found


def used(usage: str, stat: str, cache: str) -> int:
    """Return what is in use of a level, *cache* being the line of *stat* that counts file cache."""
    lines = dict(line.split(maxsplit=1) for line in stat.splitlines() if " " in line.strip())
    return max(0, (_number(usage) or 0) - (_number(lines.get(cache, "0")) or 0))


def resident(statm: str, page: int) -> int:
    """Return the bytes of a process that are in memory, pages having *page* bytes."""
    # size resident shared text lib data dt
    fields = statm.split()
    return (_number(fields[1]) or 0) * page if len(fields) > 1 else 0


def paths(cgroup: str) -> tuple[tuple[bool, str], ...]:
    """Return the cgroups of a process that may count its memory: whether of version 2, and where.

    *cgroup* is the text of its ``cgroup`` file: lines of number, controllers and path.
    """
    found = []
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            found.append((True, path))
        elif "memory" in controllers.split(","):
            found.append((False, path))
    return tuple(found)


def give_back() -> None:
    """Ask the C library to give memory that was freed back to the kernel; takes milliseconds.

    Without it, what a burst of large requests took stays with the process: of 240 MB that glibc had
    freed but for one block in fifty, it kept 240, and 14 after this. Other libraries do it unasked.
    """
    with suppress(AttributeError):  # musl has no such function
        ctypes.CDLL(None).malloc_trim(0)


def keep_buffers() -> None:
    """Have the C library keep up to `KEPT` bytes that were freed, for what comes next.

    Batches are buffers of some megabytes, made and freed a few times a second. Given back to the
    kernel each time, they come back a page fault at a time: that was 5 to 7 % of the CPU of a
    gateway that writes remote write (measured on a virtual machine, where faults are dear).
    """
    with suppress(AttributeError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, KEPT)
        mallopt(_M_TRIM_THRESHOLD, KEPT)


class Meter:
    """Reads how much memory is in use here: one small file a level, three of those with a limit.

    A limit may lie on any level between the process and the root that it sees. In a container that
    root is its own cgroup, whatever the path of the process says.
    """

    def __init__(self, cgroups: Path = CGROUPS, process: Path = PROCESS) -> None:
        self._statm, self._page = process / "statm", os.sysconf("SC_PAGE_SIZE")
        self._levels = tuple(_levels(cgroups, paths(_text(process / "cgroup"))))

    def read(self) -> Memory:
        """Return the level that will be full first; without a limit, what this process has."""
        found = [_read(folder, version) for folder, version in self._levels]
        limited = [level for level in found if level is not None]
        if limited:
            return max(limited, key=lambda level: level.fraction)
        return Memory(resident(_text(self._statm), self._page))


def _levels(cgroups: Path, found: Iterable[tuple[bool, str]]) -> Iterator[tuple[Path, _Version]]:
    """Return the folders that count the memory of a process, the innermost first."""
    for unified, path in found:
        version = _V2 if unified else _V1
        # Beside version 1, version 2 may be mounted one folder further down.
        for root in (cgroups, cgroups / "unified") if unified else (cgroups / "memory",):
            inner = PurePosixPath(path.lstrip("/"))
            for folder in dict.fromkeys((root / inner, *(root / up for up in inner.parents))):
                if ".." not in folder.parts and (folder / version.usage).is_file():
                    yield folder, version


def _read(folder: Path, version: _Version) -> Memory | None:
    """Read one level; ``None``: it has no limit, and then the slow files are left alone."""
    most = limit(_text(folder / version.limit))
    if most is None:
        return None
    texts = _text(folder / version.usage), _text(folder / "memory.stat")
    return Memory(used(*texts, version.cache), most)


def _text(file: Path) -> str:
    """Return what *file* says; nothing if it cannot be read, as when a cgroup is gone."""
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None
