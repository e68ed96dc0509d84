"""The gateway by the names that OpenTelemetry Collectors use, see `common.service.otelcol`.

Alert rules derive a pipeline's kind and name from the ``exporter`` label, and take refused points
for a gateway that holds its senders back.
"""

from __future__ import annotations

from collections.abc import Iterable

from common.config import gateway, shared
from common.service.telemetry import Reading
from gateway.accounts import Accounts
from gateway.receivers import door


def exporter(pipeline: gateway.Pipeline) -> str:
    """Return what a collector would call the exporter of *pipeline*."""
    otlp = pipeline.output.otlp
    kind = "prometheusremotewrite" if otlp is None else f"otlp_{otlp.protocol}"
    return f"{kind}/metricpipeline-{pipeline.name}"


def name(accounts: Accounts, config: gateway.Gateway) -> None:
    """Let the accounts of the pipelines in *config* be told by those names too, if it says so.

    A pipeline that has gone keeps its name, and with that its counters, which never fall.
    """
    if config.admin.otelcol_metrics:
        for pipeline in config.pipelines:
            accounts.of(pipeline.name).exporter = exporter(pipeline)


def refused(admin: shared.Admin, doors: Iterable[door.Traffic]) -> Iterable[Reading]:
    """Return how many points senders were told to send again, by door, if *admin* says so."""
    if not admin.otelcol_metrics:
        return
    yield Reading(
        "counter",
        "otelcol_receiver_refused_metric_points_total",
        "Data points that senders were told to send again; 1 for a request that was not read.",
        tuple(
            ({"receiver": "otlp", "transport": traffic.transport}, float(traffic.refused_points))
            for traffic in doors
        ),
    )
