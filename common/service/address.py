"""Where a door listens, or a client connects: ``host:port``, IPv6 in brackets."""

from __future__ import annotations

from typing import NamedTuple

from typing_extensions import override


class Address(NamedTuple):
    """A host (name or address, without brackets) and a TCP port; port 0 lets the system choose."""

    host: str
    port: int

    @override
    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str, default_port: int | None = None) -> Address:
    """Read ``host:port``, ``[v6]:port``, ``:port`` (all addresses) or, with a default, ``host``.

    Raises :class:`ValueError` in words.
    """
    host, colon, port = text.rpartition(":")
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        colon, port = port[:1], port[1:]
    if not colon:
        host, port = text.strip("[]"), "" if default_port is None else str(default_port)
    elif ":" in host and not text.startswith("["):
        raise ValueError(f"{text!r}: an IPv6 address goes in brackets, as in [::1]:4317")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{text!r}: expected host:port with a port from 0 to 65535")
    return Address(host or "0.0.0.0", int(port))  # noqa: S104 - ":port" means all addresses, as everywhere
