"""Become the program given, having asked the kernel to kill it when the parent dies.

Run by path in an isolated interpreter: ``launcher.py PARENT_PID PROGRAM [ARGUMENT...]``. A
``preexec_fn`` would do the same in the forked child, where Python code may deadlock when the parent
has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; survives execve(2)


def main(parent: int, arguments: list[str]) -> int:
    """Return an exit code, as a shell's, only if the program cannot be run."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            return 137
    # What is ignored stays ignored across execve(2), and Python ignores these two.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(arguments[0], arguments)  # noqa: S606 - running programs is what a kubelet does
    except FileNotFoundError:
        sys.stderr.write(f"exec: {arguments[0]!r}: not found in PATH\n")
        return 127
    except OSError as error:
        sys.stderr.write(f"exec: {arguments[0]!r}: {error.strerror}\n")
        return 126


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
