"""What a backend may do with a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Agree:
    """The points are taken, and *after* so many seconds the sender is told."""

    after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """The request is turned away; *code* is what gRPC has instead of the *status* of HTTP.

    With a *clock* in seconds since the Unix epoch, HTTP says *retry_after* as a date; and if it is
    *dated*, also when it said so.
    """

    status: int
    code: int
    retry_after: float | None = None
    clock: Callable[[], float] | None = None
    dated: bool = True

    @property
    def fields(self) -> str:
        """The fields of an HTTP answer."""
        if self.retry_after is None:
            return ""
        if self.clock is None:
            return f"retry-after: {self.retry_after:g}\r\n"
        now = self.clock()
        again = f"retry-after: {formatdate(now + self.retry_after, usegmt=True)}\r\n"
        return again + (f"date: {formatdate(now, usegmt=True)}\r\n" if self.dated else "")


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing is taken, and no answer comes."""


@dataclass(frozen=True, slots=True)
class CutRequest:
    """The connection breaks in the middle of the request; nothing is taken."""


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """The points are taken, and the connection breaks in the middle of the answer."""


Act: TypeAlias = Agree | Say | Hang | CutRequest | CutAnswer
UNAVAILABLE = Say(status=503, code=14)
INVALID = Say(status=400, code=3)
TOO_LARGE = Say(status=413, code=8)


def always(act: Act) -> Callable[[int], Act]:
    return lambda _: act


FINE = always(Agree())
