"""Kill what a kubelet leaves behind when it dies without a chance to tidy up.

The kernel kills a Pod's first process with its parent (see :mod:`localcluster.launcher`), not the
children of that process. So one small process outlives the kubelet by a moment: it is told which
process groups exist (``+PGID``, ``-PGID``, one a line, on stdin) and kills them at end of file,
which comes however the kubelet ends. Run by path in an isolated interpreter.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def living(lines: Iterable[str]) -> set[int]:
    """Read to the end and return the process groups that were not struck off."""
    groups: set[int] = set()
    for line in lines:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        elif line.startswith("-"):
            groups.discard(int(line[1:]))
    return groups


def main() -> None:
    """Wait for the end of stdin, then kill."""
    for group in living(sys.stdin):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or not ours any more
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
