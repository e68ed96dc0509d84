"""Headers that a user may add to requests: names that can be sent, and what only we may set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

# RFC 9110, 5.6.2; gRPC allows fewer, reserves a prefix, and wants bytes where a name ends in -bin.
HTTP: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
GRPC: Final = re.compile(r"(?!grpc-)[a-z0-9_.-]+(?<!-bin)")
NOT_PRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
AGENT: Final = "headgate-agent"
"""An agent sends it with its token, whatever the value: it is to be believed, or refused."""
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "te",
        "transfer-encoding",
        "x-prometheus-remote-write-version",
    }
)


def problems(given: Mapping[str, str], names: re.Pattern[str]) -> Iterable[tuple[str, str]]:
    """Yield what is wrong with each header of *given*; values never show, they may be secrets."""
    for name, value in given.items():
        where = f"headers.{name}"
        if not names.fullmatch(name.lower()):
            yield where, "is not a name that a header can have"
        elif name.lower() in _OURS:
            yield where, "is set by headgate itself; remove it"
        elif NOT_PRINTABLE.search(value):
            yield where, "has a value with characters other than printable ASCII"


def conflicts(
    given: Mapping[str, str], url_key: str, url: str, *, auth: bool
) -> Iterable[tuple[str, str]]:
    """Yield a problem for two ways at once in which a request would be authorized.

    The ways are a header, a user name in *url*, which stands at *url_key*, and an *auth* section.
    """
    header = next((name for name in given if name.lower() == "authorization"), None)
    if header is not None and auth:
        yield f"headers.{header}", "is given beside auth; keep one of them"
    try:
        user = urlsplit(url).username
    except ValueError:
        return  # no URL at all, which is another problem
    if user is None:
        return
    if header is not None:
        yield url_key, "has a user name, and headers have an authorization; keep one of them"
    if auth:
        yield url_key, "has a user name, and auth is given; keep one of them"
