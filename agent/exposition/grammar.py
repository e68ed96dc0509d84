"""The tokens of the Prometheus text format 0.0.4, and how what is wrong with a text is told.

The grammar is that of Prometheus' own lexer, oddities included: a value may follow the name or the
closing brace without a blank, commas between labels may be missing, a label value may span lines.
Offsets are bytes from the start of the body.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn, TypeAlias

from typing_extensions import override

from common.wire import errors

Labels: TypeAlias = tuple[tuple[bytes, bytes], ...]

_SHOWN = 80  # bytes of somebody else's text that a message repeats
_LATEST = (1 << 63) - 1

# Single characters repeat possessively, so that hostile lines cost linear time. Groups do not: up
# to Python 3.11.4 a possessive group may be left half matched (CPython issue 106052).
_BLANKS = re.compile(rb"[ \t]*+")
_METRIC_NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*+")
_LABEL_NAME = re.compile(rb"[a-zA-Z_][a-zA-Z0-9_]*+")
_QUOTED = re.compile(rb'"([^\\"]*+(?:\\[^\n][^\\"]*+)*)"')
_VALUE = re.compile(rb"[^{ \t\n]++")
_TIMESTAMP = re.compile(rb"[0-9]++")
_METADATA = re.compile(rb"#[ \t]++(HELP|TYPE)[ \t]++")
_REST = re.compile(rb"[^\n]*+")
_PAIR = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*+)="([^"]*+)"')
_ESCAPE = re.compile(rb'\\([\\"n])')
_HELP_ESCAPE = re.compile(rb"\\([\\n])")
_TYPES = frozenset((b"counter", b"gauge", b"histogram", b"summary", b"untyped"))


class Sample(NamedTuple):
    """One sample as the text has it; names and values are unescaped, not checked for UTF-8."""

    name: bytes
    labels: Labels
    value: bytes
    value_at: int
    timestamp: bytes | None
    next: int  # where the following line begins


class Metadata(NamedTuple):
    """One comment that says something about a family."""

    keyword: bytes  # HELP, TYPE or UNIT
    name: bytes
    text: bytes
    next: int


class Refused(errors.Malformed):
    """Something is wrong with the text of *body* at byte *at*; the message has the line, too.

    Lines are counted when somebody asks for the message, because whoever leaves out a million bad
    lines asks for one.
    """

    def __init__(self, body: bytes, at: int, why: str) -> None:
        super().__init__(why)
        self._body = body
        self.at = at

    @override
    def __str__(self) -> str:
        body, at = self._body, self.at
        end = body.find(b"\n", at, at + _SHOWN)
        text = body[at : at + _SHOWN if end < 0 else end].decode(errors="backslashreplace")
        return f"line {line(body, at)}, byte {at}: {self.args[0]}, at {text!r}"


def refuse(body: bytes, at: int, why: str) -> NoReturn:
    """Raise `errors.Malformed` about the text of *body* at byte *at*."""
    raise Refused(body, at, why)


def line(body: bytes, at: int) -> int:
    """Return the number, from 1, of the line that byte *at* lies in."""
    return body.count(b"\n", 0, at) + 1


def next_line(body: bytes, at: int) -> int:
    """Return where the line behind that of byte *at* begins, or the size of the body."""
    return body.find(b"\n", at) + 1 or len(body)


def is_utf8(text: bytes) -> bool:
    """Say whether *text* is valid UTF-8."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def pairs(inner: bytes) -> Labels:
    """Read labels that have neither escapes nor blanks between them, and are known to be sound."""
    return tuple(_PAIR.findall(inner))


def blanks(body: bytes, at: int) -> int:
    """Return the offset behind the spaces and tabs at *at*."""
    return _skip(_BLANKS, body, at)


def milliseconds(text: bytes) -> int:
    """Read a timestamp: digits only, at most 2**63 - 1; raises ``ValueError`` with a reason."""
    significant = text.lstrip(b"0") or b"0"
    # int() would refuse more than 4,300 digits in words of its own.
    if len(significant) > 19 or int(significant) > _LATEST:
        raise ValueError("timestamp beyond 64 bits")
    return int(significant)


def comment(body: bytes, at: int) -> Metadata | int:
    """Read the comment at *at*, a ``#``; return its metadata, or where the following line begins.

    The text of HELP and TYPE begins behind one byte, whatever it is; so ``# TYPE name  counter``
    with two blanks is an error. Raises `errors.Malformed`.
    """
    found = _METADATA.match(body, at)
    if found is None:
        end = next_line(body, at)
        # A NUL ends the whole input, unless blanks after the "#", then text, precede it.
        shown = blanks(body, at + 1)
        nul = body.find(b"\0", shown, end if shown == at + 1 else shown + 1)
        return end if nul < 0 else len(body)
    keyword = found[1]
    plain = _METRIC_NAME.match(body, found.end())
    quoted = _QUOTED.match(body, found.end())
    name = plain or quoted
    if name is None:
        refuse(body, found.end(), f"expected a metric name after {keyword.decode()}")
    end = _skip(_REST, body, name.end())
    text = body[name.end() + 1 : end]
    if keyword == b"HELP":
        text = _HELP_ESCAPE.sub(_meaning, text)
    elif text not in _TYPES:
        refuse(body, name.end(), "expected counter, gauge, histogram, summary or untyped")
    return Metadata(keyword, unescape(quoted[1]) if quoted else name[0], text, end + 1)


def sample(body: bytes, at: int) -> Sample:
    """Read the sample at *at*, the first byte that is not a blank; raises `errors.Malformed`."""
    plain = _METRIC_NAME.match(body, at)
    name = plain[0] if plain else None
    start = at
    labels: Labels = ()
    at = blanks(body, plain.end() if plain else at)
    if body[at : at + 1] == b"{":
        name, labels, at = _braces(body, at + 1, name)
        at = blanks(body, at)
    elif name is None:
        refuse(body, at, "expected a metric name")
    if not name:
        refuse(body, start, "the sample has no metric name")
    value = _VALUE.match(body, at)
    if value is None:
        refuse(body, at, "expected a value")
    after = blanks(body, value.end())
    timestamp = _TIMESTAMP.match(body, after)
    end = blanks(body, timestamp.end() if timestamp else after)
    if body[end : end + 1] not in (b"", b"\n"):
        refuse(body, end, "expected a timestamp in milliseconds or the end of the line")
    return Sample(name, labels, value[0], at, timestamp[0] if timestamp else None, end + 1)


def unescape(text: bytes) -> bytes:
    """Resolve the escapes of a label value; unknown ones keep their backslash."""
    return _ESCAPE.sub(_meaning, text) if b"\\" in text else text


def _braces(body: bytes, at: int, name: bytes | None) -> tuple[bytes | None, Labels, int]:
    # '{' (label '=' string ','?)* '}', where a lone string before ',' or '}' is the metric name.
    labels: list[tuple[bytes, bytes]] = []
    while True:
        at = blanks(body, at)
        if body[at : at + 1] == b"}":
            return name, tuple(labels), at + 1
        quoted = _QUOTED.match(body, at)
        found = quoted or _LABEL_NAME.match(body, at)
        if found is None:
            refuse(body, at, "expected a label name")
        after = blanks(body, found.end())
        following = body[after : after + 1]
        if quoted is not None and following in (b",", b"}"):
            if name is not None:
                refuse(body, at, "the metric name is set already")
            name = unescape(quoted[1])
            at = after + (following == b",")
            continue
        if following != b"=":
            refuse(body, after, 'expected "=" after the label name')
        value_at = blanks(body, after + 1)
        value = _QUOTED.match(body, value_at)
        if value is None:
            refuse(body, value_at, "expected a label value in double quotes")
        labels.append((unescape(quoted[1]) if quoted else found[0], unescape(value[1])))
        at = blanks(body, value.end())
        at += body[at : at + 1] == b","


def _skip(pattern: re.Pattern[bytes], body: bytes, at: int) -> int:
    found = pattern.match(body, at)
    return found.end() if found else at


def _meaning(escape: re.Match[bytes]) -> bytes:
    return b"\n" if escape[1] == b"n" else escape[1]
