"""Unary requests on HTTP/2: bytes of one read in, bytes of one write out."""

from collections.abc import Callable

import hpack
from hpack.table import HeaderTable

from bench.references import http2 as reference
from common.wire import http2
from common.wire.http2 import fields, frames

Guard = Callable[..., None]

HEADERS = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
    (b":authority", b"telemetry-otlp-metrics.kyma-system:4317"),
    (b"content-type", b"application/grpc"),
    (b"user-agent", b"OTel-OTLP-Exporter-Python/1.45.2 grpc-python/1.85.1"),
    (b"te", b"trailers"),  # codespell:ignore te
]
HEAD, TRAILERS = map(http2.encode, reference.ANSWER)
BODY = bytes(6_700)


def _connected() -> http2.Server:
    server = http2.Server(http2.Limits())
    server.receive(frames.PREFACE + frames.settings(()) + frames.SETTINGS_ACK, 0.0)
    return server


def test_http2_request_in_one_read(guard: Guard) -> None:
    encoder, server, plain = hpack.Encoder(), _connected(), reference.Plain()
    first, usual = encoder.encode(HEADERS), encoder.encode(HEADERS)  # the first fills the table
    plain.decode(first)
    server.receive(frames.header_block(1, first, 16384, ended=True), 0.0)
    server.respond(1, HEAD, b"", TRAILERS)
    number = 1

    def ours() -> bytes:
        nonlocal number
        number += 2
        sent = frames.header_block(number, usual, 16384, ended=False)
        for event in server.receive(sent + frames.frame(0, 1, number, BODY), 0.0):
            if isinstance(event, http2.DataCame):
                server.credit_connection(len(event.data))
                server.respond(event.stream, HEAD, b"\0\0\0\0\0", TRAILERS)
        return server.outgoing()

    assert frames.frame(0, 0, 3, b"\0\0\0\0\0") in ours()
    guard(ours, reference=lambda: plain.request(usual))


def test_http2_header_block_that_is_always_new(guard: Guard) -> None:
    table, plain = HeaderTable(), reference.Plain()
    block = http2.encode(HEADERS) + b"\x40\x0cgrpc-timeout\x089999000u"
    assert fields.decode(block, table, 4096, 65536) == plain.decode(block)
    guard(
        lambda: fields.decode(block, table, 4096, 65536),
        reference=lambda: plain.decode(block),
    )
