"""A whole cluster in one block: API server, controllers, and a kubelet for each node."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from common.service import clock
from localcluster import (
    api,
    apiserver,
    controllers,
    errors,
    kinds,
    kubelet,
    nodes,
    processes,
    procfs,
)
from localcluster.api import Logs
from localcluster.history import Change
from localcluster.kinds import Catalogue, Object
from localcluster.nodes import Machine
from localcluster.podstatus import Backoff
from localcluster.podworker import Surroundings
from localcluster.selectors import Selection
from localcluster.store import Store
from localcluster.subnet import Subnet

_CLAIM_PORT = 47911  # bound on 127.N.0.1 by whoever uses 127.N
_FIRST_NETWORK, _LAST_NETWORK = 10, 250
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a cluster is built."""

    nodes: tuple[str, ...] = ("node-a", "node-b")
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": os.defpath})
    entrypoints: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by image
    backoff: Backoff = field(default_factory=Backoff)
    log_bytes: int = 1 << 20  # a container
    api: api.Settings = field(default_factory=api.Settings)
    kubelet: kubelet.Settings = field(default_factory=kubelet.Settings)
    controllers: controllers.Settings = field(default_factory=controllers.Settings)


class Cluster:
    """A running cluster, as its owner sees it."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        *,
        url: str,
        kubeconfig_path: Path,
        logs: Logs,
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.url = url  # of the API server
        self.kubeconfig_path = kubeconfig_path
        self._logs = logs

    def create(self, manifest: Object) -> Object:
        """Store an object of any known kind, in the namespace it names (or in default)."""
        return self.store.create(self._kind(manifest), manifest)

    def delete(self, manifest: Object, *, grace: float | None = None) -> None:
        """Delete the object that *manifest* names; see :meth:`Store.delete`."""
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace", "default")
        self.store.delete(self._kind(manifest), namespace, metadata["name"], grace=grace)

    def pods(self, namespace: str = "") -> list[Object]:
        """Return the pods of a namespace, or all."""
        return self.store.objects(kinds.PODS, Selection(namespace=namespace))

    def log(self, namespace: str, pod: str, container: str = "") -> bytes | None:
        """Return the output of a container (the first one by default), or ``None`` before any."""
        if not container:
            found = self.store.get(kinds.PODS, namespace, pod)
            container = found["spec"]["containers"][0]["name"]
        return self._logs(namespace, pod, container)

    async def wait_until(
        self, check: Callable[[], bool], *, timeout: float, what: str = "the condition"  # noqa: ASYNC109 - settings value
    ) -> None:  # fmt: skip
        """Wait until *check* says yes; it is asked after every write.

        Raises ``TimeoutError`` after *timeout* seconds, with what the pods were doing.
        """
        wake = asyncio.Event()

        def notice(_change: Change) -> None:
            wake.set()

        unsubscribe = self.store.subscribe(notice)
        try:
            async with asyncio.timeout(timeout):
                while not check():
                    wake.clear()
                    await wake.wait()
        except TimeoutError as error:
            states = "; ".join(map(_describe, self.pods()))
            raise TimeoutError(f"{what} not after {timeout:g} s; pods: {states}") from error
        finally:
            unsubscribe()

    async def wait_for_pods(self, *names: str, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - settings value
        """Wait until the pods named (NAMESPACE/NAME) are ready, or all there are without names."""

        def check() -> bool:
            found = {_where(pod): pod for pod in self.pods()}
            return all(n in found and _is_settled(found[n]) for n in names or found)

        what = f"ready: {', '.join(names)}" if names else "all pods ready"
        await self.wait_until(check, timeout=timeout, what=what)

    def _kind(self, manifest: Object) -> kinds.Kind:
        kind = self.catalogue.of(manifest)
        if kind is None:
            known = ", ".join(f"{k.api_version} {k.name}" for k in self.catalogue)
            given = f"{manifest.get('apiVersion')} {manifest.get('kind')}"
            raise errors.bad_request(f"no such kind: {given}; known here: {known}")
        return kind


@asynccontextmanager
async def running(*, directory: Path, settings: Settings | None = None) -> AsyncIterator[Cluster]:
    """Start a cluster that keeps its files in *directory*, and yield it once its API answers.

    Pods find their way back through ``KUBECONFIG``. Leaving ends the controllers first, lest they
    replace what is being ended, then the pods of all nodes at once, then the API server. Raises
    ``OSError`` when the port is taken or when no loopback network is free.
    """
    settings = settings or Settings()
    store = Store(now=clock.unix_seconds, entropy=os.urandom)
    catalogue = Catalogue(kinds.BUILT_IN)
    kubelets: dict[str, kubelet.Kubelet] = {}
    nodes.furnish(store)

    def logs(namespace: str, pod: str, container: str) -> bytes | None:
        found = store.get(kinds.PODS, namespace, pod)
        on = kubelets.get(found["spec"].get("nodeName", ""))
        return on.log(found, container) if on else None

    def stop() -> None:
        """Begin on all nodes at once; each is then waited for."""
        for node in kubelets.values():
            node.stop()

    with _claim() as network:
        prefix = network.getsockname()[0].rsplit(".", 2)[0]
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            url = await enter(
                apiserver.serving(store, catalogue=catalogue, settings=settings.api, logs=logs)
            )
            path = _write(directory, apiserver.kubeconfig(url, settings.api.token))
            around = Surroundings(
                store=store,
                nursery=await enter(processes.nursery()),
                session=await enter(aiohttp.ClientSession()),
                environment={"KUBECONFIG": str(path), **settings.environment},
                entrypoints=settings.entrypoints,
                backoff=settings.backoff,
                log_bytes=settings.log_bytes,
            )
            for number, name in enumerate(settings.nodes):
                subnet = Subnet(f"{prefix}.{number + 1}")
                item = nodes.node(name, number, subnet, _machine(), store.timestamp())
                store.create(kinds.NODES, item)
                kubelets[name] = await enter(
                    kubelet.running(
                        name, subnet, around, directory=directory, settings=settings.kubelet
                    )
                )
            stack.callback(stop)
            await enter(controllers.running(store, catalogue, settings.controllers))
            yield Cluster(store, catalogue, url=url, kubeconfig_path=path, logs=logs)


def _claim() -> socket.socket:
    """Take a loopback network 127.N that no other cluster on this machine uses.

    The socket returned holds it; the system gives it back however the process ends.
    """
    for number in range(_FIRST_NETWORK, _LAST_NETWORK + 1):
        claim = socket.socket()
        try:
            claim.bind((f"127.{number}.0.1", _CLAIM_PORT))
        except OSError:
            claim.close()
            continue
        return claim
    raise OSError(
        f"no loopback network is free: something listens on port {_CLAIM_PORT} of 127.N.0.1 for"
        f" every N from {_FIRST_NETWORK} to {_LAST_NETWORK}; stop other clusters on this machine"
    )


def _write(directory: Path, kubeconfig: str) -> Path:
    """Write the kubeconfig, which may hold a token, for our user's eyes only."""
    directory.mkdir(parents=True, exist_ok=True)
    path = (directory / "kubeconfig").resolve()
    path.touch(mode=0o600)
    path.write_text(kubeconfig)
    return path


def _machine() -> Machine:
    system = platform.uname()
    return Machine(
        architecture=_ARCHITECTURES.get(system.machine, system.machine),
        system=system.system.lower(),
        kernel=system.release,
        cores=os.cpu_count() or 1,
        memory=procfs.total_memory(),
    )


def _is_settled(pod: Object) -> bool:
    status = pod.get("status") or {}
    conditions = status.get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready or status.get("phase") == "Succeeded"


def _where(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _describe(pod: Object) -> str:
    status = pod.get("status") or {}
    states = [
        f"{c['name']}: {state} {c['state'][state].get('reason', '')}".strip()
        for c in status.get("containerStatuses") or ()
        for state in c["state"]
    ]
    return f"{_where(pod)} is {status.get('phase')} ({', '.join(states) or 'no containers yet'})"
