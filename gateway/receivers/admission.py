"""How many bytes of requests may be in flight, and when those turned away shall come again."""

from __future__ import annotations

from typing import Final, Literal

RETRY_FIRST: Final = 1.0  # seconds
RETRY_MOST: Final = 30.0  # seconds
RETRY_STEP: Final = 0.02  # seconds more for each one turned away in a row

Cause = Literal["bytes", "peer", "memory"]
"""Why a request has to wait outside: the process, its sender, or the cgroup has its fill."""


class Admission:
    """Counts the bytes of all requests being read or worked on, and says no beyond *max_bytes*.

    The requests of one peer address may take *share* of them, so that one noisy client leaves room
    for the others. The size of a request is an estimate first (its declared length), corrected as
    it is known better. Whoever was admitted owes a `release` of the size last agreed on. A request
    larger than a whole bound is admitted when nothing else counts against that bound: it could
    never fit. ``scarce`` is set by whoever watches the memory of the process: while it is true
    nothing is admitted, and nothing admitted may grow.
    """

    __slots__ = (
        "_by_peer", "admitted", "cause", "in_flight", "max_bytes", "max_peer_bytes", "refused",
        "scarce", "turned_away",
    )  # fmt: skip

    def __init__(self, max_bytes: int, share: float = 1.0) -> None:
        self.max_bytes = max_bytes
        self.max_peer_bytes = max(1, int(max_bytes * share))
        self.scarce = False
        self.in_flight = 0  # bytes
        self.admitted = 0  # requests, ever
        self.cause: Cause = "bytes"  # why the last one was turned away
        self.refused: dict[Cause, int] = {"bytes": 0, "peer": 0, "memory": 0}  # requests, ever
        self.turned_away = 0  # requests since one was last admitted
        self._by_peer: dict[str | None, int] = {}  # bytes; only of peers that have any

    @property
    def peers(self) -> int:
        """How many addresses have bytes in flight."""
        return len(self._by_peer)

    def admit(self, size: int, peer: str | None = None) -> bool:
        """Take in a request of about *size* bytes from the address *peer*, unless it has to wait.

        ``None`` is an address of its own: that of everybody whose address is not known.
        """
        cause = self._objection(size, self.in_flight, self._by_peer.get(peer, 0))
        if cause is not None:
            return self._turn_away(cause)
        self._change(size, peer)
        self.admitted += 1
        self.turned_away = 0
        return True

    def correct(self, agreed: int, size: int, peer: str | None = None) -> bool:
        """Replace the *agreed* size of an admitted request of *peer* by *size*.

        Growing may be refused; then the agreed size stays, and is still to be released.
        """
        if size > agreed:
            others, own = self.in_flight - agreed, self._by_peer.get(peer, 0) - agreed
            cause = self._objection(size, others, own)
            if cause is not None:
                return self._turn_away(cause)
        self._change(size - agreed, peer)
        return True

    def release(self, agreed: int, peer: str | None = None) -> None:
        """Let a request of *peer* with the size *agreed* go."""
        self._change(-agreed, peer)

    def retry_after(self) -> float:
        """Return in how many seconds the last one turned away shall come again.

        Each in a row is told a little more than the one before, so that a crowd comes back spread
        over a window that grows with the crowd.
        """
        return min(RETRY_MOST, RETRY_FIRST + RETRY_STEP * max(0, self.turned_away - 1))

    def _objection(self, size: int, others: int, own: int) -> Cause | None:
        if self.scarce:
            return "memory"
        if others and others + size > self.max_bytes:
            return "bytes"
        if own and own + size > self.max_peer_bytes:
            return "peer"
        return None

    def _change(self, by: int, peer: str | None) -> None:
        self.in_flight += by
        own = self._by_peer.get(peer, 0) + by
        if own < 0 or self.in_flight < 0:
            raise RuntimeError(f"BUG: {-own} bytes more released than admitted")
        if own:
            self._by_peer[peer] = own
        else:
            self._by_peer.pop(peer, None)

    def _turn_away(self, cause: Cause) -> Literal[False]:
        self.cause = cause
        self.refused[cause] += 1
        self.turned_away += 1
        return False
