"""The demo from its first process to its last: start, watch, settle, add up."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path

import aiohttp

from cli.demo import manifests, observe, screen, sink
from cli.demo.arrivals import Arrivals
from common.service import lifecycle
from common.service.address import Address
from localcluster import cluster, kinds, kubelet

NAMES = sink.Names(otlp_grpc="everything", otlp_http="shop", remote_write="scraped")
START_SECONDS = 60.0
STOP_SECONDS = 20.0
SETTLE_SECONDS = 10.0
REFRESH = 1.0
DULL = ("scrape_", "up")  # every target has them
FIGURES = ("received", "filtered", "delivered", "dropped", "held")


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why, for the person who started it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user chose."""

    duration: float | None
    grpc: Address
    http: Address
    guests: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How it ended; ``arrived`` is the sink's own count."""

    pipelines: dict[str, dict[str, int]]
    targets: dict[str, int]
    example_resource: dict[str, str]
    seconds: float

    @property
    def code(self) -> int:
        """0 when every account balances and everything delivered arrived, else 1."""
        return int(bool(self.faults))

    @property
    def faults(self) -> list[str]:
        """What does not add up, in words."""
        found = [] if self.pipelines else ["the gateway never told its accounts"]
        for name, figures in self.pipelines.items():
            fates = sum(figures[f] for f in FIGURES if f != "received")
            if figures["received"] != fates:
                off = figures["received"] - fates
                found.append(f"{name}: the account is off by {off} points")
            if figures["arrived"] != figures["delivered"]:
                delivered, arrived = figures["delivered"], figures["arrived"]
                found.append(f"{name}: {delivered} points were delivered, {arrived} arrived")
        return found

    def plain(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Seen:
    """The latest that the programs said."""

    pipelines: dict[str, dict[str, int]] = field(default_factory=dict)
    targets: list[screen.Target] = field(default_factory=list)


class Demo:
    """A running demo; `run` owns it."""

    def __init__(
        self,
        options: Options,
        home: cluster.Cluster,
        arrivals: Arrivals,
        session: aiohttp.ClientSession,
        show: Callable[[screen.Scene], None],
    ) -> None:
        self._options, self._cluster, self._arrivals = options, home, arrivals
        self._session, self._show = session, show
        self._seen = _Seen()
        self._began = asyncio.get_running_loop().time()
        self._workloads: list[manifests.Object] = []
        self._agents: manifests.Object = {}
        self._gateway: manifests.Object = {}

    @property
    def seconds(self) -> float:
        """Seconds since the demo began."""
        return asyncio.get_running_loop().time() - self._began

    async def start(self, paths: manifests.Paths) -> None:
        """Apply everything: the gateway first, so that no application has to try twice."""
        for namespace in manifests.namespaces():
            self._cluster.create(namespace)
        self._gateway, self._agents = manifests.gateway(paths), manifests.agents(paths)
        self._cluster.create(self._gateway)
        await self._until(lambda: bool(self._hosts("telemetry-gateway")), "a gateway")
        while await observe.ledgers(self._session, self._hosts("telemetry-gateway")[0]) is None:
            self._check_time("the gateway", "telemetry-gateway")
            self.draw("starting the gateway")
            await asyncio.sleep(REFRESH / 4)
        self._cluster.create(self._agents)
        urls = {"grpc": f"http://{self._options.grpc}", "http": f"http://{self._options.http}"}
        self._workloads = manifests.applications(urls)
        for workload in self._workloads:
            self._cluster.create(workload)
        for number, at in enumerate(self._options.guests):
            self._invite(f"guest-{number}", at)

    async def watch(self, stop: lifecycle.Stop) -> None:
        """Look and draw until the time is over or somebody wants the end."""
        while not stop.requested:
            await self.look()
            self.draw("running")
            left = (self._options.duration or self.seconds + REFRESH) - self.seconds
            if left <= 0:
                return
            try:
                async with asyncio.timeout(min(REFRESH, left)):
                    await stop.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Ask the programs how they are doing; who does not answer keeps what it said last."""
        for host in self._hosts("telemetry-gateway"):
            found = await observe.ledgers(self._session, host)
            self._seen.pipelines = found if found is not None else self._seen.pipelines
        agents = self._hosts("telemetry-agent")
        targets = await observe.targets(self._session, agents) if agents else None
        self._seen.targets = targets if targets is not None else self._seen.targets

    def draw(self, phase: str) -> None:
        """Show the present state."""
        shown = {
            name: {**figures, "arrived": self._arrivals.points.get(name, 0)}
            for name, figures in self._seen.pipelines.items()
        }
        access = f"KUBECONFIG={self._cluster.kubeconfig_path}"
        self._show(
            screen.Scene(
                seconds=self.seconds,
                phase=phase,
                headline=[
                    f"headgate demo · {phase} · {self.seconds:.0f} s",
                    f"your application: OTEL_EXPORTER_OTLP_ENDPOINT=http://{self._options.http}",
                    f"look inside: {access} kubectl get pods -A",
                    *(
                        f"why it fails: {access} headgate explain pod {pod}"
                        for pod in self._worst()
                    ),
                ],
                targets=self._seen.targets,
                pipelines=shown,
                examples=_varied(self._arrivals),
                trouble=self._trouble(),
            )
        )

    async def settle(self) -> Summary:
        """Stop the sources, let everything arrive, stop the gateway, and add up."""
        self.draw("stopping the applications")
        await self._end(self._workloads)
        self.draw("stopping the agents")
        await self._end([self._agents])
        self.draw("waiting for the last points")
        end = self.seconds + SETTLE_SECONDS
        while True:
            await self.look()
            if self._settled() or self.seconds > end:
                break
            await asyncio.sleep(0.1)
        pipelines = {
            name: {
                **{f: figures[f] for f in FIGURES},
                "arrived": self._arrivals.points.get(name, 0),
            }
            for name, figures in self._seen.pipelines.items()
        }
        await self._end([self._gateway])
        states = [target.state for target in self._seen.targets]
        return Summary(
            pipelines=pipelines,
            targets={state: states.count(state) for state in ("up", "failing", "skipped")},
            example_resource=self._arrivals.best_resource(),
            seconds=round(self.seconds, 1),
        )

    def _settled(self) -> bool:
        return bool(self._seen.pipelines) and all(
            figures["held"] == 0 and figures["delivered"] == self._arrivals.points.get(name, 0)
            for name, figures in self._seen.pipelines.items()
        )

    def _invite(self, name: str, at: Address) -> None:
        node = cluster.Settings().nodes[0]
        pod, status = manifests.guest(name, at, node)
        created = self._cluster.create(pod)
        self._cluster.store.change(
            kinds.PODS, created["metadata"]["namespace"], name,
            lambda live: {**live, "status": {**live.get("status", {}), **status}},
            subresource="status",
        )  # fmt: skip

    async def _end(self, workloads: Sequence[manifests.Object]) -> None:
        for workload in workloads:
            self._cluster.delete(workload)
        names = {(w["metadata"]["namespace"], w["metadata"]["name"]) for w in workloads}

        def gone() -> bool:
            return not any(_workload_of(pod) in names for pod in self._cluster.pods())

        await self._until(gone, "stopped pods", STOP_SECONDS)

    async def _until(
        self, check: Callable[[], bool], what: str, within: float = START_SECONDS
    ) -> None:
        try:
            await self._cluster.wait_until(check, timeout=within, what=what)
        except TimeoutError as error:
            raise DemoError(str(error)) from error

    def _check_time(self, what: str, workload: str) -> None:
        for pod in self._pods(workload):
            restarted = any(c["restartCount"] for c in pod["status"].get("containerStatuses", ()))
            if restarted or self.seconds > START_SECONDS:
                said = self._cluster.log(manifests.SYSTEM, pod["metadata"]["name"]) or b""
                raise DemoError(
                    f"{what} does not start; it said:\n{said.decode(errors='replace')[-2000:]}"
                )

    def _pods(self, workload: str) -> list[manifests.Object]:
        return [p for p in self._cluster.pods(manifests.SYSTEM) if _workload_of(p)[1] == workload]

    def _hosts(self, workload: str) -> list[str]:
        return [ip for p in self._pods(workload) if (ip := p.get("status", {}).get("podIP"))]

    def _worst(self) -> list[str]:
        """Return the first target that fails, if there is one."""
        return [each.workload for each in self._seen.targets if each.state == "failing"][:1]

    def _trouble(self) -> list[str]:
        found = [
            f"pipeline {name}: the ledger is off by {figures['balance']} points"
            for name, figures in self._seen.pipelines.items()
            if figures.get("balance")
        ]
        for pod in self._cluster.pods():
            for container in pod.get("status", {}).get("containerStatuses", ()):
                if container["restartCount"]:
                    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
                    found.append(f"{name} was restarted {container['restartCount']} times")
        return found


async def run(options: Options, directory: Path, show: Callable[[screen.Scene], None]) -> Summary:
    """Run the demo with its files in *directory*; *show* gets a scene about once a second.

    Raises :class:`DemoError` or :class:`OSError` in words when something cannot start.
    """
    for at in (options.grpc, options.http):
        _claim(at)
    arrivals = Arrivals()
    async with lifecycle.stopping(grace=90.0) as stop, AsyncExitStack() as stack:
        outputs = await stack.enter_async_context(sink.serving(arrivals, NAMES))
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "PYTHONPATH")
            if name in os.environ
        }
        settings = cluster.Settings(
            environment=kept, kubelet=kubelet.Settings(stats_port=manifests.KUBELET_PORT)
        )
        home = await stack.enter_async_context(
            cluster.running(directory=directory, settings=settings)
        )
        session = await stack.enter_async_context(aiohttp.ClientSession(trust_env=False))
        demo = Demo(options, home, arrivals, session, show)
        await demo.start(_write(options, directory, home, outputs))
        await demo.watch(stop)
        summary = await demo.settle()
        demo.draw("stopping the cluster")
    return summary


def _claim(at: Address) -> None:
    """Check that the gateway will be able to listen at *at*, before anything is started."""
    try:
        with socket.create_server(at, family=_family(at)):
            return
    except OSError as error:
        option = "choose another with --grpc or --http"
        raise DemoError(f"cannot listen on {at} ({error.strerror}); {option}") from error


def _family(at: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in at.host else socket.AF_INET


def report(summary: Summary) -> list[str]:
    """Say in a few lines how it ended."""
    rows = [
        (name, *(f"{figures[f]:,}" for f in (*FIGURES, "arrived")))
        for name, figures in summary.pipelines.items()
    ]
    header = ("PIPELINE", *(f.upper() for f in FIGURES), "ARRIVED")
    verdict = "everything that was delivered arrived,"
    if summary.faults:
        verdict = f"error: {'; '.join(summary.faults)};"
    return [
        *screen.tabulate(header, rows, 100, right=range(1, 7)),
        f"{verdict} in {summary.seconds:.0f} s",
    ]


def _write(
    options: Options, directory: Path, home: cluster.Cluster, outputs: sink.Endpoints
) -> manifests.Paths:
    """Write what the programs read."""
    paths = manifests.Paths(
        gateway=str(directory / "gateway.yaml"),
        agent=str(directory / "agent.yaml"),
        token=str(directory / "token"),
        kubeconfig=str(home.kubeconfig_path),
    )
    token = Path(paths.token)
    token.touch(mode=0o600)
    token.write_text(secrets.token_urlsafe(32))
    gateway = manifests.gateway_document(
        grpc=str(options.grpc), http=str(options.http), outputs=asdict(outputs), token=paths.token
    )
    agent = manifests.agent_document(gateway=f"http://{options.grpc}", token=paths.token)
    Path(paths.gateway).write_text(json.dumps(gateway, indent=2))  # JSON is YAML
    Path(paths.agent).write_text(json.dumps(agent, indent=2))
    return paths


def _workload_of(pod: manifests.Object) -> tuple[str, str]:
    labels = pod["metadata"].get("labels", {})
    return pod["metadata"]["namespace"], labels.get("app.kubernetes.io/name", "")


def _varied(arrivals: Arrivals) -> list[screen.Example]:
    """Return the newest example of each metric, the pipelines in turn, the newest last."""
    newest = {(e.pipeline, e.metric): e for e in arrivals.examples}
    by_pipeline: dict[str, list[screen.Example]] = {}
    for example in newest.values():
        if not example.metric.startswith(DULL):
            by_pipeline.setdefault(example.pipeline, []).append(example)
    rounds = zip_longest(*(reversed(found) for found in by_pipeline.values()))
    return [example for turn in rounds for example in turn if example is not None][::-1]
