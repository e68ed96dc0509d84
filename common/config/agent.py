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
    token_file: str = ""
    """File with the bearer token that proves this agent to the gateway."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    tls: shared.Tls = shared.Tls()
    compression: Annotated[str, Meta(pattern="^(none|gzip)$")] = "none"
    batch: shared.Batching = shared.Batching()
    retry: shared.Retrying = shared.Retrying()
    queue_bytes: shared.Bytes = 32 << 20

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that the endpoint is a URL."""
        yield from shared.url("endpoint", self.endpoint)


class Scraping(Section, frozen=True):
    """What every scrape keeps to; a pod's annotations may choose another interval or timeout."""

    interval: Annotated[float, Meta(ge=0.1, le=86400)] = 30.0
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    max_body_bytes: shared.Bytes = 20_000_000
    """Inflated."""
    max_samples: Annotated[int, Meta(ge=1)] = 50_000
    max_labels: Annotated[int, Meta(ge=1)] = 128
    max_label_name_bytes: shared.Bytes = 1024
    max_label_value_bytes: shared.Bytes = 16_384
    max_targets: Annotated[int, Meta(ge=1)] = 1000
    max_concurrency: Annotated[int, Meta(ge=1)] = 50
    honor_labels: bool = False


class StaticTarget(Section, frozen=True):
    """A target that no API server has to know."""

    url: str
    job: str = ""
    """Becomes service.name; empty: the host and port."""
    interval: Annotated[float, Meta(ge=0.1, le=86400)] | None = None
    timeout: Annotated[float, Meta(gt=0, le=3600)] | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    """Further resource attributes."""
    honor_labels: bool | None = None

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that the URL is one."""
        yield from shared.url("url", self.url)


class Agent(Section, frozen=True):
    """The whole document."""

    node: str = ""
    """This node's name, usually ${env:NODE_NAME}; empty: no discovery, static targets only."""
    admin: shared.Admin = shared.Admin()
    kubernetes: shared.Kubernetes = shared.Kubernetes()
    gateway: Push = Push()
    scraping: Scraping = Scraping()
    namespaces: shared.Namespaces = shared.Namespaces()
    static_targets: tuple[StaticTarget, ...] = ()
    grace: shared.Seconds = 10.0
    log_level: shared.Level = "info"

    def problems(self) -> Iterable[tuple[str, str]]:
        """Ask for the node where discovery needs it."""
        if self.kubernetes.source in {"in-cluster", "kubeconfig"} and not self.node:
            yield (
                "node",
                "is required for discovery; write ${env:NODE_NAME}, or kubernetes.source: none",
            )
