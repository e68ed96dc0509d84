"""A unary call: what was asked for, of which method, and the message while it arrives.

Sources: gRPC over HTTP/2 (PROTOCOL-HTTP2.md of grpc/grpc), "Length-Prefixed-Message"; its
statuscodes.md for which mistake has which code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, final

from gateway.commit import Commit
from gateway.receivers import status
from gateway.receivers.grpc_answers import Refused

PREFIX: Final = 5  # bytes in front of a message: the compressed flag and the length
_SMALL: Final = 512  # bytes; smaller pieces are joined as they come, lest each cost an object


class Method(Protocol):
    """A unary method. Every step may raise `Refused`; then the call is let go (`leave`)."""

    def enter(self, call: Call, estimate: int) -> None:
        """Let *call*, of about *estimate* bytes, begin; nothing of it has been read."""
        ...

    def weigh(self, call: Call) -> None:
        """Look at the length of the message, which has become known."""
        ...

    def answer(self, call: Call) -> bytes | Later:
        """Return the framed response to *call*, which is complete."""
        ...

    def leave(self, call: Call) -> None:
        """Let *call* go, whatever became of it; once."""
        ...

    def whole(self, data: bytes, peer: str | None, asked: Asked) -> bytes | Later:
        """Return the framed response to a request whose whole body, *data*, came with its head.

        Only a `Later` has to be let go (`leave`).
        """
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the headers of a request ask for."""

    method: Method
    encoding: str = "identity"  # of messages with the compressed flag, as the client named it
    timeout: float | None = None  # seconds the client will wait
    length: int | None = None  # bytes of the whole body, if the client said
    authorization: bytes | None = None
    agent: bool = False  # the client says that it is one, and wants to be believed or refused
    forwarded: tuple[str, ...] = ()  # for whom balancers say that they call


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What headers earn that ask for nothing we have: a header block, words if it is not gRPC."""

    code: str  # for counting
    block: bytes
    grpc: bool  # whoever asked speaks gRPC
    words: bytes = b""


class Call:
    """The pieces of one message, and what the call was admitted with.

    ``length`` is that of the message on the wire, -1 until its prefix is here; ``agreed`` are the
    bytes that admission counts for it, owed back by whoever lets the call go; ``weighed`` says that
    they are right for the length.
    """

    __slots__ = (
        "_pieces", "_prefix", "agreed", "asked", "compressed", "length", "peer", "since", "size",
        "stream", "trusted", "until", "weighed",
    )  # fmt: skip

    def __init__(
        self, stream: int, peer: str | None, asked: Asked, since: float, until: float
    ) -> None:
        self.stream, self.peer, self.asked = stream, peer, asked
        self.since = since  # when it began, and
        self.until = until  # when its client gives up, in the loop's time
        self.agreed = 0
        self.length = -1
        self.compressed = self.weighed = False
        self.trusted = False  # the sender is an agent
        self.size = 0  # bytes of the message that are here
        self._prefix = b""  # what there is of it
        self._pieces: list[bytes | bytearray] = []

    @property
    def missing(self) -> int:
        """How many bytes have to come at least."""
        return PREFIX - len(self._prefix) if self.length < 0 else self.length - self.size

    def add(self, data: bytes) -> None:
        """Take a piece of the body; raises `Refused` for more than one message."""
        if self.length < 0:
            at = PREFIX - len(self._prefix)
            self._prefix += data[:at]
            if len(self._prefix) < PREFIX:
                return
            self.length, self.compressed = prefix(self._prefix)
            data = data[at:]
        size = len(data)
        self.size += size
        if self.size > self.length:
            raise several()
        if size >= _SMALL:
            self._pieces.append(data)
        elif size:
            last = self._pieces[-1] if self._pieces else None
            if isinstance(last, bytearray):
                last += data
            else:
                self._pieces.append(bytearray(data))

    def message(self) -> bytes:
        """Return the whole message; raises `Refused` if the client ended before that."""
        if self.length < 0 and not self._prefix:
            raise none_came()
        if self.missing:
            raise cut_short(self.size, self.length)
        return b"".join(self._pieces)


@final
@dataclass(frozen=True, slots=True)
class Later:
    """The framed response to *call*, which may not be given before *commit* is settled."""

    call: Call
    message: bytes
    commit: Commit
    points: int


def prefix(data: bytes) -> tuple[int, bool]:
    """Return the length of the message behind the prefix, and whether it is compressed."""
    flag = data[0]
    if flag > 1:
        raise Refused(status.INTERNAL, f"the compressed flag of the message is {flag}; use 0 or 1")
    return int.from_bytes(data[1:PREFIX]), bool(flag)


def none_came() -> Refused:
    """Refuse a request without a message."""
    return Refused(status.UNIMPLEMENTED, "the request has no message; a unary call has one")


def several() -> Refused:
    """Refuse a second message."""
    return Refused(status.UNIMPLEMENTED, "the request has several messages; a unary call has one")


def cut_short(size: int, length: int) -> Refused:
    """Refuse a message that ends too early."""
    what = "in its prefix" if length < 0 else f"after {size} of {length} bytes"
    return Refused(status.INTERNAL, f"the message ends {what}; send all of it")
