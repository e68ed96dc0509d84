"""Memory as the kernel tells it, from folders that look like its own."""

import ctypes
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from common.service import memory
from common.service.memory import Memory, Meter

STAT = "anon 700\nfile 250\ninactive_file 100\nactive_file 150\n"
V1_STAT = "cache 250\ninactive_file 1\ntotal_inactive_file 100\n"


@pytest.fixture
def machine(tmp_path: Path) -> "Machine":
    return Machine(tmp_path)


class Machine:
    def __init__(self, folder: Path) -> None:
        self.cgroups, self.process = folder / "cgroup", folder / "self"
        self.process.mkdir()
        (self.process / "statm").write_text("9000 2000 500 10 0 3000 0\n")
        self.runs_in("")

    def runs_in(self, cgroup: str) -> None:
        (self.process / "cgroup").write_text(cgroup)

    def v2(self, path: str, current: object, limit: object) -> None:
        folder = self.cgroups / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.current").write_text(f"{current}\n")
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.stat").write_text(STAT)

    def v1(self, path: str, current: object, limit: object) -> None:
        folder = self.cgroups / "memory" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.usage_in_bytes").write_text(f"{current}\n")
        (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
        (folder / "memory.stat").write_text(V1_STAT)

    def read(self) -> Memory:
        return Meter(self.cgroups, self.process).read()


V1 = "5:cpu,cpuacct:/pod/one\n4:memory:/pod/one\n1:name=systemd:/pod/one\n"


def test_a_container_sees_its_own_cgroup_as_the_root(machine: Machine) -> None:
    machine.runs_in("0::/\n")
    machine.v2("", 1000, 2000)
    assert machine.read() == Memory(900, 2000)


def test_without_a_namespace_the_root_counts_whatever_the_path_says(machine: Machine) -> None:
    machine.runs_in(V1)
    machine.v1("", 1000, 2000)
    assert machine.read() == Memory(900, 2000)
    machine.runs_in("0::/../other\n")
    machine.v2("", 1100, 2000)
    assert machine.read() == Memory(1000, 2000)


def test_the_level_that_will_be_full_first_counts(machine: Machine) -> None:
    machine.runs_in("0::/kube/pod/one\n")
    machine.v2("kube/pod/one", 600, 10_000)
    machine.v2("kube/pod", 1100, 1500)
    machine.v2("kube", 5000, "max")
    assert machine.read() == Memory(1000, 1500)
    machine.v2("kube/pod/one", 9900, 10_000)
    assert machine.read() == Memory(9800, 10_000)


def test_version_1_counts_where_it_has_the_memory(machine: Machine) -> None:
    machine.runs_in(V1 + "0::/pod/one\n")
    machine.v1("pod/one", 1000, 2000)
    machine.v1("", 50_000, 0x7FFF_FFFF_FFFF_F000)
    assert machine.read() == Memory(900, 2000)


def test_version_2_may_be_mounted_beside_version_1(machine: Machine) -> None:
    machine.runs_in("4:cpu:/one\n0::/one\n")
    machine.v2("unified/one", 1000, 2000)
    assert machine.read() == Memory(900, 2000)


@pytest.mark.parametrize("limit", ["max", 0x7FFF_FFFF_FFFF_F000, "", "garbage"])
def test_without_a_limit_the_process_counts(machine: Machine, limit: object) -> None:
    machine.runs_in("0::/\n")
    machine.v2("", 1000, limit)
    assert machine.read() == Memory(2000 * memory.os.sysconf("SC_PAGE_SIZE"), None)


def test_where_there_are_no_cgroups_nothing_is_limited(tmp_path: Path) -> None:
    found = Meter(tmp_path / "none", tmp_path / "nothing").read()
    assert found == Memory(0, None)
    assert found.fraction == 0


def test_a_limit_may_change_and_a_cgroup_go_while_it_is_read(machine: Machine) -> None:
    machine.runs_in("0::/\n")
    machine.v2("", 1000, 2000)
    meter = Meter(machine.cgroups, machine.process)
    machine.v2("", 1000, 4000)
    assert meter.read() == Memory(900, 4000)
    for file in machine.cgroups.iterdir():
        file.unlink()
    assert meter.read().limit is None


def test_this_process_has_some_memory() -> None:
    assert Meter().read().used > 1 << 20


@given(st.text(), st.text(), st.text(), st.text())
def test_whatever_the_files_say_there_is_an_answer(
    usage: str, limit: str, stat: str, cgroup: str
) -> None:
    assert memory.used(usage, stat, "inactive_file") >= 0
    most = memory.limit(limit)
    assert most is None or 0 <= most < memory.UNLIMITED
    assert memory.resident(stat, 4096) >= 0
    assert all(isinstance(path, str) for _, path in memory.paths(cgroup))


def test_scarce_begins_above_the_fraction_and_ends_well_below() -> None:
    now = False
    course = []
    for used in (899, 900, 901, 900, 860, 855, 880, 901):
        now = memory.scarce(Memory(used, 1000), 0.9, before=now)
        course.append(now)
    assert course == [False, False, True, True, True, False, False, True]
    assert not memory.scarce(Memory(1 << 60, None), 0.9, before=True)
    assert not memory.scarce(Memory(5, 0), 0.9, before=False)


def test_memory_is_given_back_by_the_c_library_where_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    class Glibc:
        malloc_trim = staticmethod(asked.append)

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Glibc)
    memory.give_back()
    assert asked == [0]
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())  # another library
    memory.give_back()


def test_freed_buffers_are_kept_for_what_comes_next() -> None:
    # In a process of its own: what the allocator is told cannot be taken back.
    script = (
        "import resource\n"
        "from common.service import memory\n"
        "def faults(n):\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(n):\n"
        "        bytes(8 << 20)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "memory.keep_buffers()\n"
        "faults(2)\n"
        "print(faults(20))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    if platform.libc_ver()[0] == "glibc":
        assert int(done.stdout) < 2048  # of 20 x 2048 pages
