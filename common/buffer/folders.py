"""What lies in the folder of a log, under which names; and where logs lie below a directory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

LOCK: Final = "lock"
CURSOR: Final = "cursor"
RESERVE: Final = "reserve"
PROBE: Final = "probe"
RESERVE_BYTES: Final = 64 << 10

_SEGMENT: Final = re.compile(r"([0-9]{20})-([0-9a-f]{8})\.seg")


def segment_name(first: int, salt: int) -> str:
    """Return the name of the segment whose first record has the number *first*."""
    return f"{first:020}-{salt:08x}.seg"


def segments(names: Iterable[str]) -> list[tuple[int, int]]:
    """Return the first number and the salt of each segment among *names*, in order."""
    found = (_SEGMENT.fullmatch(name) for name in names)
    return sorted((int(match[1]), int(match[2], 16)) for match in found if match)


def folders(root: Path) -> list[Path]:
    """Return the folders of all logs at or below *root*, in order; each has a lock or segments."""
    return sorted(
        Path(where) for where, _, names in os.walk(root) if CURSOR in names or segments(names)
    )
