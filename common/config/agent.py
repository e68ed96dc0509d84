"""The agent's configuration document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, field

from common.config import shared
from common.config.shared import Section


class Push(Section, frozen=True):
    """The gateway that takes what was scraped."""

    endpoint: str = "http://telemetry-otlp-metrics.headgate-system:4317"
    """The gateway's OTLP gRPC door."""
    token_file: str = ""
    """File with the bearer token that proves this agent to the gateway."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    """Seconds one attempt may take."""
    tls: shared.Tls = shared.Tls()
    """How the gateway is verified."""
    compression: Annotated[str, Meta(pattern="^(none|gzip)$")] = "none"
    """none or gzip."""
    batch: shared.Batching = shared.Batching()
    """How scrapes are grouped into requests."""
    retry: shared.Retrying = shared.Retrying()
    """What happens when the gateway does not take them."""
    queue_bytes: shared.Bytes = 32 << 20
    """Bytes that wait for the gateway; a scrape that finds no room is dropped whole."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that the endpoint is a URL."""
        yield from shared.url("endpoint", self.endpoint)


class Scraping(Section, frozen=True):
    """What every scrape keeps to; a pod's annotations may choose another interval or timeout."""

    interval: Annotated[float, Meta(ge=0.1, le=86400)] = 30.0
    """Seconds from one scrape of a target to the next."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    """Seconds one scrape may take; never longer than the interval."""
    max_body_bytes: shared.Bytes = 20_000_000
    """Bytes of one exposition, inflated."""
    max_samples: Annotated[int, Meta(ge=1)] = 50_000
    """Samples of one exposition; more fail the scrape."""
    max_labels: Annotated[int, Meta(ge=1)] = 128
    """Labels of one sample; more fail the scrape."""
    max_label_name_bytes: shared.Bytes = 1024
    """Bytes of a label's name."""
    max_label_value_bytes: shared.Bytes = 16_384
    """Bytes of a label's value."""
    max_targets: Annotated[int, Meta(ge=1)] = 1000
    """Targets scraped; further ones are skipped and listed so."""
    max_concurrency: Annotated[int, Meta(ge=1)] = 50
    """Scrapes under way at once."""


class StaticTarget(Section, frozen=True):
    """A target that no API server has to know."""

    url: str
    """``http://host:port/path``."""
    job: str = ""
    """Becomes service.name; empty: the host and port."""
    interval: Annotated[float, Meta(ge=0.1, le=86400)] | None = None
    """Seconds; empty: scraping.interval."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] | None = None
    """Seconds; empty: scraping.timeout."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Further resource attributes."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that the URL is one."""
        yield from shared.url("url", self.url)


class Agent(Section, frozen=True):
    """The whole document."""

    node: str = ""
    """This node's name, usually ${env:NODE_NAME}; empty: no discovery, static targets only."""
    admin: shared.Admin = shared.Admin()
    """Probes, metrics and the targets page."""
    kubernetes: shared.Kubernetes = shared.Kubernetes()
    """Which API server tells about pods."""
    gateway: Push = Push()
    """Where scrapes are pushed."""
    scraping: Scraping = Scraping()
    """What every scrape keeps to."""
    namespaces: shared.Namespaces = shared.Namespaces()
    """Namespaces whose pods are scraped."""
    static_targets: tuple[StaticTarget, ...] = ()
    """Targets besides the discovered ones."""
    grace: shared.Seconds = 10.0
    """Seconds after SIGTERM until what is still held is given up."""
    log_level: shared.Level = "info"
    """The least severe level that is logged."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Ask for the node where discovery needs it."""
        if self.kubernetes.source in {"in-cluster", "kubeconfig"} and not self.node:
            yield (
                "node",
                "is required for discovery; write ${env:NODE_NAME}, or kubernetes.source: none",
            )
