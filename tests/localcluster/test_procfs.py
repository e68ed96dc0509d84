"""What Linux tells of processes and the machine."""

import os
from pathlib import Path

from localcluster import procfs
from localcluster.procfs import Usage

TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
STAT = "42 (a) (b) c) S 1 42 40 0 -1 4194304 100 20 3 4 150 50 30 20 20 0 1 0 2440007 16961536 7 1"
MEMINFO = "MemTotal:       100 kB\nMemFree: 30 kB\nHugePages_Total:       0\n"
NET = """Inter-|   Receive                    |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo: 10 1 2 0 0 0 0 0 30 3 4 0 0 0 0 0
  eth0:    50 1 6 0 0 0 0 0 70 3 8 0 0 0 0 0
"""


def test_a_process_is_of_its_session_whatever_its_name() -> None:
    assert procfs.process(STAT) == (40, Usage(250 / TICKS, 7 * PAGE, 120, 7))


def test_a_process_that_has_ended_is_nothing() -> None:
    assert procfs.process("") is None


def test_processes_of_a_session_are_added_and_the_machine_is_read(tmp_path: Path) -> None:
    for number in ("42", "43"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "stat").write_text(STAT)
    (tmp_path / "stat").write_text("cpu  100 20 30 9999 5 6 7 8 0 0\ncpu0 1\n")
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "dev").write_text(NET)
    assert procfs.total_memory(tmp_path) == 100 << 10
    found = procfs.sample(5.0, tmp_path)
    assert found.at == 5.0
    assert found.sessions == {40: Usage(500 / TICKS, 14 * PAGE, 240, 14)}
    assert found.busy == 171 / TICKS
    assert found.memory == {"MemTotal": 100 << 10, "MemFree": 30 << 10}
    assert found.interfaces == {"lo": (10, 2, 30, 4), "eth0": (50, 6, 70, 8)}


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert procfs.sample(1.0, tmp_path) == procfs.Sample(at=1.0)
    assert procfs.total_memory(tmp_path) == 0
