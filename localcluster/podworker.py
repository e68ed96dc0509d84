"""One pod on its node: its containers as processes, restarted as its policy says, until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from localcluster import kinds, podspec, podstatus, probes
from localcluster.kinds import Object
from localcluster.podspec import Addresses, ConfigError, Probe, Program
from localcluster.podstatus import Backoff, Container, Terminated, Waiting
from localcluster.processes import Child, Nursery
from localcluster.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the pods of a node share."""

    store: Store
    nursery: Nursery
    session: aiohttp.ClientSession  # for probes
    environment: Mapping[str, str]  # what an image would bring, PATH above all
    entrypoints: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by image
    backoff: Backoff = field(default_factory=Backoff)
    log_bytes: int = 1 << 20  # a container


class PodWorker:
    """Runs one pod; :meth:`run` returns when nothing of it is left running for good."""

    def __init__(
        self,
        around: Surroundings,
        pod: Object,
        addresses: Addresses,
        *,
        directory: Path,
        log: Callable[[str], Path],
    ) -> None:
        self._around = around
        self._pod = pod
        self._addresses = addresses
        self._directory = directory  # where its programs start
        self._log = log  # by container
        self._stopping = asyncio.Event()
        self._grace = float("inf")
        self._started = around.store.timestamp()
        self._children: set[Child] = set()
        self._containers = {
            spec["name"]: Container(name=spec["name"], image=spec.get("image", ""), state=Waiting())
            for spec in pod["spec"]["containers"]
        }

    def stop(self, grace: float) -> None:
        """Begin to end the pod: SIGTERM now, SIGKILL after *grace* seconds; 0 kills at once."""
        self._grace = min(self._grace, grace)
        self._stopping.set()
        if grace <= 0:
            for child in self._children:
                child.kill()

    async def run(self) -> None:
        """Run every container until it has ended for good, or until :meth:`stop`."""
        self._publish()
        async with asyncio.TaskGroup() as tasks:
            for spec in self._pod["spec"]["containers"]:
                tasks.create_task(self._run_container(spec), name=f"container {spec['name']}")
        self._publish(over=True)

    async def _run_container(self, spec: Object) -> None:
        name = spec["name"]
        try:
            probe = podspec.probe(spec, self._addresses.pod)
            program = podspec.program(
                self._pod, spec, self._addresses,
                base=self._around.environment, entrypoints=self._around.entrypoints,
            )  # fmt: skip
        except ConfigError as error:
            await self._give_up(name, "CreateContainerConfigError", str(error))
            return
        policy = self._pod["spec"].get("restartPolicy", "Always")
        loop = asyncio.get_running_loop()
        delay = 0.0
        while not self._stopping.is_set():
            began = loop.time()
            try:
                code = await self._run_once(name, program, probe)
            except OSError as error:  # no such working directory, no more processes
                await self._give_up(name, "RunContainerError", str(error))
                return
            self._set(self._containers[name].ended(code, self._around.store.timestamp()))
            if self._stopping.is_set() or not podstatus.restarts(policy, code):
                return
            delay = self._around.backoff.delay(delay, loop.time() - began)
            self._set(self._containers[name].backing_off(delay))
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
        if last := self._containers[name].last:
            self._set(replace(self._containers[name], state=last))

    async def _run_once(self, name: str, program: Program, probe: Probe | None) -> int:
        around = self._around
        running = around.nursery.spawned(
            program.arguments, environment=program.environment,
            directory=Path(program.directory or self._directory), log=self._log(name),
            log_bytes=around.log_bytes,
        )  # fmt: skip
        async with running as child, asyncio.TaskGroup() as tasks:
            self._children.add(child)
            now = around.store.timestamp()
            started = self._containers[name].started(
                f"process://{child.pid}", now, ready=probe is None
            )
            self._set(started)
            beside = [tasks.create_task(self._end(child), name="end")]
            if probe is not None:
                beside.append(tasks.create_task(self._follow(name, probe), name="readiness"))
            code = await child.wait()
            self._children.discard(child)
            for task in beside:
                task.cancel()
        return code

    async def _end(self, child: Child) -> None:
        await self._stopping.wait()
        await child.stop(self._grace)

    async def _follow(self, name: str, probe: Probe) -> None:
        """Keep the container's readiness up to date."""
        await asyncio.sleep(probe.delay)
        good = bad = 0
        while True:
            why_not = await probes.check(self._around.session, probe)
            good, bad = (0, bad + 1) if why_not else (good + 1, 0)
            ready = self._containers[name].ready
            if (good >= probe.successes and not ready) or (bad >= probe.failures and ready):
                self._set(replace(self._containers[name], ready=not ready))
            await asyncio.sleep(probe.period)

    async def _give_up(self, name: str, reason: str, message: str) -> None:
        """Say what is wrong and hold still until somebody deletes the pod."""
        waiting = Waiting(reason=reason, message=message)
        self._set(replace(self._containers[name], state=waiting, ready=False))
        await self._stopping.wait()
        now = self._around.store.timestamp()
        ended = Terminated(code=128, since=now, until=now)
        self._set(replace(self._containers[name], state=ended))

    def _set(self, container: Container) -> None:
        self._containers[container.name] = container
        self._publish()

    def _publish(self, *, over: bool = False) -> None:
        store, metadata = self._around.store, self._pod["metadata"]
        live = store.find(kinds.PODS, metadata["namespace"], metadata["name"])
        if live is None or live["metadata"]["uid"] != metadata["uid"]:
            return  # it was deleted without waiting for us
        status = podstatus.status(
            live, tuple(self._containers.values()), self._addresses,
            started=self._started, now=store.timestamp(), over=over,
        )  # fmt: skip
        store.change(
            kinds.PODS, metadata["namespace"], metadata["name"],
            lambda pod: pod | {"status": status}, subresource="status",
        )  # fmt: skip
