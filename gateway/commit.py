"""What the answer to a request waits for: that its data is safe on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import final


@final
class Commit:
    """Counts what is still to be written of one request.

    Whoever takes on to write a part calls `expect`, and `done` once, later or at once. The door
    that has the answer asks to be called back when nothing is left to wait for.
    """

    __slots__ = ("_pending", "_then", "failed")

    def __init__(self) -> None:
        self.failed = False
        """Whether a part could not be written: the client shall send the request again."""
        self._pending = 0
        self._then: Callable[[], None] | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing is left to wait for."""
        return not self._pending

    def expect(self) -> None:
        """Wait for one part more."""
        self._pending += 1

    def done(self, written: bool) -> None:  # noqa: FBT001 - it is called back
        """Note that a part is *written*, or will never be."""
        if not self._pending:
            raise RuntimeError("BUG: a part of a request was written twice")
        self._pending -= 1
        self.failed = self.failed or not written
        if not self._pending and self._then is not None:
            then, self._then = self._then, None
            then()

    def when_settled(self, then: Callable[[], None]) -> None:
        """Call *then* once: now, if nothing is left to wait for."""
        if self.settled:
            then()
        else:
            self._then = then

    def forget(self) -> None:
        """Call nobody: who waited has gone."""
        self._then = None
