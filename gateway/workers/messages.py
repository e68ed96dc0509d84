"""What supervisor and workers say to each other over their socket, and how it is written."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from common.service.ledger import Ledger
from common.service.settings import Problem
from common.service.telemetry import Reading

MAX_BYTES: Final = 64 << 20  # of one message; both ends are ours, so more is a bug
HEAD: Final = 4  # bytes of the length before each message, most significant first


class Seat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker is told on its command line."""

    number: int
    """From 1 to *workers*; a worker that replaces another has its number."""
    workers: int
    """How many share the limits."""
    channel: int
    """The descriptor of the socket to the supervisor."""
    grpc: str
    """Address to listen on, with the port that the supervisor has reserved."""
    http: str
    """The same for HTTP."""


class Pods(msgspec.Struct, frozen=True, tag=True):
    """Part of the pods that there are; the *last* part completes them, as a list does."""

    pods: list[msgspec.Raw]
    last: bool


class Changed(msgspec.Struct, frozen=True, tag=True):
    """A pod appeared or changed, or is *gone* and this was its last revision."""

    pod: msgspec.Raw
    gone: bool


class Informed(msgspec.Struct, frozen=True, tag=True):
    """How the supervisor is informed about pods; not *used* when it asks nobody."""

    used: bool
    synced: bool = False
    healthy: bool = True
    status: str = ""


class Ask(msgspec.Struct, frozen=True, tag=True):
    """A question: what does your page at *path* say."""

    ticket: int
    path: str
    query: dict[str, str]


ToWorker: TypeAlias = Pods | Changed | Informed | Ask


class Report(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """How a worker is; everything in it is of the same moment.

    ``readings`` is ``None`` where they are left out: they cost more than the rest.
    """

    listening: bool
    ready: bool
    checks: dict[str, str]
    readings: list[Reading] | None
    ledgers: list[Ledger]
    mismatches: int
    fresh_pods: dict[str, Any] = {}
    """The account of what waits for its pod, as ``/debug/ledger`` has it."""


class Answer(msgspec.Struct, frozen=True, tag=True):
    """What a page says, as JSON; ``None``: there is none, or a *problem* with the question."""

    ticket: int
    body: bytes | None
    problem: str = ""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A worker cannot run, for what its user can mend: problems of the settings, or other words."""

    problems: list[Problem]
    words: str = ""


ToSupervisor: TypeAlias = Report | Answer | Failed

_encoder = msgspec.msgpack.Encoder()
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_to_supervisor: msgspec.msgpack.Decoder[ToSupervisor] = msgspec.msgpack.Decoder(ToSupervisor)


def framed(message: ToWorker | ToSupervisor) -> bytes:
    """Return *message* as it goes over the socket, its length first."""
    body = _encoder.encode(message)
    if len(body) > MAX_BYTES:
        raise RuntimeError(f"BUG: a message of {len(body)} bytes, the limit is {MAX_BYTES}")
    return len(body).to_bytes(HEAD, "big") + body


def to_worker(body: bytes) -> ToWorker:
    """Read what a supervisor wrote, without its length."""
    return _to_worker.decode(body)


def to_supervisor(body: bytes) -> ToSupervisor:
    """Read what a worker wrote, without its length."""
    return _to_supervisor.decode(body)
