"""A connection of the HTTP door without a socket, and what is sent to it."""

import asyncio
import re
from dataclasses import dataclass

from gateway.receivers import door
from gateway.receivers.http_connection import Connection
from gateway.receivers.http_door import Door
from tests.fakes.transports import Wire
from tests.gateway import samples

BODY = samples.request(points=3)
TYPE = b"Content-Type: application/x-protobuf\r\n"


def post(body: bytes = BODY, *headers: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = (
        b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n" + TYPE + b"".join(h + b"\r\n" for h in headers)
    )
    return head + b"Content-Length: %d\r\n\r\n" % size + body


def chunked(*pieces: bytes, headers: bytes = b"") -> bytes:
    head = b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n" + TYPE + headers
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


GET = b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Scene:
    """A door with one connection."""

    door: Door
    terms: door.Terms
    intake: samples.Remembering
    wire: Wire

    @property
    def traffic(self) -> door.Traffic:
        return self.door.traffic

    def statuses(self) -> list[int]:
        return [int(code) for code in re.findall(rb"HTTP/1.1 ([0-9]{3}) ", self.wire.written)]

    def another(self) -> Wire:
        return Wire(Connection(self.door, "10.0.0.2"))


def scene(*, chance: float = 0.5, half_closes: bool = True, **how) -> Scene:
    intake = samples.Remembering()
    terms = samples.terms(intake, **how)
    opened = Door(terms, door.Traffic("http"), wall=lambda: 0.0, chance=lambda: chance)
    wire = Wire(Connection(opened, "10.0.0.1"), half_closes=half_closes)
    return Scene(opened, terms, intake, wire)


async def ended(at: Scene) -> None:
    """Let the end be told, and check that nothing is left behind."""
    await asyncio.sleep(0)
    assert at.terms.admission.in_flight == at.terms.admission.peers == 0
