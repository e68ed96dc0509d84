"""An application that exposes metrics with prometheus_client, where and how it is told."""

from __future__ import annotations

import argparse
import random
import signal
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import (
    CONTENT_TYPE_PLAIN_0_0_4,
    choose_encoder,
    generate_latest,
)
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
    parser.add_argument(
        "--dotted", action="store_true", help="also names with dots, in the format asked for"
    )
    parser.add_argument(
        "--mesh", default="", help="a sidecar's certificates, for mutual TLS with others like it"
    )
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    registry = CollectorRegistry()
    visits = Counter("app_visits", "Pages served.", ["page"], registry=registry)
    latency = Histogram("app_latency_seconds", "Time to serve a page.", ["page"], registry=registry)
    sessions = Gauge("app_sessions", "Sessions open.", registry=registry)
    heat = Gauge("cpu.temperature.celsius", "How warm it is.", registry=None)
    errors = Counter("hd.errors", "Errors of the disk.", ["device"], registry=None)
    energy = Histogram("cpu.energy.watt_core", "Energy of a core.", ["core"], registry=None)
    if options.dotted:
        for collector in (heat, errors, energy):
            registry.register(collector)
    key, _, value = options.need.partition("=")

    def serve(environ: dict[str, str], start: Start) -> Iterable[bytes]:
        asked = parse_qs(environ.get("QUERY_STRING", ""))
        if environ.get("PATH_INFO") != options.path or (key and asked.get(key) != [value]):
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"nothing here\n"]
        write, content_type = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
        if options.dotted:
            write, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        start("200 OK", [("Content-Type", content_type)])
        return [write(registry)]

    server = make_server(options.address, options.port, serve, WSGIServer, _Quiet)
    if options.mesh:
        server.socket = _mutual(Path(options.mesh)).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, name="http")
    thread.start()
    while not stop.wait(0.1):
        page = random.choice(("home", "search", "item"))  # noqa: S311 - a toy load
        visits.labels(page).inc()
        latency.labels(page).observe(random.expovariate(30))
        sessions.set(random.randint(3, 30))  # noqa: S311 - a toy load
        heat.set(random.gauss(50, 5))
        errors.labels("sda").inc()
        energy.labels("0").observe(random.expovariate(1))
    server.shutdown()
    thread.join()


def _mutual(folder: Path) -> ssl.SSLContext:
    """Return TLS as a sidecar speaks it: both sides show a certificate of the mesh's authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "root-cert.pem")
    context.load_cert_chain(folder / "cert-chain.pem", folder / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


if __name__ == "__main__":
    main()
