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
Application = Callable[[dict[str, str], Start], Iterable[bytes]]


class _Quiet(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: every scrape would be a line."""


def main() -> None:
    """Serve metrics until SIGTERM."""
    options = _options()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    business = _Business(dotted=options.dotted)
    serve = _serving(options, business.registry)
    servers = [
        make_server(options.address, port, serve, WSGIServer, _Quiet)
        for port in options.port or [8080]
    ]
    if options.mesh:
        context = _mutual(Path(options.mesh))
        for server in servers:
            server.socket = context.wrap_socket(server.socket, server_side=True)
    threads = [threading.Thread(target=each.serve_forever, name="http") for each in servers]
    for thread in threads:
        thread.start()
    while not stop.wait(0.1):
        business.happen()
    for server in servers:
        server.shutdown()
    for thread in threads:
        thread.join()


def _serving(options: argparse.Namespace, registry: CollectorRegistry) -> Application:
    """Return a WSGI application that shows *registry* where *options* say."""
    key, _, value = options.need.partition("=")

    def serve(environ: dict[str, str], start: Start) -> Iterable[bytes]:
        asked = parse_qs(environ.get("QUERY_STRING", ""))
        if environ.get("PATH_INFO") != options.path or (key and asked.get(key) != [value]):
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"nothing here\n"]
        if not options.dotted:
            start("200 OK", [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)])
            return [generate_latest(registry)]
        write, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        start("200 OK", [("Content-Type", content_type)])
        return [write(registry)]

    return serve


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--address", required=True, help="the pod's address")
    parser.add_argument("--port", type=int, action="append", help="8080 by default")
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
    return parser.parse_args()


class _Business:
    """What the application does, as it measures it; *dotted* says whether the machine's, too."""

    def __init__(self, *, dotted: bool) -> None:
        self.registry = CollectorRegistry()
        machine = self.registry if dotted else None
        self._visits = Counter("app_visits", "Pages served.", ["page"], registry=self.registry)
        self._latency = Histogram(
            "app_latency_seconds", "Time to serve a page.", ["page"], registry=self.registry
        )
        self._sessions = Gauge("app_sessions", "Sessions open.", registry=self.registry)
        self._heat = Gauge("cpu.temperature.celsius", "How warm it is.", registry=machine)
        self._errors = Counter("hd.errors", "Errors of the disk.", ["device"], registry=machine)
        self._energy = Histogram(
            "cpu.energy.watt_core", "Energy of a core.", ["core"], registry=machine
        )

    def happen(self) -> None:
        """Serve one page."""
        page = random.choice(("home", "search", "item"))  # noqa: S311 - a toy load
        self._visits.labels(page).inc()
        self._latency.labels(page).observe(random.expovariate(30))
        self._sessions.set(random.randint(3, 30))  # noqa: S311 - a toy load
        self._heat.set(random.gauss(50, 5))
        self._errors.labels("sda").inc()
        self._energy.labels("0").observe(random.expovariate(1))


def _mutual(folder: Path) -> ssl.SSLContext:
    """Return TLS as a sidecar speaks it: both sides show a certificate of the mesh's authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "root-cert.pem")
    context.load_cert_chain(folder / "cert-chain.pem", folder / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


if __name__ == "__main__":
    main()
