import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from common.service import clock
from localcluster import kinds, kubelet, processes
from localcluster.cluster import Cluster
from localcluster.kinds import Catalogue
from localcluster.podworker import Surroundings
from localcluster.store import Store
from localcluster.subnet import Subnet

pytestmark = pytest.mark.wallclock


class SmallSubnet(Subnet):
    """Room for a few pods."""

    def __init__(self, room: int) -> None:
        super().__init__("127.10.1")
        self._free = self._free[:room]


@asynccontextmanager
async def node(
    directory: Path, settings: kubelet.Settings | None = None, *, room: int = 1
) -> AsyncIterator[Cluster]:
    """One node with little room; nothing else runs, the Cluster is there to wait with."""
    store = Store(now=clock.unix_seconds, entropy=os.urandom)
    store.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    async with processes.nursery() as nursery, aiohttp.ClientSession() as session:
        around = Surroundings(
            store=store, nursery=nursery, session=session, environment={"PATH": os.defpath}
        )
        running = kubelet.running(
            "n", SmallSubnet(room), around, directory=directory, settings=settings
        )
        async with running:
            yield Cluster(
                store, Catalogue(kinds.BUILT_IN), url="", kubeconfig_path=directory,
                logs=lambda *_: None,
            )  # fmt: skip


def create(found: Cluster, name: str, *command: str, assigned: str = "n") -> None:
    containers = [{"name": "c", "command": list(command)}]
    spec = {"nodeName": assigned, "restartPolicy": "Never", "containers": containers}
    found.store.create(kinds.PODS, {"metadata": {"name": name}, "spec": spec})


def phase_is(found: Cluster, name: str, phase: str) -> Callable[[], bool]:
    return lambda: found.store.get(kinds.PODS, "default", name)["status"].get("phase") == phase


async def test_a_full_node_rejects_a_pod_and_takes_the_next_one_later(tmp_path: Path) -> None:
    async with node(tmp_path) as found:
        create(found, "one", "sleep", "600")
        await found.wait_until(phase_is(found, "one", "Running"), timeout=5)
        create(found, "two", "true")
        await found.wait_until(phase_is(found, "two", "Failed"), timeout=5)
        status = found.store.get(kinds.PODS, "default", "two")["status"]
        assert status["reason"] == "OutOfpods"
        found.store.delete(kinds.PODS, "default", "one", grace=1)
        await found.wait_until(lambda: len(found.pods()) == 1, timeout=5)
        create(found, "three", "true")
        await found.wait_until(phase_is(found, "three", "Succeeded"), timeout=5)
        assert found.store.get(kinds.PODS, "default", "three")["status"]["podIP"] == "127.10.1.2"


async def test_pods_of_other_nodes_are_none_of_its_business(tmp_path: Path) -> None:
    async with node(tmp_path) as found:
        create(found, "elsewhere", "true", assigned="m")
        create(found, "here", "true")
        await found.wait_until(phase_is(found, "here", "Succeeded"), timeout=5)
        assert phase_is(found, "elsewhere", "Pending")()


async def test_logs_of_ended_pods_are_kept_up_to_a_number_and_homes_are_removed(
    tmp_path: Path,
) -> None:
    async with node(tmp_path, kubelet.Settings(kept_logs=2), room=4) as found:
        for name in ("a", "b", "c", "d"):
            create(found, name, "true")
            await found.wait_until(phase_is(found, name, "Succeeded"), timeout=5)
            found.store.delete(kinds.PODS, "default", name)
    kept = sorted(path.name.split("_")[1] for path in (tmp_path / "logs").iterdir())
    assert kept == ["c", "d"]
    assert list((tmp_path / "pods").iterdir()) == []


async def test_a_pod_that_mirrors_what_runs_already_is_not_started(tmp_path: Path) -> None:
    async with node(tmp_path, room=1) as found:
        found.store.create(
            kinds.PODS,
            {
                "metadata": {"name": "m", "annotations": {"kubernetes.io/config.mirror": "m"}},
                "spec": {"nodeName": "n", "containers": [{"name": "c", "command": ["false"]}]},
            },
        )
        create(found, "next", "sleep", "60")  # takes the only address there is
        await found.wait_until(phase_is(found, "next", "Running"), timeout=10)
        assert found.store.get(kinds.PODS, "default", "m")["status"].get("phase") == "Pending"
