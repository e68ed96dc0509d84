"""The unary methods that are served: Export takes metrics, Check tells how we are.

Sources: opentelemetry/proto/collector/metrics/v1/metrics_service.proto; grpc/health/v1/health.proto
and the gRPC Health Checking Protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from common.wire import compression, errors, otlp, protobuf
from gateway.commit import Commit
from gateway.receivers import door, grpc_answers, grpc_call, status, trust
from gateway.receivers.grpc_answers import EMPTY, Refused
from gateway.receivers.grpc_call import PREFIX, Asked, Call, Later

EXPORT: Final = b"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
HEALTH: Final = b"/grpc.health.v1.Health/Check"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # HealthCheckResponse { ServingStatus status = 1; }

_MAX_CHECK: Final = 4096  # bytes of a HealthCheckRequest: the name of a service


class Export:
    """MetricsService/Export: what it takes in is counted by admission until it is handed over."""

    def __init__(self, terms: door.Terms, traffic: door.Traffic) -> None:
        self._intake, self._admission = terms.intake, terms.admission
        self._trust, self._clients = terms.trust, terms.clients
        self._traffic, self._limit = traffic, terms.limits.max_request_bytes

    def enter(self, call: Call, estimate: int) -> None:
        """See `Method`; *estimate* is admitted."""
        call.trusted = self._let_in(call.asked)
        if estimate > self._limit + PREFIX:
            raise grpc_answers.too_large(estimate - PREFIX, self._limit)
        if not self._admission.admit(estimate, call.peer):
            raise grpc_answers.come_again(self._admission.retry_after())
        call.agreed = estimate

    def weigh(self, call: Call) -> None:
        """See `Method`; the estimate is corrected to the length of the message."""
        if call.compressed or call.length > self._limit:
            self._check(call.length, call.asked.encoding)
        self._agree(call, call.length)

    def answer(self, call: Call) -> bytes | Later:
        """See `Method`."""
        message = call.message()
        self._traffic.wire_bytes += len(message)
        body = message
        if call.compressed:
            body = self._inflated(message, call.asked.encoding)
            self._agree(call, len(message) + len(body))
        answer = self._hand_over(body, call.peer, trusted=call.trusted)
        return answer if answer is EMPTY or isinstance(answer, bytes) else Later(call, *answer)

    def leave(self, call: Call) -> None:
        """See `Method`."""
        agreed, call.agreed = call.agreed, 0
        self._admission.release(agreed, call.peer)

    def whole(self, data: bytes, peer: str | None, asked: Asked) -> bytes | Later:
        """See `Method`; admitted with its true length at once."""
        trusted = self._let_in(asked)
        held = len(data) - PREFIX
        if held < 0:
            raise grpc_call.cut_short(0, -1) if data else grpc_call.none_came()
        length, compressed = grpc_call.prefix(data)
        if compressed or length > self._limit:
            self._check(length, asked.encoding)
        if held != length:
            raise grpc_call.several() if held > length else grpc_call.cut_short(held, length)
        admission = self._admission
        if not admission.admit(held, peer):
            raise grpc_answers.come_again(admission.retry_after())
        try:
            self._traffic.wire_bytes += length
            body = data[PREFIX:]
            if compressed:
                body = self._inflated(body, asked.encoding)
                if not admission.correct(held, length + len(body), peer):
                    raise grpc_answers.come_again(admission.retry_after())
                held = length + len(body)
            answer = self._hand_over(body, peer, trusted=trusted)
            if answer is EMPTY or isinstance(answer, bytes):
                return answer
            call = Call(0, peer, asked, 0.0, 0.0)
            call.agreed, held = held, 0
            return Later(call, *answer)
        finally:
            admission.release(held, peer)

    def _let_in(self, asked: Asked) -> bool:
        """Return whether the sender is an agent, unless it may not send at all, or not now."""
        who = trust.standing(self._trust, self._clients, asked.authorization, asked.agent)
        if who == "stranger":
            words = (
                "a bearer token is needed; send it as authorization: Bearer <token>"
                if asked.authorization is None
                else "the bearer token is not known here; is it the current one?"
            )
            raise Refused(status.UNAUTHENTICATED, words)
        overloaded = self._intake.overloaded()
        if overloaded is not None:
            raise grpc_answers.come_again(overloaded.after)
        return who == "agent"

    def _check(self, length: int, encoding: str) -> None:
        """Raise unless a message is short enough, and compressed in a way that we know."""
        if length > self._limit:
            raise grpc_answers.too_large(length, self._limit)
        if encoding == "identity":
            words = "the message is flagged as compressed, but grpc-encoding names no encoding"
            raise Refused(status.INTERNAL, words)
        if encoding not in grpc_answers.ENCODINGS:
            words = (
                f"grpc-encoding {encoding[:40]!r} is not known here; "
                f"use one of {', '.join(grpc_answers.ENCODINGS)}"
            )
            raise Refused(status.UNIMPLEMENTED, words, encodings=True)

    def _agree(self, call: Call, size: int) -> None:
        if not self._admission.correct(call.agreed, size, call.peer):
            raise grpc_answers.come_again(self._admission.retry_after())
        call.agreed = size

    def _inflated(self, message: bytes, encoding: str) -> bytes:
        try:
            return compression.inflate(message, encoding, self._limit)
        except errors.Malformed as error:
            raise Refused(status.INVALID_ARGUMENT, str(error)) from error
        except errors.TooLarge as error:
            raise Refused(status.RESOURCE_EXHAUSTED, str(error)) from error

    def _hand_over(
        self, body: bytes, peer: str | None, *, trusted: bool
    ) -> bytes | tuple[bytes, Commit, int]:
        """Return the framed response; if it has to wait, for what, and how many points wait."""
        self._traffic.inflated_bytes += len(body)
        try:
            answer = self._intake.take(body, peer, trusted=trusted)
        except errors.Malformed as error:
            raise Refused(status.INVALID_ARGUMENT, str(error)) from error
        except errors.TooLarge as error:
            raise Refused(status.RESOURCE_EXHAUSTED, str(error)) from error
        if isinstance(answer, door.Overloaded):
            raise grpc_answers.come_again(answer.after, answer.points)
        commit = answer.commit
        if not answer.rejected and not answer.message:
            # ExportMetricsServiceResponse: full success leaves partial_success unset.
            return EMPTY if commit is None else (EMPTY, commit, answer.points)
        response = otlp.response(answer.rejected, answer.message[: door.MAX_REASON])
        framed = grpc_answers.framed(response)
        return framed if commit is None else (framed, commit, answer.points)


class Health:
    """Health/Check, which anybody may ask; so small that admission need not know."""

    def __init__(self, healthy: Callable[[], bool]) -> None:
        self._healthy = healthy

    def enter(self, call: Call, estimate: int) -> None:
        """See `Method`; everybody is let in."""

    def weigh(self, call: Call) -> None:
        """See `Method`."""
        if call.length > _MAX_CHECK:
            raise grpc_answers.too_large(call.length, _MAX_CHECK)
        if call.compressed:
            words = "health checks are taken as they are; send them without compression"
            raise Refused(status.UNIMPLEMENTED, words, encodings=True)

    def answer(self, call: Call) -> bytes:
        """See `Method`."""
        # message HealthCheckRequest { string service = 1; }
        message = call.message()
        try:
            found = [
                message[at:end] for number, _, _, at, end in protobuf.fields(message) if number == 1
            ]
        except errors.Malformed as error:
            raise Refused(status.INVALID_ARGUMENT, str(error)) from error
        service = found[-1] if found else b""
        if service not in {b"", EXPORT.split(b"/")[1]}:
            raise Refused(status.NOT_FOUND, "no such service here")
        return grpc_answers.framed(SERVING if self._healthy() else NOT_SERVING)

    def leave(self, call: Call) -> None:
        """See `Method`; nothing was held."""

    def whole(self, data: bytes, peer: str | None, asked: Asked) -> bytes:
        """See `Method`."""
        call = Call(0, peer, asked, 0.0, 0.0)
        call.add(data)
        if call.length >= 0:
            self.weigh(call)
        return self.answer(call)
