import os
import subprocess
import sys
from pathlib import Path

import pytest

from localcluster import launcher

pytestmark = pytest.mark.wallclock


def launch(parent: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-I", "-S", str(Path(launcher.__file__)), str(parent), *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=10)


def test_it_becomes_the_program() -> None:
    found = launch(os.getpid(), "sh", "-c", "echo out; exit 5")
    assert (found.returncode, found.stdout) == (5, b"out\n")


def test_it_ends_when_the_parent_is_gone_already() -> None:
    found = launch(1, "echo", "never")
    assert (found.returncode, found.stdout) == (137, b"")


@pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_what_cannot_be_run_has_the_code_of_a_shell(program: str, code: int) -> None:
    found = launch(os.getpid(), program)
    assert found.returncode == code
    assert program.encode() in found.stderr
