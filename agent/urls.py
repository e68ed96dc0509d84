"""How the URLs of targets are written and read (RFC 3986). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, quote, urlencode

_SAFE: Final = "/%:@!$&'()*+,;=~"  # of a path, besides letters, digits, "_", "." and "-" (3.3)
_SAFE_QUERY: Final = _SAFE + "?"


def host_port(host: str, port: int) -> str:
    """Write both as in a URL: IPv6 addresses get brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def port(parts: SplitResult) -> int:
    """Return the port that *parts* name, or that of their scheme, http or https.

    Raises :class:`ValueError` for one that is no number up to 65535.
    """
    return parts.port or (443 if parts.scheme == "https" else 80)


def request_target(path: str | None, parameters: Iterable[tuple[str, str]] = ()) -> str:
    """Return *path*, which may have a query, and *parameters*, safe to stand in a request line.

    The path is "/metrics" by default, and gets the slash that it lacks.
    """
    before, _, after = (path or "/metrics").partition("?")
    before = before if before.startswith("/") else f"/{before}"
    query = "&".join(filter(None, (quote(after, safe=_SAFE_QUERY), urlencode([*parameters]))))
    target = quote(before, safe=_SAFE)
    return f"{target}?{query}" if query else target
