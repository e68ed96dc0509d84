"""What an agent collects: annotated workloads, Istio's sidecars, its node, the cluster's state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from common.config import runtime_metrics, shared
from common.config.outputs import BasicAuth
from common.config.shared import Section

Interval = Annotated[float, Meta(ge=0.1, le=86400)]


class ScrapeAuth(Section, frozen=True):
    """How we prove ourselves to targets: at most one of these."""

    basic: BasicAuth | None = None
    """A user name and a password."""
    bearer_token: shared.Secret = ""
    """A secret sent as it is; write it as ${file:/path}."""
    bearer_token_file: str = ""
    """File with a bearer token, read again when it changes."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse two of them at once."""
        given = self.basic is not None, bool(self.bearer_token), bool(self.bearer_token_file)
        if sum(given) > 1:
            yield "", "give one of basic, bearer_token, bearer_token_file"
        if " " in self.bearer_token or not self.bearer_token.isprintable():
            yield "bearer_token", "has characters other than printable ASCII without spaces"

    @property
    def given(self) -> bool:
        """Whether there is one of them."""
        return self != ScrapeAuth()


class PrometheusInput(Section, frozen=True):
    """Workloads that ask for it by ``prometheus.io`` annotations."""

    enabled: bool = True
    """Whether they are scraped at all."""
    interval: Interval | None = None
    """Seconds; empty: scraping.interval."""
    namespaces: shared.Namespaces = shared.Namespaces()
    """Namespaces whose workloads are scraped."""
    services: bool = True
    """Look for annotations on Services too; needs to watch Services and EndpointSlices."""
    tls: shared.Tls = shared.Tls()
    """How https targets are verified; a client certificate is shown to those who ask."""
    auth: ScrapeAuth = ScrapeAuth()
    """How we prove ourselves to every annotated target; who may annotate, may see it."""
    mesh_certificates: str = ""
    """Folder with root-cert.pem, cert-chain.pem and key.pem of an Istio sidecar; empty: workloads
    of the mesh are scraped in plain HTTP only, where their annotation says so."""


class IstioInput(Section, frozen=True):
    """Metrics of Istio's sidecars."""

    enabled: bool = False
    """Whether they are scraped at all."""
    interval: Interval | None = None
    """Seconds; empty: scraping.interval."""
    namespaces: shared.Namespaces = shared.Namespaces()
    """Namespaces whose sidecars are scraped."""
    envoy_metrics: bool = False
    """Also ``envoy_*``; otherwise ``istio_*`` only."""
    own_workloads: tuple[str, ...] = (
        "telemetry-agent", "telemetry-gateway", "telemetry-metric-agent", "telemetry-otlp-gateway",
    )  # fmt: skip
    """Workloads of ours: traffic that they send or take is left out of ``istio_*``."""


class RuntimeResources(Section, frozen=True):
    """Which kinds of things the runtime input tells about."""

    pod: bool = True
    """``k8s.pod.*``."""
    container: bool = True
    """``container.*`` and ``k8s.container.*``."""
    node: bool = True
    """``k8s.node.*``."""
    volume: bool = True
    """``k8s.volume.*`` of persistent volume claims."""
    deployment: bool = True
    """``k8s.deployment.*``."""
    daemonset: bool = True
    """``k8s.daemonset.*``."""
    statefulset: bool = True
    """``k8s.statefulset.*``."""
    job: bool = True
    """``k8s.job.*``."""
    apiserver: bool = False
    """The API server's own metrics."""


class Kubelet(Section, frozen=True):
    """How the node's kubelet is asked."""

    endpoint: str = ""
    """``https://host:port``; empty: port 10250 of the node by its name."""
    tls: shared.Tls = shared.Tls()
    """How it is verified; empty: by the authority of the cluster, as the service account has it."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    """Seconds one request may take."""
    max_bytes: shared.Bytes = 32 << 20
    """Bytes of one answer."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that the endpoint is a URL."""
        if self.endpoint:
            yield from shared.url("endpoint", self.endpoint)


class Lease(Section, frozen=True):
    """Which agent tells about the whole cluster: the one that holds this Lease."""

    name: str = "headgate-agent-cluster"
    """Its name."""
    namespace: str = ""
    """Its namespace; empty: that of the pod we run in, else headgate-system."""
    duration: Annotated[float, Meta(ge=2, le=3600)] = 15.0
    """Seconds without renewal after which another agent takes over."""
    renew_deadline: Annotated[float, Meta(ge=1, le=3600)] = 10.0
    """Seconds without renewal after which the holder stops by itself; less than the duration."""
    retry_period: Annotated[float, Meta(ge=0.1, le=600)] = 2.0
    """Seconds between two attempts."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse periods with which two agents could lead at once, or none."""
        if self.renew_deadline >= self.duration:
            yield "renew_deadline", f"must be less than duration, {self.duration:g} s"
        if self.retry_period >= self.renew_deadline:
            yield "retry_period", f"must be less than renew_deadline, {self.renew_deadline:g} s"


class RuntimeInput(Section, frozen=True):
    """The node as its kubelet sees it, and the cluster as the API server does."""

    enabled: bool = False
    """Whether they are collected at all."""
    interval: Interval | None = None
    """Seconds; empty: scraping.interval."""
    namespaces: shared.Namespaces = shared.Namespaces()
    """Namespaces whose pods and workloads are told about; nodes have none."""
    resources: RuntimeResources = RuntimeResources()
    """What is told about."""
    additional_metrics: tuple[str, ...] = ()
    """Further metrics by name, those of switched-off resources too."""
    kubelet: Kubelet = Kubelet()
    """How the node's kubelet is asked."""
    lease: Lease = Lease()
    """Which agent tells about the cluster."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse names that nobody can tell about."""
        yield from runtime_metrics.unknown("additional_metrics", self.additional_metrics)


class Inputs(Section, frozen=True):
    """What is collected; a pipeline may take less of it, never more."""

    prometheus: PrometheusInput = PrometheusInput()
    """Annotated Pods and Services."""
    istio: IstioInput = IstioInput()
    """Istio's sidecars."""
    runtime: RuntimeInput = RuntimeInput()
    """The node and the cluster."""
