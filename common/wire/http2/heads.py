"""A header list taken apart and judged: what a request, a response and trailers may carry.

Source: RFC 9113 sections 8.1 to 8.3 and 8.5; RFC 9110 section 5.5 for values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from typing_extensions import override

Fields = Iterable[tuple[bytes, bytes]]

_SHORT: Final = 128  # bytes of a value that may be remembered as judged; there are 1,024 of them

OVERHEAD: Final = 32  # bytes that RFC 9113 section 6.5.2 adds for each field

# RFC 9113 section 8.2.1: what an intermediary could be tricked with; lower case only.
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_BAD_VALUE: Final = re.compile(rb"[\0\r\n]|\A[ \t]|[ \t]\Z")
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_STATUS: Final = re.compile(rb"[1-9][0-9][0-9]")
_CONNECTION_SPECIFIC: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_OF_REQUESTS: Final = frozenset((b":method", b":scheme", b":path", b":authority"))
_OF_RESPONSES: Final = frozenset((b":status",))
_NONE: Final[frozenset[bytes]] = frozenset()


class Head:
    """One header list; its parts are bytes as they came, absent pseudo-headers are empty.

    ``problem`` is empty or says why the list is malformed; then nothing else may be relied on. One
    instance serves every stream that sends the same header block, so nobody changes it; ``note`` is
    for the shell to keep what it worked out, and lives as long.
    """

    __slots__ = (
        "authority", "content_length", "fields", "method", "note", "path", "problem", "scheme",
        "size", "status", "values",
    )  # fmt: skip

    def __init__(self, fields: Fields) -> None:
        self.fields: tuple[tuple[bytes, bytes], ...] = tuple(fields)
        self.size = sum(len(name) + len(value) + OVERHEAD for name, value in self.fields)
        self.method = self.scheme = self.path = self.authority = b""
        self.status = 0
        self.content_length: int | None = None
        self.values: dict[bytes, bytes] = {}  # regular fields; repeated ones joined by commas
        self.problem = ""
        self.note: object = None

    def get(self, name: bytes) -> bytes | None:
        """Return the value of the field *name* (lower case), several joined by ``", "``."""
        return self.values.get(name)

    @override
    def __repr__(self) -> str:
        return f"Head({list(self.fields)!r})"


def request(fields: Fields) -> Head:
    """Return the head of a request; see ``problem``."""
    head = Head(fields)
    pseudo = _split(head, _OF_REQUESTS)
    if head.problem:
        return head
    head.method, head.scheme = pseudo.get(b":method", b""), pseudo.get(b":scheme", b"")
    head.path, head.authority = pseudo.get(b":path", b""), pseudo.get(b":authority", b"")
    if head.method == b"CONNECT":
        if b":scheme" in pseudo or b":path" in pseudo or not head.authority:
            head.problem = "a CONNECT request has :method and :authority only"
    elif not head.method or not head.scheme or not head.path:
        missing = [n for n in (b":method", b":scheme", b":path") if not pseudo.get(n)]
        head.problem = f"a request without {missing[0].decode()}"
    elif head.path[0] != 0x2F and not (head.path == b"*" and head.method == b"OPTIONS"):
        head.problem = f":path {_shown(head.path)} does not begin with a slash"
    elif head.authority and head.values.get(b"host", head.authority) != head.authority:
        head.problem = "host and :authority differ"
    return head


def response(fields: Fields) -> Head:
    """Return the head of a response; see ``problem``."""
    head = Head(fields)
    pseudo = _split(head, _OF_RESPONSES)
    if head.problem:
        return head
    text = pseudo.get(b":status", b"")
    if not _STATUS.fullmatch(text):
        head.problem = f"a response with the :status {_shown(text)}"
    elif text == b"101":
        head.problem = "HTTP/2 knows no status 101"
    else:
        head.status = int(text)
    return head


def trailers(fields: Fields) -> Head:
    """Return trailers; see ``problem``."""
    head = Head(fields)
    _split(head, _NONE)
    return head


def _split(head: Head, known: frozenset[bytes]) -> dict[bytes, bytes]:
    """Fill in the regular fields, and return the pseudo-headers; the first problem ends it."""
    pseudo: dict[bytes, bytes] = {}
    values = head.values
    for name, value in head.fields:
        if name[:1] == b":":
            head.problem = _pseudo_problem(name, value, known, pseudo, values)
            pseudo[name] = value
        else:
            # What a client repeats is judged once: 8 against 4 µs for a usual request.
            judge = _judged if len(value) <= _SHORT else _problem
            head.problem = judge(name, value)
            if name in values:
                if name == b"content-length" and values[name] != value:
                    head.problem = "content-length twice, with different values"
                values[name] = _joined(name, values[name], value)
            else:
                values[name] = value
        if head.problem:
            break
    if not head.problem and b"content-length" in values:
        head.content_length = int(values[b"content-length"])
    return pseudo


def _pseudo_problem(
    name: bytes,
    value: bytes,
    known: frozenset[bytes],
    pseudo: dict[bytes, bytes],
    values: dict[bytes, bytes],
) -> str:
    if name not in known:
        return f"the pseudo-header {_shown(name)} does not belong here"
    if name in pseudo:
        return f"{name.decode()} twice"
    if values:
        return f"{name.decode()} behind regular fields"
    if _BAD_VALUE.search(value):
        return f"{name.decode()} has the value {_shown(value)}"
    return ""


def _problem(name: bytes, value: bytes) -> str:
    if not _NAME.fullmatch(name):
        return f"{_shown(name)} is no field name; use lower case and no spaces"
    if _BAD_VALUE.search(value):
        return f"{name.decode()} has a control character, or a space at an end"
    if name in _CONNECTION_SPECIFIC:
        return f"{name.decode()} has no place in HTTP/2"
    if name == b"te" and value.lower() != b"trailers":  # codespell:ignore te
        return f"TE may say trailers only, not {_shown(value)}"
    if name == b"content-length" and not _DIGITS.fullmatch(value):
        return f"content-length {_shown(value)} is no number"
    return ""


_judged: Final = lru_cache(maxsize=1024)(_problem)


def _joined(name: bytes, before: bytes, value: bytes) -> bytes:
    """Make one value of two (RFC 9110 section 5.3; RFC 9113 section 8.2.3 for cookies)."""
    if name == b"content-length":
        return before
    return (b"; " if name == b"cookie" else b", ").join((before, value))


def _shown(text: bytes) -> str:
    return repr(text[:80])[1:]
