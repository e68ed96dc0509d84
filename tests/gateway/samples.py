"""Requests as senders make them, built with the official messages, and an intake that remembers."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping

from google.protobuf import message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from common.config.gateway import Limits, Listen
from common.wire import errors
from gateway.commit import Commit
from gateway.receivers import admission, door, trust

LISTEN = Listen()
NOON = 1_700_000_000_000_000_000


def request(
    names: Iterable[str] = ("requests",),
    *,
    points: int = 1,
    attributes: Mapping[str, str] | None = None,
) -> bytes:
    """Return one resource with a gauge of *points* for each name."""
    built = Request()
    add_frame(built, names, points=points, attributes=attributes)
    return built.SerializeToString()


def add_frame(
    built: Request,
    names: Iterable[str],
    *,
    points: int = 1,
    attributes: Mapping[str, str] | None = None,
    first: int = 0,
) -> None:
    frame = built.resource_metrics.add()
    for key, value in ({"service.name": "shop"} if attributes is None else attributes).items():
        frame.resource.attributes.add(key=key).value.string_value = value
    scope = frame.scope_metrics.add()
    scope.scope.name = "tests"
    for name in names:
        metric = scope.metrics.add(name=name)
        for i in range(points):
            metric.gauge.data_points.add(time_unix_nano=NOON + first + i, as_double=first + i)


def names(body: bytes) -> list[str]:
    return [
        metric.name
        for frame in Request.FromString(body).resource_metrics
        for scope in frame.scope_metrics
        for metric in scope.metrics
    ]


class Remembering:
    """An intake that takes everything, unless told otherwise."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, str | None, bool]] = []
        self.answer: door.Answer | Exception = door.Taken(points=1)
        self.busy: door.Overloaded | None = None
        self.reached = asyncio.Event()

    def wait_for_disk(self, *, rejected: int = 0, message: str = "") -> Commit:
        """Let the next requests wait until the commit that is returned is settled."""
        commit = Commit()
        commit.expect()
        self.answer = door.Taken(points=1, rejected=rejected, message=message, commit=commit)
        return commit

    def take(self, body: bytes, peer: str | None, *, trusted: bool) -> door.Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        try:
            Request.FromString(body)
        except message.DecodeError as error:
            raise errors.Malformed(str(error)) from error
        self.taken.append((body, peer, trusted))
        self.reached.set()
        return self.answer

    def overloaded(self) -> door.Overloaded | None:
        return self.busy


def terms(
    intake: door.Intake,
    *,
    tokens: str = "",
    client_tokens: str = "",
    healthy: bool = True,
    listen: Listen = LISTEN,
    **limits,
) -> door.Terms:
    chosen = Limits(**limits)
    return door.Terms(
        intake=intake,
        admission=admission.Admission(chosen.max_in_flight_bytes, chosen.peer_share),
        trust=trust.Trust(tokens),
        clients=trust.Trust(client_tokens),
        limits=chosen,
        listen=listen,
        drain=0.2,
        healthy=lambda: healthy,
    )


async def hung_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and wait until it is: an open socket outlives its test."""
    writer.close()
    with contextlib.suppress(ConnectionError):  # the other side was first
        await writer.wait_closed()
