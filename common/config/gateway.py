"""The gateway's configuration document: the operator, or a person, writes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, field

from common.config import shared
from common.config.shared import Section


class Listen(Section, frozen=True):
    """The doors for OTLP."""

    grpc: str = "0.0.0.0:4317"
    http: str = "0.0.0.0:4318"

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that both are addresses."""
        yield from shared.listens(grpc=self.grpc, http=self.http)


class Limits(Section, frozen=True):
    """What bounds a request and the process."""

    max_request_bytes: shared.Bytes = 64 << 20
    """Bytes of one request, compressed and inflated alike."""
    max_in_flight_bytes: shared.Bytes = 256 << 20
    """Bytes of all requests being read or worked on; beyond it clients are told to wait."""
    max_connections: Annotated[int, Meta(ge=1)] = 4096
    idle_timeout: shared.Seconds = 300.0
    read_timeout: shared.Seconds = 30.0
    """Seconds a client may take to send one request."""
    enrichment_memo_bytes: shared.Bytes = 32 << 20


class PodLabels(Section, frozen=True):
    """A pod label to copy: exactly *key*, or every label that starts with *key_prefix*."""

    key: str = ""
    key_prefix: str = ""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Ask for one of the two."""
        if bool(self.key) == bool(self.key_prefix):
            yield "key", "give either key or key_prefix"


class Enrichment(Section, frozen=True):
    """What is added to every resource."""

    strategy: Literal["otel", "kyma-legacy"] = "otel"
    """How service.name is found where the sender did not set it."""
    cluster_name: str = ""
    cluster_uid: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    """Further constant attributes, set where the sender did not (cloud.provider and the like)."""
    pod_labels: tuple[PodLabels, ...] = ()
    node: str = ""
    """Watch the pods of this node only (gateway as a DaemonSet); empty: all."""


class Input(Section, frozen=True):
    """One source of metrics, as one pipeline sees it."""

    enabled: bool = True
    namespaces: shared.Namespaces = shared.Namespaces()
    metrics: shared.Names = shared.Names()
    """Metric names; globs."""


class PrometheusInput(Input, frozen=True):
    """What agents scrape from annotated workloads."""

    diagnostic_metrics: bool = False
    """Also up and scrape_*."""


class Inputs(Section, frozen=True):
    """Which sources a pipeline takes."""

    otlp: Input = Input()
    prometheus: PrometheusInput = PrometheusInput()


class OtlpOutput(Section, frozen=True):
    """An OTLP backend."""

    endpoint: str
    """``http://host:port`` or ``https://host:port``."""
    protocol: Literal["grpc", "http"] = "grpc"
    path: str = ""
    """HTTP only; empty: /v1/metrics."""
    headers: dict[str, str] = field(default_factory=dict)
    compression: Literal["none", "gzip", "zstd", "snappy"] = "gzip"
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    tls: shared.Tls = shared.Tls()

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check what one field means for another."""
        yield from shared.url("endpoint", self.endpoint)
        if self.path and self.protocol == "grpc":
            yield "path", "gRPC has no path; remove it or set protocol: http"
        if self.protocol == "grpc" and self.compression not in {"none", "gzip"}:
            yield (
                "compression",
                f"{self.compression!r} is for protocol http; gRPC takes none or gzip",
            )
        if self.protocol == "grpc" and self.tls.insecure_skip_verify:
            yield "tls.insecure_skip_verify", "gRPC always verifies; give ca_file instead"


class RemoteWriteOutput(Section, frozen=True):
    """A Prometheus remote-write backend, protocol 1.0."""

    url: str
    naming: Literal["suffixes", "plain"] = "suffixes"
    """``suffixes``: unit and type are appended; ``plain``: names as they came."""
    headers: dict[str, str] = field(default_factory=dict)
    external_labels: dict[str, str] = field(default_factory=dict)
    promote: tuple[str, ...] = ()
    """Resource attributes that become labels of every series."""
    target_info: bool = True
    scope_labels: bool = True
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    tls: shared.Tls = shared.Tls()

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that the URL is one."""
        yield from shared.url("url", self.url)


class Output(Section, frozen=True):
    """Where a pipeline sends: exactly one of the two."""

    otlp: OtlpOutput | None = None
    remote_write: RemoteWriteOutput | None = None

    def problems(self) -> Iterable[tuple[str, str]]:
        """Ask for exactly one."""
        if (self.otlp is None) == (self.remote_write is None):
            yield "", "give exactly one of otlp, remote_write"


class Pipeline(Section, frozen=True):
    """From the inputs it chooses to one destination."""

    name: Annotated[
        str, Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    ]
    output: Output
    inputs: Inputs = Inputs()
    batch: shared.Batching = shared.Batching()
    retry: shared.Retrying = shared.Retrying()
    queue_bytes: shared.Bytes = 64 << 20
    """Bytes that wait for this destination, those being sent included."""


class Agents(Section, frozen=True):
    """How agents prove themselves."""

    token_file: str = ""
    """File with the bearer token of agents; empty: nobody may name the input of its data."""


class Gateway(Section, frozen=True):
    """The whole document."""

    listen: Listen = Listen()
    admin: shared.Admin = shared.Admin()
    limits: Limits = Limits()
    kubernetes: shared.Kubernetes = shared.Kubernetes()
    enrichment: Enrichment = Enrichment()
    agents: Agents = Agents()
    pipelines: tuple[Pipeline, ...] = ()
    grace: shared.Seconds = 20.0
    """Seconds after SIGTERM until what is still held is given up."""
    log_level: shared.Level = "info"

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse a name that is used twice."""
        seen: set[str] = set()
        for i, pipeline in enumerate(self.pipelines):
            if pipeline.name in seen:
                yield f"pipelines[{i}].name", f"{pipeline.name!r} is used twice; names are unique"
            seen.add(pipeline.name)
