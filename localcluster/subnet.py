"""The loopback addresses of one node: the first is the node's, the others are its pods'."""

from __future__ import annotations

from localcluster.podspec import Addresses

_FIRST, _LAST = 2, 254


class Subnet:
    """Hands out ``PREFIX.2`` to ``PREFIX.254``; what was given back last is used again last."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix  # three numbers, such as 127.10.1
        self.host = f"{prefix}.1"
        self._free = list(range(_FIRST, _LAST + 1))

    @property
    def capacity(self) -> int:
        """How many pods fit on the node."""
        return _LAST - _FIRST + 1

    def take(self) -> Addresses | None:
        """Return the addresses for one more pod, or ``None`` when the node is full."""
        if not self._free:
            return None
        return Addresses(pod=f"{self.prefix}.{self._free.pop(0)}", host=self.host)

    def give_back(self, addresses: Addresses) -> None:
        """Take an address back; it will be used again after all the others."""
        self._free.append(int(addresses.pod.rpartition(".")[2]))
