"""Sections about the gateway's doors: where they listen, whom they believe, what they bear."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from common.config import shared
from common.config.shared import Section

Count = Annotated[int, Meta(ge=1, le=1 << 31)]
Patience = Annotated[float, Meta(gt=0, le=86400)]
Share = Annotated[float, Meta(gt=0, le=1)]


class ServerTls(Section, frozen=True):
    """How a door proves itself, and what it asks of clients; the files are reread when changed."""

    cert_file: str = ""
    """PEM file of the certificate chain; empty: no TLS."""
    key_file: str = ""
    """PEM file of the certificate's key."""
    client_ca_file: str = ""
    """PEM file of the authorities of client certificates; given, every client must show one."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS that is spoken."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that a certificate has its key, and that clients are not asked without TLS."""
        if bool(self.cert_file) != bool(self.key_file):
            missing = "key_file" if self.cert_file else "cert_file"
            yield missing, "cert_file and key_file go together"
        if self.client_ca_file and not self.cert_file:
            yield "client_ca_file", "needs cert_file and key_file: clients are verified within TLS"


class Http2(Section, frozen=True):
    """What one HTTP/2 connection of the lean gRPC door may do.

    The other door goes by `max_concurrent_streams` and `max_header_bytes`, and has its own ways.
    """

    max_concurrent_streams: Count = 128
    """Requests at a time; more are refused, to be sent again."""
    stream_window_bytes: Annotated[int, Meta(ge=1, le=0x7FFF_FFFF)] = 64 << 10
    """Bytes a client may send of one request before it has been admitted."""
    connection_window_bytes: Annotated[int, Meta(ge=65535, le=0x7FFF_FFFF)] = 1 << 20
    """Bytes a client may send on one connection that have not been taken yet."""
    max_header_bytes: Count = 16 << 10
    """Bytes of a request's headers, inflated, as RFC 9113 counts them."""
    header_table_bytes: Annotated[int, Meta(ge=0, le=1 << 20)] = 4096
    """Bytes of the table by which clients may compress headers."""
    max_resets: Count = 200
    """Streams a client may reset, or make us reset, within `flood_seconds`."""
    max_pings: Count = 100
    """PING frames within `flood_seconds`."""
    max_settings: Count = 20
    """SETTINGS frames within `flood_seconds`."""
    max_empty_frames: Count = 200
    """Frames without any use (empty DATA, PRIORITY, unknown ones) within `flood_seconds`."""
    flood_seconds: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    """Seconds over which the four are counted."""
    max_frame_bytes: Annotated[int, Meta(ge=16384, le=(1 << 24) - 1)] = 16384
    """Bytes of one frame that a client may send."""
    max_continuations: Count = 32
    """CONTINUATION frames of a request's headers."""
    max_queued_bytes: shared.Bytes = 1 << 20
    """Bytes of answers that wait for a client to open its windows."""


class Cors(Section, frozen=True):
    """Which web pages may send; off unless origins are named."""

    allowed_origins: tuple[str, ...] = ()
    """Origins, with ``*`` for any run of characters; ``*`` alone: every page."""
    allowed_headers: tuple[str, ...] = ()
    """Request headers that pages may set, beside content-type and content-encoding."""
    max_age: shared.Seconds = 5.0
    """Seconds a browser may remember the answer."""


class Proxies(Section, frozen=True):
    """Whose word about the address of a client is believed."""

    trusted: tuple[str, ...] = ()
    """Addresses or networks of load balancers (``10.0.0.0/8``); empty: nobody is believed."""
    proxy_protocol: bool = False
    """Connections of the trusted begin with a PROXY protocol header, version 1 or 2."""
    forwarded_for: bool = False
    """Believe X-Forwarded-For of the trusted (HTTP) and its gRPC metadata."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that every entry is a network, and that somebody is trusted where that matters."""
        for index, text in enumerate(self.trusted):
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                yield f"trusted[{index}]", f"{error}; write an address or a network, 10.0.0.0/8"
        for name in ("proxy_protocol", "forwarded_for"):
            if getattr(self, name) and not self.trusted:
                yield name, "needs trusted: name the addresses of your load balancers"


class Auth(Section, frozen=True):
    """Who may send at all."""

    bearer_tokens_file: str = ""
    """File of bearer tokens, one a line, any of which lets in; empty: everybody may send."""


class Listen(Section, frozen=True):
    """The doors for OTLP."""

    grpc: str = "0.0.0.0:4317"
    """Address for OTLP over gRPC."""
    http: str = "0.0.0.0:4318"
    """Address for OTLP over HTTP."""
    grpc_door: Literal["lean", "grpcio"] = "lean"
    """Which implementation serves gRPC."""
    tls: ServerTls = ServerTls()
    """TLS of both doors."""
    auth: Auth = Auth()
    """Who may send."""
    proxies: Proxies = Proxies()
    """Load balancers in front of us."""
    cors: Cors = Cors()
    """Web pages that send over HTTP."""
    http2: Http2 = Http2()
    """What bounds a connection of the lean gRPC door."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check the addresses, and that the door can do what is asked of it."""
        yield from shared.listens(grpc=self.grpc, http=self.http)
        if self.grpc_door == "grpcio" and self.proxies.proxy_protocol:
            yield "grpc_door", "grpcio knows no PROXY protocol; set grpc_door: lean"
        if self.grpc_door == "grpcio" and self.tls.cert_file and self.tls.min_version != "1.2":
            yield "grpc_door", "grpcio always speaks TLS 1.2 as well; set grpc_door: lean"


class Limits(Section, frozen=True):
    """What bounds a request and the process."""

    max_request_bytes: shared.Bytes = 64 << 20
    """Bytes of one request, compressed and inflated alike."""
    max_in_flight_bytes: shared.Bytes = 256 << 20
    """Bytes of all requests being read or worked on; beyond it clients are told to wait."""
    peer_share: Share = 0.5
    """The part of `max_in_flight_bytes` that requests of one address may take."""
    memory_fraction: Share = 0.9
    """Of the memory the cgroup allows, what may be in use before clients are told to wait."""
    max_connections: Count = 4096
    """Connections open at once, of each door; further ones are closed."""
    idle_timeout: Patience = 300.0
    """Seconds until an idle connection is closed."""
    max_header_bytes: Count = 16 << 10
    """Bytes of the head of an HTTP/1.1 request: its first line and its headers."""
    max_headers: Count = 100
    """Headers of an HTTP/1.1 request."""
    header_memo_bytes: shared.Bytes = 1 << 20
    """Bytes of such heads to remember, so that only new ones are parsed."""
    header_timeout: Patience = 10.0
    """Seconds a client may take for its handshake, and for the headers of a request."""
    read_timeout: Patience = 30.0
    """Seconds a client may take to send one request."""
    max_connection_age: shared.Seconds = 1800.0
    """Seconds, a tenth more or less, until a connection is closed in good order; 0: never."""
    connection_grace: shared.Seconds = 30.0
    """Seconds that requests get to end on a connection that is being closed in good order."""
    keepalive_interval: shared.Seconds = 60.0
    """Seconds of silence until a gRPC client is asked whether it is alive; 0: never."""
    keepalive_timeout: Annotated[float, Meta(gt=0, le=3600)] = 20.0
    """Seconds it may take to answer that."""
    layout_memo_bytes: shared.Bytes = 32 << 20
    """Bytes of request shapes to remember, so that only new ones are parsed."""
    enrichment_memo_bytes: shared.Bytes = 32 << 20
    """Bytes of enriched resources to remember."""
