"""What the configuration says about discovery, as the values that decisions need. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from agent.targets import EVERYTHING, Choice, Step
from common.config import agent as config, shared

OWN_LABELS: Final = ("source_workload", "destination_workload")  # of istio_*: who talks to whom


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which namespaces an input takes, and how often it is scraped."""

    setting: str
    """Its section of the configuration, "inputs.prometheus"."""
    interval: float
    """Seconds."""
    timeout: float
    """Seconds; a target's is never longer than its interval."""
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()

    def judge(self, namespace: str) -> Step:
        """Say whether things of *namespace* are taken."""
        if self.include and namespace not in self.include:
            wrong = f"namespace {namespace} is not among {self.setting}.namespaces.include"
            return Step(wrong, "fail", f"add {namespace} to it")
        if namespace in self.exclude:
            wrong = f"namespace {namespace} is in {self.setting}.namespaces.exclude"
            return Step(wrong, "fail", f"remove {namespace} from it")
        return Step(f"namespace {namespace} is scraped")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the configuration says about everything that is discovered."""

    node: str
    """The name of this node; "": nothing is discovered."""
    workloads: Scope | None
    """Annotated Pods and Services; ``None``: not at all."""
    sidecars: Scope | None = None
    """Istio's; ``None``: not at all."""
    services: bool = False
    """Whether annotations of Services are looked for."""
    mesh: bool = False
    """Whether there are certificates with which workloads of the mesh can be asked."""
    proves: bool = False
    """Whether we prove ourselves to annotated workloads in plain HTTP, too."""
    honor_labels: bool = False
    honor_timestamps: bool = True
    choice: Choice = EVERYTHING
    """Which series of sidecars are kept."""

    @property
    def follows_pods(self) -> bool:
        """Whether there is any reason to know pods."""
        return bool(self.node) and (self.workloads is not None or self.sidecars is not None)

    @property
    def follows_services(self) -> bool:
        """Whether there is any reason to know Services and EndpointSlices."""
        return bool(self.node) and self.services and self.workloads is not None


def policy(document: config.Agent) -> Policy:
    """Take from the configuration what decisions need."""
    asked, istio, scraping = document.inputs.prometheus, document.inputs.istio, document.scraping

    def scope(setting: str, interval: float | None, namespaces: shared.Namespaces) -> Scope:
        return Scope(
            setting=setting,
            interval=interval or scraping.interval,
            timeout=scraping.timeout,
            include=frozenset(namespaces.include),
            exclude=frozenset(namespaces.exclude),
        )

    workloads = scope("inputs.prometheus", asked.interval, asked.namespaces)
    sidecars = scope("inputs.istio", istio.interval, istio.namespaces)
    return Policy(
        node=document.node,
        workloads=workloads if asked.enabled else None,
        sidecars=sidecars if istio.enabled else None,
        services=asked.services,
        mesh=bool(asked.mesh_certificates),
        proves=asked.auth.given,
        honor_labels=scraping.honor_labels,
        honor_timestamps=scraping.honor_timestamps,
        choice=Choice(
            prefixes=("istio_", "envoy_") if istio.envoy_metrics else ("istio_",),
            without=tuple((label, name) for name in istio.own_workloads for label in OWN_LABELS),
        ),
    )
