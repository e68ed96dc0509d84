"""What processes use, and the machine, as Linux tells in ``/proc`` (proc(5)).

Where there is no ``/proc``, nothing is known; nothing else here needs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process, or of many: CPU in seconds, memory in bytes, page faults."""

    cpu: float = 0.0
    memory: int = 0
    faults: int = 0
    major_faults: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.cpu + other.cpu,
            self.memory + other.memory,
            self.faults + other.faults,
            self.major_faults + other.major_faults,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The machine at one moment, ``at`` in seconds; sessions by number, each pod's is its own."""

    at: float
    sessions: Mapping[int, Usage] = field(default_factory=dict)
    busy: float = 0.0  # seconds of CPU since the boot
    memory: Mapping[str, int] = field(default_factory=dict)  # bytes, by the names of meminfo
    interfaces: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    """Received bytes and errors, sent bytes and errors, by name."""


def sample(at: float, proc: Path = PROC) -> Sample:
    """Look at all processes; takes some milliseconds, and blocks that long."""
    sessions: dict[int, Usage] = {}
    for entry in proc.glob("[0-9]*/stat"):
        found = process(_text(entry))
        if found is not None:
            number, usage = found
            sessions[number] = sessions.get(number, Usage()) + usage
    return Sample(
        at=at,
        sessions=sessions,
        busy=busy(_text(proc / "stat")),
        memory=memory(_text(proc / "meminfo")),
        interfaces=interfaces(_text(proc / "net" / "dev")),
    )


def total_memory(proc: Path = PROC) -> int:
    """Return how many bytes of memory the machine has, 0 where that is not known."""
    return memory(_text(proc / "meminfo")).get("MemTotal", 0)


def process(text: str) -> tuple[int, Usage] | None:
    """Read a process' ``stat``: its session, and what it and its ended children used."""
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    if len(fields) < 22:
        return None  # it has ended in the meantime
    number = [int(value) for value in fields[1:22]]
    return number[2], Usage(
        cpu=sum(number[10:14]) / _TICKS,
        memory=number[20] * _PAGE,
        faults=number[6] + number[7],
        major_faults=number[8] + number[9],
    )


def busy(text: str) -> float:
    """Read ``stat``: seconds in which any CPU did something."""
    fields = [int(value) for value in text.partition("\n")[0].split()[1:]]
    # user nice system idle iowait irq softirq steal; guests are part of user and nice
    return (sum(fields[:3]) + sum(fields[5:8])) / _TICKS


def memory(text: str) -> dict[str, int]:
    """Read ``meminfo``."""
    lines = (line.split() for line in text.splitlines())
    return {line[0].rstrip(":"): int(line[1]) << 10 for line in lines if len(line) == 3}


def interfaces(text: str) -> dict[str, tuple[int, int, int, int]]:
    """Read ``net/dev``."""
    found = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        if colon:
            numbers = [int(value) for value in rest.split()]
            found[name.strip()] = (numbers[0], numbers[2], numbers[8], numbers[10])
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # the process has ended, or this is no Linux
        return ""
