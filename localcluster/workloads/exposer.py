"""An application that exposes metrics with prometheus_client, where and how it is told."""

from __future__ import annotations

import argparse
import random
import signal
import threading
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from typing_extensions import override

Start = Callable[[str, list[tuple[str, str]]], object]


class _Quiet(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: every scrape would be a line."""


def main() -> None:
    """Serve metrics until SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--address", required=True, help="the pod's address")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--path", default="/metrics")
    parser.add_argument(
        "--need", default="", help="a query parameter, as key=value, without which nothing is shown"
    )
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    registry = CollectorRegistry()
    visits = Counter("app_visits", "Pages served.", ["page"], registry=registry)
    latency = Histogram("app_latency_seconds", "Time to serve a page.", ["page"], registry=registry)
    sessions = Gauge("app_sessions", "Sessions open.", registry=registry)
    key, _, value = options.need.partition("=")

    def serve(environ: dict[str, str], start: Start) -> Iterable[bytes]:
        asked = parse_qs(environ.get("QUERY_STRING", ""))
        if environ.get("PATH_INFO") != options.path or (key and asked.get(key) != [value]):
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"nothing here\n"]
        start("200 OK", [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)])
        return [generate_latest(registry)]

    server = make_server(options.address, options.port, serve, WSGIServer, _Quiet)
    thread = threading.Thread(target=server.serve_forever, name="http")
    thread.start()
    while not stop.wait(0.1):
        page = random.choice(("home", "search", "item"))  # noqa: S311 - a toy load
        visits.labels(page).inc()
        latency.labels(page).observe(random.expovariate(30))
        sessions.set(random.randint(3, 30))  # noqa: S311 - a toy load
    server.shutdown()
    thread.join()


if __name__ == "__main__":
    main()
