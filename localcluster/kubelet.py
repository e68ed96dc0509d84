"""The kubelet of one node: every pod assigned to the node runs, and only those."""

from __future__ import annotations

import asyncio
import shutil
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster import kinds, podlog, selectors, stats
from localcluster.history import Change
from localcluster.kinds import Object
from localcluster.podspec import Addresses
from localcluster.podworker import PodWorker, Surroundings
from localcluster.subnet import Subnet

_ENDED = frozenset({"Succeeded", "Failed"})
# Marks a pod that only mirrors what already runs on its node, as the kubelet's own static pods are;
# https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-mirror
_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a kubelet behaves."""

    stop_grace: float = 5.0  # seconds a pod may take when the node itself stops
    kept_logs: int = 20  # logs of that many pods are kept after they have ended
    stats_port: int = 0  # of /stats/summary on the node's address, in plain HTTP; 0: not served
    stats_token: str = ""  # that whoever asks for it must show


class Kubelet:
    """Compares what is assigned to the node with what runs, whenever a pod changes.

    It works on the store itself, not through HTTP: it is part of the same process, and tests of
    clients see only their own requests.
    """

    def __init__(
        self,
        node: str,
        subnet: Subnet,
        around: Surroundings,
        directory: Path,
        settings: Settings,
    ) -> None:
        self.node = node
        self._subnet = subnet
        self._around = around
        self._directory = directory
        self._settings = settings
        self._workers: dict[str, PodWorker] = {}  # by uid
        self._kept: deque[Path] = deque()
        self._wake = asyncio.Event()
        self._selection = selectors.Selection(fields=(("spec.nodeName", True, node),))

    def log(self, pod: Object, container: str) -> bytes | None:
        """Return what is kept of a container's output, or ``None`` if there is nothing."""
        return podlog.read(self._log_path(pod, container))

    async def follow(self, tasks: asyncio.TaskGroup) -> None:
        """Bring the node in line with the store, for ever; pods become *tasks*."""
        unsubscribe = self._around.store.subscribe(self._notice)
        try:
            while True:
                self._wake.clear()
                self._compare(tasks)
                await self._wake.wait()
        finally:
            unsubscribe()

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Serve ``/stats/summary``, if that is wanted."""
        if not self._settings.stats_port:
            yield
            return
        store = self._around.store
        async with stats.serving(
            self.node, self._subnet.host, self._settings.stats_port,
            pods=lambda: store.objects(kinds.PODS, self._selection),
            timestamp=store.timestamp, token=self._settings.stats_token,
        ):  # fmt: skip
            yield

    def stop(self) -> None:
        """Begin to end all pods."""
        for worker in self._workers.values():
            worker.stop(self._settings.stop_grace)

    def _notice(self, change: Change) -> None:
        if change.record.key.resource == kinds.PODS.resource:
            self._wake.set()

    def _compare(self, tasks: asyncio.TaskGroup) -> None:
        store = self._around.store
        assigned = {
            pod["metadata"]["uid"]: pod for pod in store.objects(kinds.PODS, self._selection)
        }
        for uid in self._workers.keys() - assigned.keys():
            self._workers[uid].stop(0)  # deleted by force
        for uid, pod in assigned.items():
            metadata = pod["metadata"]
            worker = self._workers.get(uid)
            if metadata.get("deletionTimestamp"):
                if worker is not None:
                    worker.stop(metadata["deletionGracePeriodSeconds"])
                else:
                    self._let_go(pod)
            elif worker is None and not _runs_elsewhere(pod):
                self._start(tasks, pod)

    def _start(self, tasks: asyncio.TaskGroup, pod: Object) -> None:
        metadata = pod["metadata"]
        addresses = self._subnet.take()
        if addresses is None:
            self._reject(pod)
            return
        home = self._directory / "pods" / metadata["uid"]
        home.mkdir(parents=True, exist_ok=True)
        for container in pod["spec"]["containers"]:
            path = self._log_path(pod, container["name"])
            path.parent.mkdir(parents=True, exist_ok=True)
        worker = PodWorker(
            self._around, pod, addresses, directory=home,
            log=lambda container: self._log_path(pod, container),
        )  # fmt: skip
        self._workers[metadata["uid"]] = worker
        tasks.create_task(self._run(pod, worker, addresses, home), name=f"pod {metadata['name']}")

    async def _run(self, pod: Object, worker: PodWorker, addresses: Addresses, home: Path) -> None:
        try:
            await worker.run()
        finally:
            del self._workers[pod["metadata"]["uid"]]
            self._subnet.give_back(addresses)
            shutil.rmtree(home, ignore_errors=True)
            self._keep_log(self._log_path(pod, "").parent)
            self._wake.set()

    def _let_go(self, pod: Object) -> None:
        """Tell the API that nothing of the pod is left."""
        metadata = pod["metadata"]
        self._around.store.delete(
            kinds.PODS, metadata["namespace"], metadata["name"], grace=0, uid=metadata["uid"]
        )

    def _reject(self, pod: Object) -> None:
        capacity = self._subnet.capacity
        message = f"Node {self.node} has no address left, it takes {capacity} pods at a time"
        status = {"phase": "Failed", "reason": "OutOfpods", "message": message}
        self._around.store.change(
            kinds.PODS, pod["metadata"]["namespace"], pod["metadata"]["name"],
            lambda live: live | {"status": {**live["status"], **status}}, subresource="status",
        )  # fmt: skip

    def _log_path(self, pod: Object, container: str) -> Path:
        metadata = pod["metadata"]
        name = f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
        return self._directory / "logs" / name / f"{container}.log"

    def _keep_log(self, path: Path) -> None:
        self._kept.append(path)
        while len(self._kept) > self._settings.kept_logs:
            shutil.rmtree(self._kept.popleft(), ignore_errors=True)


@asynccontextmanager
async def running(
    node: str,
    subnet: Subnet,
    around: Surroundings,
    *,
    directory: Path,
    settings: Settings | None = None,
) -> AsyncIterator[Kubelet]:
    """Run the pods of *node*; leaving ends them gently, leaving by an exception kills them."""
    kubelet = Kubelet(node, subnet, around, directory, settings or Settings())
    async with kubelet.telling(), asyncio.TaskGroup() as tasks:
        follower = tasks.create_task(kubelet.follow(tasks), name=f"kubelet {node}")
        yield kubelet
        follower.cancel()
        kubelet.stop()


def _runs_elsewhere(pod: Object) -> bool:
    """Tell whether there is nothing to start: the pod has ended, or mirrors what runs already."""
    mirrors = _MIRROR in (pod["metadata"].get("annotations") or {})
    return mirrors or pod["status"].get("phase") in _ENDED
