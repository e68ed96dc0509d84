"""An application that pushes metrics with the OpenTelemetry SDK, over gRPC or HTTP as it is told.

It knows nothing of headgate: endpoint, protocol, interval and resource come from the OTEL_*
variables that any SDK reads, the resource from the downward API.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import threading
from collections.abc import Iterable

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader


def _exporter() -> MetricExporter:
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415 - one of two
            OTLPMetricExporter as Grpc,
        )

        return Grpc()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - one of two
        OTLPMetricExporter as Http,
    )

    return Http()


def main() -> None:
    """Record a shop's business until SIGTERM, then flush and leave."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between exports")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    reader = PeriodicExportingMetricReader(
        _exporter(), export_interval_millis=options.interval * 1000
    )
    provider = MeterProvider(metric_readers=[reader])
    meter = provider.get_meter("shop", "1.0.0")
    requests = meter.create_counter(
        "shop.requests", unit="{request}", description="Requests served."
    )
    seconds = meter.create_histogram(
        "shop.request.duration", unit="s", description="Time to serve."
    )

    def waiting(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(random.randint(0, 9), {"queue": "orders"})  # noqa: S311 - a toy load

    meter.create_observable_gauge(
        "shop.queue.length", callbacks=[waiting], description="Orders waiting."
    )
    while not stop.wait(0.1):
        route = random.choice(("/cart", "/pay", "/browse"))  # noqa: S311 - a toy load
        requests.add(1, {"route": route})
        seconds.record(random.expovariate(20), {"route": route})
    provider.shutdown()


if __name__ == "__main__":
    main()
