"""The gateway's configuration document: the operator, or a person, writes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, field

from common.config import runtime_metrics, shared
from common.config.agent_inputs import RuntimeResources
from common.config.doors import Limits, Listen
from common.config.outputs import Buffer, OtlpOutput, Output, RemoteWriteOutput, SeriesState
from common.config.shared import Section

__all__ = [
    "Buffer",
    "Limits",
    "Listen",
    "OtlpOutput",
    "Output",
    "RemoteWriteOutput",
    "SeriesState",
]


class PodLabels(Section, frozen=True):
    """A pod label to copy: exactly *key*, or every label that starts with *key_prefix*."""

    key: str = ""
    """One label."""
    key_prefix: str = ""
    """Every label that starts so."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Ask for one of the two."""
        if bool(self.key) == bool(self.key_prefix):
            yield "key", "give either key or key_prefix"


class Enrichment(Section, frozen=True):
    """What is added to every resource."""

    strategy: Literal["otel", "kyma-legacy"] = "otel"
    """How service.name is found where the sender did not set it."""
    cluster_name: str = ""
    """Becomes k8s.cluster.name."""
    cluster_uid: str = ""
    """Becomes k8s.cluster.uid."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Further constant attributes, set where the sender did not (cloud.provider and the like)."""
    pod_labels: tuple[PodLabels, ...] = ()
    """Pod labels to copy, as k8s.pod.label.<key>."""
    node: str = ""
    """Watch the pods of this node only (gateway as a DaemonSet); empty: all."""
    fresh_pod_hold: Annotated[float, Meta(ge=0, le=10)] = 2.0
    """Seconds that data of a pod nobody has heard of is held for it to become known; 0: never."""
    fresh_pod_bytes: shared.Bytes = 16 << 20
    """Bytes of such data to hold; more is sent on as it is."""
    fresh_pod_memo_bytes: shared.Bytes = 4 << 20
    """Bytes of identities that were waited for in vain, so that each is waited for once."""


class Input(Section, frozen=True):
    """One source of metrics, as one pipeline sees it."""

    enabled: bool = True
    """Whether the pipeline takes it at all."""
    namespaces: shared.Namespaces = shared.Namespaces()
    """Namespaces to take or to leave."""
    metrics: shared.Names = shared.Names()
    """Metric names; globs."""


class PrometheusInput(Input, frozen=True):
    """What agents scrape from annotated workloads."""

    diagnostic_metrics: bool = False
    """Also up and scrape_*."""


class IstioInput(PrometheusInput, frozen=True):
    """What agents scrape from Istio's sidecars."""

    enabled: bool = False
    """Whether the pipeline takes it at all."""
    envoy_metrics: bool = False
    """Also ``envoy_*``."""


class RuntimeInput(Input, frozen=True):
    """What agents tell about nodes, pods and the cluster."""

    enabled: bool = False
    """Whether the pipeline takes it at all."""
    resources: RuntimeResources = RuntimeResources()
    """Which kinds of things it takes."""
    additional_metrics: tuple[str, ...] = ()
    """Further metrics by name, those of switched-off resources too."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse names that nobody can tell about."""
        yield from runtime_metrics.unknown("additional_metrics", self.additional_metrics)


class Inputs(Section, frozen=True):
    """Which sources a pipeline takes."""

    otlp: Input = Input()
    """What applications push."""
    prometheus: PrometheusInput = PrometheusInput()
    """What agents scrape from annotated workloads."""
    istio: IstioInput = IstioInput()
    """What agents scrape from Istio's sidecars."""
    runtime: RuntimeInput = RuntimeInput()
    """What agents tell about nodes, pods and the cluster."""


class Pipeline(Section, frozen=True):
    """From the inputs it chooses to one destination."""

    name: Annotated[
        str, Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    ]
    """Its identity in metrics, logs and the ledger."""
    output: Output
    """Where it sends."""
    inputs: Inputs = Inputs()
    """What it takes."""
    batch: shared.Batching = shared.Batching()
    """How points are grouped into requests."""
    retry: shared.Retrying = shared.Retrying()
    """What happens when the backend does not take them."""
    queue_bytes: shared.Bytes = 64 << 20
    """Bytes in memory that wait for this destination, those being sent included."""
    required: bool = False
    """Without room here requests are refused at the doors, instead of being dropped here."""
    buffer: Buffer | None = None
    """Keep data on disk until it is delivered; off unless given."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse an order that the destination does not take."""
        if self.buffer is None or self.buffer.order == "oldest":
            return
        otlp = self.output.otlp
        if self.output.remote_write is not None:
            why = "newest would break the order that remote write keeps to; set oldest"
            yield "buffer.order", why
        elif otlp is not None and otlp.temporality == "delta":
            yield "buffer.order", "differences are made in the order of time; set oldest"


class Agents(Section, frozen=True):
    """How agents prove themselves."""

    token_file: str = ""
    """File with the bearer token of agents; empty: nobody may name the input of its data."""


class Gateway(Section, frozen=True):
    """The whole document."""

    listen: Listen = Listen()
    """Where OTLP comes in."""
    admin: shared.Admin = shared.Admin()
    """Probes, metrics and debug pages."""
    limits: Limits = Limits()
    """What bounds requests and memory."""
    kubernetes: shared.Kubernetes = shared.Kubernetes()
    """Which API server tells about pods."""
    enrichment: Enrichment = Enrichment()
    """What is added to every resource."""
    agents: Agents = Agents()
    """Who may say which input data is from."""
    pipelines: tuple[Pipeline, ...] = ()
    """From inputs to destinations; reloaded while running."""
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    """Processes that share the ports; `--workers` wins."""
    grace: shared.Seconds = 20.0
    """Seconds after SIGTERM until what is still held is given up."""
    log_level: shared.Level = "info"
    """The least severe level that is logged."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse a name that is used twice."""
        seen: set[str] = set()
        for i, pipeline in enumerate(self.pipelines):
            if pipeline.name in seen:
                yield f"pipelines[{i}].name", f"{pipeline.name!r} is used twice; names are unique"
            seen.add(pipeline.name)
