"""The names by which agents and gateways know what was collected, and how it went.

Inputs and scopes are those of Kyma's telemetry module, so that its users find what they know. What
a scrape tells about itself is Prometheus' own ("Jobs and instances", feature flag
``extra-scrape-metrics``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ATTRIBUTE: Final = "kyma.input.name"
"""The attribute of a Resource that says by which input it came; believed from agents only."""

OTLP: Final = "otlp"  # whatever comes from anybody but an agent
PROMETHEUS: Final = "prometheus"  # what annotated workloads and static targets expose
ISTIO: Final = "istio"  # what Istio's sidecars expose
RUNTIME: Final = "runtime"  # what the kubelet and the cluster's objects tell
APISERVER: Final = "apiserver"  # what the API server itself exposes

_SCOPE: Final = "io.kyma-project.telemetry/"
SCOPES: Final[Mapping[str, str]] = {
    PROMETHEUS: f"{_SCOPE}prometheus",
    ISTIO: f"{_SCOPE}istio",
    RUNTIME: f"{_SCOPE}runtime",
    APISERVER: f"{_SCOPE}runtime",
}
"""The name of the instrumentation scope of what an agent collects, by input."""

SCRAPE: Final[Mapping[str, str]] = {
    "up": "1 if the last scrape succeeded, 0 if not",
    "scrape_duration_seconds": "How long the last scrape took",
    "scrape_samples_scraped": "Samples that the target exposed",
    "scrape_samples_post_metric_relabeling": "Samples that remained after relabelling",
    "scrape_series_added": "Series that the scrape before did not have",
}
"""What every scrape tells about itself: names and descriptions."""

SCRAPE_EXTRA: Final[Mapping[str, str]] = {
    "scrape_timeout_seconds": "How long a scrape may take",
    "scrape_sample_limit": "Samples that a scrape may bring, 0 for any number",
    "scrape_body_size_bytes": "Bytes of the body, -1 if there were too many",
}
"""What it tells besides where an agent's ``scraping.extra_metrics`` says so."""

DIAGNOSTIC: Final = frozenset((*SCRAPE, *SCRAPE_EXTRA))
"""All of that: what pipelines leave out unless they ask for diagnostic metrics."""
