"""What every door for OTLP has in common: whom it asks, what it is answered, what it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias, final

from common.config.gateway import Limits, Listen
from common.service.telemetry import Reading, labelled, single
from gateway.commit import Commit
from gateway.receivers.admission import Admission
from gateway.receivers.trust import Trust

AGAIN: Final = 5.0  # seconds: what a client is told whose request could not be written to disk
MAX_REASON: Final = 1024  # characters of a reason that a client is told
FAILED: Final = "the request could not be written to disk"
LATE: Final = "the request was not on disk in time"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The request is ours now; *rejected* of its *points* were left out, *message* says why.

    With a *commit* the client must not be told before that is settled; and if it failed, the client
    is to be told to come again after `AGAIN` seconds.
    """

    points: int
    rejected: int = 0
    message: str = ""
    commit: Commit | None = None


@final
@dataclass(frozen=True, slots=True)
class Overloaded:
    """Nothing was taken; the client shall come again *after* that many seconds.

    *points* are those of the request, 1 if nobody has counted them.
    """

    after: float
    points: int = 1


Answer: TypeAlias = Taken | Overloaded

Unwritten: TypeAlias = Literal["failed", "late", "gone"]
"""Why a client was not told that its request is on disk: it is not; the disk took too long, which
the client was told; the client did not wait."""


class Intake(Protocol):
    """What stands behind every door. Synchronous: when it returns, the data is held or booked."""

    def take(self, body: bytes, peer: str | None, *, trusted: bool) -> Answer:
        """Take an encoded ExportMetricsServiceRequest sent from the address *peer*.

        *trusted* senders may say which input their data came by. Raises
        `common.wire.errors.Malformed`; then nothing was taken.
        """
        ...

    def overloaded(self) -> Overloaded | None:
        """Say before a body is read whether it would be of any use."""
        ...


@dataclass(slots=True)
class Traffic:
    """What passed one door; every number but `connections` only grows."""

    transport: str
    requests: dict[str, int] = field(default_factory=dict)  # by the code they were answered with
    wire_bytes: int = 0  # of bodies, as they were sent
    inflated_bytes: int = 0
    connections: int = 0  # open now; `listening` keeps this and the next
    refused_connections: int = 0  # closed at once, there being too many
    hostile: dict[str, int] = field(default_factory=dict)  # what no client in good faith does
    timeouts: dict[str, int] = field(
        default_factory=dict
    )  # clients that took too long, by what for
    aged: int = 0  # connections closed in good order, having reached their age
    tls_reload_errors: int = 0  # new certificates that could not be used
    tls_not_after: float = 0.0  # seconds since the Unix epoch; 0: no TLS
    heads_parsed: int = 0  # of HTTP/1.1 requests; the others were remembered
    heads_forgotten: int = 0  # for lack of room
    refused_points: int = 0  # that were to be sent again; 1 for a request that was not read
    waiting: int = 0  # requests that are taken, and answered when the disk has them
    unwritten: dict[Unwritten, int] = field(
        default_factory=lambda: {"failed": 0, "late": 0, "gone": 0}
    )

    def answered(self, code: str) -> None:
        """Count one answer; *code* comes from a fixed list, never from a client."""
        self.requests[code] = self.requests.get(code, 0) + 1

    def attacked(self, kind: str) -> None:
        """Count what no client in good faith does; *kind* comes from a fixed list."""
        self.hostile[kind] = self.hostile.get(kind, 0) + 1

    def not_written(self, why: Unwritten) -> None:
        """Count a request that was taken, and not confirmed."""
        self.unwritten[why] += 1

    def timed_out(self, kind: str) -> None:
        """Count a client that took too long; *kind* comes from a fixed list."""
        self.timeouts[kind] = self.timeouts.get(kind, 0) + 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a door needs to open."""

    intake: Intake
    admission: Admission
    trust: Trust  # agents: whose word about the input of its data is believed
    clients: Trust  # who may send at all; without tokens everybody
    limits: Limits
    listen: Listen
    reuse_port: bool = False  # other processes of ours listen on the same port
    drain: float  # seconds that requests in flight get when the door closes
    healthy: Callable[[], bool]
    """Whether the process wants traffic."""


def readings(doors: Iterable[Traffic], admission: Admission) -> Iterable[Reading]:
    """Return the doors' own metrics."""
    doors = tuple(doors)
    yield Reading(
        "counter",
        "headgate_gateway_requests_total",
        "Requests answered, by transport and code.",
        tuple(
            ({"transport": door.transport, "code": code}, float(n))
            for door in doors
            for code, n in door.requests.items()
        ),
    )
    for name, words, field_name in (
        ("received_wire_bytes", "Bytes of request bodies as they were sent.", "wire_bytes"),
        ("received_inflated_bytes", "The same, inflated.", "inflated_bytes"),
    ):
        yield Reading(
            "counter",
            f"headgate_gateway_{name}_total",
            words,
            tuple(({"transport": d.transport}, float(getattr(d, field_name))) for d in doors),
        )
    yield from _connections(doors)
    words = "Bytes of requests being read or worked on."
    yield single("gauge", "headgate_gateway_in_flight_bytes", words, admission.in_flight)
    yield labelled(
        "counter",
        "headgate_gateway_overload_refusals_total",
        "Requests told to come again later, by what had its fill: the process, their sender's "
        "address, or the memory that the cgroup allows.",
        "cause",
        admission.refused,
    )


def _connections(doors: tuple[Traffic, ...]) -> Iterable[Reading]:
    yield Reading(
        "gauge",
        "headgate_gateway_connections",
        "Connections open now, those that are shaking hands included.",
        tuple(({"transport": d.transport}, float(d.connections)) for d in doors),
    )
    yield Reading(
        "gauge",
        "headgate_gateway_waiting_requests",
        "Requests taken, whose answer waits for the disk.",
        tuple(({"transport": d.transport}, float(d.waiting)) for d in doors),
    )
    for name, words, number in (
        ("refused_connections", "Connections closed at once, there being too many.",
         "refused_connections"),
        ("aged_connections", "Connections closed in good order, having reached their age.", "aged"),
        ("tls_reload_errors", "New certificates that could not be used; the old ones go on.",
         "tls_reload_errors"),
        ("heads_parsed", "Heads of HTTP/1.1 requests parsed; the others were remembered.",
         "heads_parsed"),
        ("heads_forgotten", "Remembered heads of requests forgotten for lack of room.",
         "heads_forgotten"),
    ):  # fmt: skip
        yield Reading(
            "counter",
            f"headgate_gateway_{name}_total",
            words,
            tuple(({"transport": d.transport}, float(getattr(d, number))) for d in doors),
        )
    for name, words, number in (
        ("hostile", "What no client in good faith does, by kind.", "hostile"),
        ("timeouts", "Clients that took too long, by what for.", "timeouts"),
        ("unwritten_requests", "Requests taken, not confirmed to be on disk, by why.", "unwritten"),
    ):
        yield Reading(
            "counter",
            f"headgate_gateway_{name}_total",
            words,
            tuple(
                ({"transport": d.transport, "kind": kind}, float(n))
                for d in doors
                for kind, n in getattr(d, number).items()
            ),
        )
    yield Reading(
        "gauge",
        "headgate_gateway_tls_not_after_seconds",
        "When the certificate that is served ends, in seconds since the Unix epoch.",
        tuple(({"transport": d.transport}, d.tls_not_after) for d in doors if d.tls_not_after),
        "min",
    )
