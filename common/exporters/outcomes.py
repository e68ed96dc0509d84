"""What a destination is given, what it makes of it, and every way it can end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, final

from common.config import outputs
from common.service.ledger import DropReason
from common.wire import otlp, remote_write_v2, temporality

Offer: TypeAlias = Callable[[otlp.Encoded, int], bool]
"""Takes a request and its points, or says no; the loss is booked by whoever says no."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Points that share their fate: an ExportMetricsServiceRequest for one destination."""

    body: otlp.Encoded
    points: int
    oldest: float  # seconds on the loop's clock at which the first of the points arrived


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request in the destination's protocol."""

    body: bytes  # as it goes on the wire: converted and compressed
    points: int  # OTLP data points inside
    draft: remote_write_v2.Draft | None = None  # what it was made of, if it is remote write 2.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """A batch in the destination's protocol; requests and drops together hold all of its points."""

    requests: tuple[Request, ...]
    dropped: Mapping[DropReason, int] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True)
class Delivered:
    """The backend has the request, but for *rejected* points; *message* is its warning, if any."""

    rejected: int = 0
    message: str = ""


@final
@dataclass(frozen=True, slots=True)
class Retry:
    """The same request may succeed later, not before *after* seconds if the backend said so."""

    why: str
    after: float | None = None


@final
@dataclass(frozen=True, slots=True)
class Refused:
    """The same request would be refused again."""

    why: str


@final
@dataclass(frozen=True, slots=True)
class TooBig:
    """The backend does not take a request of this size; smaller ones may pass."""

    why: str


Verdict: TypeAlias = Delivered | Retry | Refused | TooBig


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """How an exporter that converts fares with shapes it has seen before; counts only grow."""

    recognised: int  # frames of a known shape
    rearranged: int  # frames of a known sender whose points were found one by one
    learnt: int  # shapes
    evictions: int  # senders forgotten for lack of room
    size: int  # bytes remembered
    max_bytes: int
    exemplars_dropped: int = 0  # that should have been sent with their points, and were not


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A batch as it will be cut and encoded; its points and the drops are those it was given."""

    batch: Batch
    dropped: Mapping[DropReason, int] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What an exporter did to prove itself, and the backend; counts only grow."""

    tokens: int = 0  # asked for, and given
    token_failures: int = 0  # asked for, and not given
    reloads: int = 0  # of certificates whose files changed
    reload_failures: int = 0  # of them, that could not be used: the former ones stayed
    refusals: int = 0  # of tokens that somebody else keeps current, by the backend

    def plus(self, other: Proofs) -> Proofs:
        """Return both together."""
        return Proofs(
            tokens=self.tokens + other.tokens,
            token_failures=self.token_failures + other.token_failures,
            reloads=self.reloads + other.reloads,
            reload_failures=self.reload_failures + other.reload_failures,
            refusals=self.refusals + other.refusals,
        )


class Exporter(Protocol):
    """A client of one backend."""

    def recognition(self) -> Recognition | None:
        """Return how it fares with known shapes; ``None`` if it does not convert."""
        return None

    def series(self) -> temporality.Stats | None:
        """Return what is remembered of series; ``None`` if their temporality stays as it is."""
        return None

    def identity(self, resource: bytes, /) -> bytes | None:  # noqa: ARG002 - of who converts
        """Return what tells the series of an encoded Resource from those of others.

        What has the same identity must arrive in order; ``None`` if this backend has no order.
        """
        return None

    def renew(self, output: outputs.Output, /) -> None:  # noqa: ARG002 - of who has secrets
        """Use the secrets of *output*, which differs in nothing else, from the next request on."""
        return

    def proofs(self) -> Proofs:
        """Return how it fares with tokens and certificates."""
        return Proofs()

    def prepare(self, batch: Batch, /) -> Prepared:
        """Do to *batch* what must be done once, however often it is cut and encoded afterwards."""
        return Prepared(batch=batch)

    def encode(self, batch: Batch, /) -> Encoding:
        """Convert and compress *batch*, which was prepared, or a piece of it.

        Called once per piece, however often it is sent; again for the halves of one that was too
        big. So it must not remember anything of the points.
        """
        ...

    async def send(self, request: Request, /) -> Verdict:
        """Make one attempt, within the exporter's own timeout; what goes wrong is a verdict."""
        ...
