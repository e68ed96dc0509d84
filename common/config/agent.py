"""The agent's configuration document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, field

from common.config import agent_inputs, shared
from common.config.agent_inputs import Interval
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
    compression: Literal["none", "gzip", "zstd", "snappy"] = "none"
    """Of requests; a gateway with ``grpc_door: grpcio`` takes none and gzip only."""
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
    """What every scrape keeps to; annotations may choose another interval or timeout."""

    interval: Annotated[float, Meta(ge=0.1, le=86400)] = 30.0
    """Seconds from one scrape of a target to the next."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    """Seconds one scrape may take; never longer than the interval."""
    max_body_bytes: shared.Bytes = 20_000_000
    """Bytes of one exposition, inflated."""
    max_samples: Annotated[int, Meta(ge=1)] = 50_000
    """Samples of one exposition; more fail the scrape."""
    max_labels: Annotated[int, Meta(ge=1)] = 128
    """Labels that one sample exposes; more fail the scrape."""
    max_label_name_bytes: shared.Bytes = 1024
    """Bytes of a label's name."""
    max_label_value_bytes: shared.Bytes = 16_384
    """Bytes of a label's value."""
    max_buckets: Annotated[int, Meta(ge=1)] = 65_536
    """Buckets of one native histogram, empty ones between others included; more fail the scrape."""
    max_targets: Annotated[int, Meta(ge=1)] = 1000
    """Targets scraped; further ones are skipped and listed so."""
    max_concurrency: Annotated[int, Meta(ge=1)] = 50
    """Scrapes under way at once."""
    max_fetching_bytes: shared.Bytes = 128 << 20
    """Bytes of all expositions that are being fetched; who comes then waits for room."""
    max_redirects: Annotated[int, Meta(ge=0, le=10)] = 3
    """Redirects that one scrape follows, on the target's own host only; 0: none."""
    honor_labels: bool = False
    """Let exposed labels win over the target's own, instead of renaming them exported_*."""
    honor_timestamps: bool = True
    """Keep the timestamps that a target exposes."""
    track_timestamps_staleness: bool = False
    """Mark vanished series stale even if they have timestamps of their own."""
    native_histograms: bool = False
    """Ask for the protobuf format first, and send native histograms as exponential ones."""
    escaping: Literal["allow-utf-8", "underscores", "dots", "values"] = "allow-utf-8"
    """What targets shall do to names beyond letters, digits and underscores; see Prometheus."""
    classic_histograms: bool = False
    """Send the classic buckets of a histogram that is native, too."""
    extra_metrics: bool = False
    """Also scrape_timeout_seconds, scrape_sample_limit and scrape_body_size_bytes."""
    compression: bool = False
    """Let targets compress: on one node it costs both sides more CPU than the bytes are worth."""
    fallback_format: Literal["text", "none"] = "text"
    """What an answer without a usable content type is read as; ``none``: the scrape fails."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse room in which the largest body would never fit."""
        if self.max_fetching_bytes < self.max_body_bytes:
            yield "max_fetching_bytes", f"must be at least max_body_bytes, {self.max_body_bytes}"


class StaticTarget(Section, frozen=True):
    """A target that no API server has to know."""

    url: str
    """``http://host:port/path``."""
    job: str = ""
    """Becomes service.name; empty: the host and port."""
    interval: Interval | None = None
    """Seconds; empty: scraping.interval."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] | None = None
    """Seconds; empty: scraping.timeout."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Further resource attributes."""
    labels: dict[str, str] = field(default_factory=dict)
    """Further labels of every series; become attributes of points."""
    honor_labels: bool | None = None
    """Empty: scraping.honor_labels."""
    honor_timestamps: bool | None = None
    """Empty: scraping.honor_timestamps."""
    on_error: Literal["fail", "drop_line"] = "fail"
    """What a line that cannot be read costs: the scrape, or the line."""
    tls: shared.Tls = shared.Tls()
    """How an https target is verified."""
    auth: agent_inputs.ScrapeAuth = agent_inputs.ScrapeAuth()
    """How we prove ourselves to it."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that the URL is one, and holds no secret that pages would show."""
        wrong = list(shared.url("url", self.url))
        yield from wrong
        if not wrong and "@" in urlsplit(self.url).netloc:
            yield "url", "has a user name; give it as auth.basic, where it is never shown"


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
    inputs: agent_inputs.Inputs = agent_inputs.Inputs()
    """What is collected."""
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
