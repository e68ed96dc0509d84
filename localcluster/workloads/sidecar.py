"""A stand-in for Istio's sidecar: Envoy's metrics of a workload and of its traffic.

Written as Envoy's ``/stats/prometheus`` writes: no ``HELP``, a type before each family, names of
its own beside Istio's.
"""

from __future__ import annotations

import argparse
import random
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from typing_extensions import override

Start = Callable[[str, list[tuple[str, str]]], object]

CONTENT_TYPE: Final = "text/plain; charset=UTF-8"  # without a version, as Envoy has it
BOUNDS: Final = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000)
COUNTERS: Final = {
    "istio_requests_total": 1,
    "istio_request_messages_total": 1,
    "istio_response_messages_total": 1,
    "istio_tcp_connections_closed_total": 1,
    "istio_tcp_connections_opened_total": 1,
    "istio_tcp_received_bytes_total": 700,
    "istio_tcp_sent_bytes_total": 300,
}
"""By how much they grow with a request."""
HISTOGRAMS: Final = (
    "istio_request_bytes", "istio_request_duration_milliseconds", "istio_response_bytes",
)  # fmt: skip


class _Quiet(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: every scrape would be a line."""


def labels(source: str, destination: str, namespace: str) -> Mapping[str, str]:
    """Return the labels of requests from *source* to *destination*, both of *namespace*."""
    principal = f"spiffe://cluster.local/ns/{namespace}/sa"
    return {
        "reporter": "destination",
        "source_workload": source,
        "source_workload_namespace": namespace,
        "source_principal": f"{principal}/{source}",
        "destination_workload": destination,
        "destination_workload_namespace": namespace,
        "destination_principal": f"{principal}/{destination}",
        "destination_service": f"{destination}.{namespace}.svc.cluster.local",
        "request_protocol": "http",
        "response_code": "200",
        "connection_security_policy": "mutual_tls",
    }


def exposition(traffic: Sequence[tuple[Mapping[str, str], int]]) -> str:
    """Write *traffic*: the labels of each kind of request, and how many there were."""
    return "\n".join([*_istio(traffic), *_envoy(sum(count for _, count in traffic))]) + "\n"


def _istio(traffic: Sequence[tuple[Mapping[str, str], int]]) -> Iterator[str]:
    for name, step in COUNTERS.items():
        yield f"# TYPE {name} counter"
        for told, count in traffic:
            yield f"{name}{{{_written(told)}}} {count * step}"
        yield ""
    for name in HISTOGRAMS:
        yield f"# TYPE {name} histogram"
        for told, count in traffic:
            for bound in (*map(str, BOUNDS), "+Inf"):
                yield f'{name}_bucket{{{_written(told)},le="{bound}"}} {count}'
            yield f"{name}_sum{{{_written(told)}}} {count * 0.25:g}"
            yield f"{name}_count{{{_written(told)}}} {count}"
        yield ""


def _envoy(requests: int) -> Iterator[str]:
    where = 'envoy_cluster_name="inbound|8080||"'
    yield "# TYPE envoy_cluster_upstream_rq_total counter"
    yield f"envoy_cluster_upstream_rq_total{{{where}}} {requests}"
    yield ""
    yield "# TYPE envoy_server_live gauge"
    yield "envoy_server_live{} 1"
    yield ""
    yield "# TYPE istio_build gauge"
    yield 'istio_build{component="proxy",tag="1.27.0"} 1'


def _written(told: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{value}"' for key, value in told.items())


def main() -> None:
    """Serve metrics until SIGTERM, as if the workload were asked ten times a second."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--address", required=True, help="the pod's address")
    parser.add_argument("--port", type=int, default=15090)
    parser.add_argument("--workload", required=True, help="whose sidecar it is")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--client", action="append", default=[], help="who asks the workload")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    counts = dict.fromkeys(options.client, 1)

    def serve(environ: dict[str, str], start: Start) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/stats/prometheus":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"invalid path\n"]
        start("200 OK", [("Content-Type", CONTENT_TYPE)])
        traffic = [
            (labels(client, options.workload, options.namespace), count)
            for client, count in counts.items()
        ]
        return [exposition(traffic).encode()]

    server = make_server(options.address, options.port, serve, WSGIServer, _Quiet)
    thread = threading.Thread(target=server.serve_forever, name="http")
    thread.start()
    while not stop.wait(0.1):
        for client in counts:
            counts[client] += random.randint(0, 2)  # noqa: S311 - a toy load
    server.shutdown()
    thread.join()


if __name__ == "__main__":
    main()
