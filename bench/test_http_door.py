"""Guard of the HTTP door: a request from the first byte read to the last byte written."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from bench.references import http as reference
from bench.test_gateway import request
from common.config.gateway import Limits, Listen
from gateway.receivers import door
from gateway.receivers.admission import Admission
from gateway.receivers.http_connection import Connection
from gateway.receivers.http_door import Door
from gateway.receivers.trust import Trust
from tests.fakes.transports import Wire

BODY = request(50)
HEAD = (
    b"POST /v1/metrics HTTP/1.1\r\nHost: telemetry-otlp-metrics:4318\r\n"
    b"User-Agent: OTel-OTLP-Exporter-Python/1.41.0\r\nAccept-Encoding: gzip, deflate\r\n"
    b"Accept: */*\r\nConnection: keep-alive\r\nContent-Type: application/x-protobuf\r\n"
    b"X-Sequence: %d\r\nContent-Length: %d\r\n\r\n"
)


class Nobody:
    """Takes everything, and does nothing with it."""

    def __init__(self) -> None:
        self.bodies = 0

    def take(self, body: bytes, peer: str | None, *, trusted: bool) -> door.Answer:  # noqa: ARG002
        self.bodies += body == BODY
        return door.Taken(points=50)

    def overloaded(self) -> None:
        return None


class Forgetful(Wire):
    """Does not keep what was written."""

    def write(self, data: bytes) -> None:
        self.last = data


@pytest.fixture
def wire() -> Iterator[Forgetful]:
    limits, intake = Limits(), Nobody()
    terms = door.Terms(
        intake=intake,
        admission=Admission(limits.max_in_flight_bytes, limits.peer_share),
        trust=Trust(),
        clients=Trust(),
        limits=limits,
        listen=Listen(),
        drain=0,
        healthy=lambda: True,
    )

    async def opened() -> Forgetful:
        shared = Door(terms, door.Traffic("http"), wall=lambda: 0.0, chance=lambda: 0.5)
        return Forgetful(Connection(shared, "10.0.0.1"))

    with asyncio.Runner() as runner:
        made = runner.run(opened())
        yield made

        async def closed() -> None:
            made.close()

        runner.run(closed())
    assert intake.bodies


def plain() -> reference.Server:
    return reference.Server(lambda _: None, lambda _: None)


def test_answering_a_request_of_50_points(guard, wire) -> None:
    text = HEAD % (1, len(BODY)) + BODY
    wire.receive(text)
    assert wire.last.startswith(b"HTTP/1.1 200 OK")
    server = plain()
    guard(lambda: wire.receive(text), reference=lambda: server.receive(text))


def test_answering_a_request_whose_head_is_new(guard, wire) -> None:
    texts = [HEAD % (n, len(BODY)) + BODY for n in range(2000)]  # more than are remembered
    ours, theirs = itertools.cycle(texts), itertools.cycle(texts)
    server = plain()
    guard(lambda: wire.receive(next(ours)), reference=lambda: server.receive(next(theirs)))
