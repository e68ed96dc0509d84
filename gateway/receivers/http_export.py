"""What becomes of a request to the HTTP door: admitted, inflated, handed over, answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from common.wire import compression, errors, otlp, otlp_json
from gateway.commit import Commit
from gateway.receivers import door, refusals, trust
from gateway.receivers.admission import Admission
from gateway.receivers.http_answers import Answer
from gateway.receivers.http_request import Request
from gateway.receivers.refusals import JSON, Refusal

ESTIMATE: Final = 64 << 10  # bytes reserved for a body of unknown length, until it is known better


@final
class Ticket:
    """The bytes a request from *peer* was admitted with; owed back, once, by whoever holds it."""

    __slots__ = ("_admission", "peer", "size", "trusted")

    def __init__(self, admission: Admission, size: int, *, peer: str | None, trusted: bool) -> None:
        if not admission.admit(size, peer):
            raise _full(admission)
        self._admission = admission
        self.size, self.peer, self.trusted = size, peer, trusted

    def grow(self, size: int) -> None:
        """Correct the estimate to *size*; raises `Refusal`, and is still owed then."""
        if not self._admission.correct(self.size, size, self.peer):
            raise _full(self._admission)
        self.size = size

    def release(self) -> None:
        """Give the bytes back."""
        self._admission.release(self.size, self.peer)


@final
@dataclass(frozen=True, slots=True)
class Later:
    """An *answer* (``None``: plain success) that may not be given before *commit* is settled."""

    answer: Answer | None
    commit: Commit
    points: int


class Export:
    """POST /v1/metrics. Both steps are synchronous, and raise `Refusal` for what is not taken."""

    __slots__ = ("_clients", "_intake", "_max_bytes", "_terms", "_traffic", "_trust")

    def __init__(self, terms: door.Terms, traffic: door.Traffic) -> None:
        self._terms, self._traffic, self._intake = terms, traffic, terms.intake
        self._trust, self._clients = terms.trust, terms.clients
        self._max_bytes = terms.limits.max_request_bytes

    def admit(self, request: Request, length: int | None, peer: str | None) -> Ticket:
        """Let the body of *request*, of *length* bytes if that is known, in, before it is read."""
        shown = request.authorization
        who = trust.standing(self._trust, self._clients, shown, request.agent)
        if who == "stranger":
            raise refusals.unauthenticated(shown=shown is not None)
        size = ESTIMATE if length is None else length
        if length is not None and length > self._max_bytes:
            raise refusals.too_large(f"{length} bytes", self._max_bytes)
        overloaded = self._intake.overloaded()
        if overloaded is not None:
            raise refusals.come_again(overloaded.after)
        return Ticket(self._terms.admission, size, peer=peer, trusted=who == "agent")

    def check(self, ticket: Ticket, size: int) -> None:
        """Correct what *ticket* was given for, now that *size* bytes have come."""
        if size > self._max_bytes:
            raise refusals.too_large(f"more than {self._max_bytes} bytes", self._max_bytes)
        if size > ticket.size:
            ticket.grow(max(size, min(2 * ticket.size, self._max_bytes)))

    def take(self, request: Request, body: bytes, ticket: Ticket) -> Answer | Later | None:
        """Take the whole *body*; return what there is to say, ``None`` for plain success."""
        traffic = self._traffic
        traffic.wire_bytes += len(body)
        try:
            if request.encoding:
                inflated = compression.inflate(body, request.encoding, self._max_bytes)
                ticket.grow(len(body) + len(inflated))
                body = inflated
            traffic.inflated_bytes += len(body)
            if request.kind == JSON:
                body = otlp_json.to_protobuf(body)
            answer = self._intake.take(body, ticket.peer, trusted=ticket.trusted)
        except errors.Malformed as error:
            raise refusals.bad(str(error)) from error
        except errors.TooLarge as error:
            raise refusals.inflates_too_far(str(error)) from error
        if isinstance(answer, door.Overloaded):
            raise refusals.come_again(answer.after, answer.points)
        commit = answer.commit
        if request.kind == JSON:
            body = otlp_json.response(answer.rejected, answer.message[: door.MAX_REASON])
        elif answer.rejected or answer.message:
            body = otlp.response(answer.rejected, answer.message[: door.MAX_REASON])
        else:  # ExportMetricsServiceResponse: full success leaves partial_success unset
            return None if commit is None else Later(None, commit, answer.points)
        said = Answer(status=200, kind=request.kind, body=body)
        return said if commit is None else Later(said, commit, answer.points)


def _full(admission: Admission) -> Refusal:
    after = admission.retry_after()
    if admission.cause == "peer":
        return refusals.one_at_a_time(after)
    return refusals.come_again(after)
