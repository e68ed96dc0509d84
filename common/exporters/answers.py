"""Read what backends say when they do not simply say yes: Retry-After, RetryInfo, error bodies.

What cannot be read counts as not said: a broken courtesy does not change an outcome.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from common.wire import errors, protobuf

MAX_GUESS = 60.0  # seconds; a date further off is more likely a clock that is wrong
_MAX_WORDS = 300  # characters of a backend's prose that go into logs and pages
_RETRY_INFO = b"google.rpc.RetryInfo"


def retry_after(header: str | None, now: float, date: str | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or a date.

    A date is one of the sender's clock, which told *date* (the header of that name) when it
    answered. Without that, ours has to do: *now*, in seconds since the Unix epoch. As it may be
    wrong by an hour, such a date is not believed further than `MAX_GUESS`. Source: RFC 9110,
    10.2.3 and 6.6.1.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    again = _stamp(text)
    if again is None:
        return None
    said = _stamp(date.strip()) if date is not None else None
    return max(0.0, min(MAX_GUESS, again - now) if said is None else again - said)


def _stamp(text: str) -> float | None:
    """Return what an HTTP date is in seconds since the Unix epoch, ``None`` if it is none."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def retry_info(status: bytes) -> float | None:
    """Return the seconds of the RetryInfo in an encoded google.rpc.Status, ``None`` without one.

    A RetryInfo without a delay, or with a negative one, gives 0.0: retry when you see fit.
    """
    # message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
    # message Any { string type_url = 1; bytes value = 2; }
    try:
        for detail in _messages(status, 3):
            kinds = _messages(detail, 1)
            if kinds and kinds[-1].rpartition(b"/")[2] == _RETRY_INFO:
                return _delay(b"".join(_messages(detail, 2)[-1:]))
    except errors.Malformed:
        return None
    return None


def _delay(info: bytes) -> float:
    # message RetryInfo { Duration retry_delay = 1; }
    # message Duration { int64 seconds = 1; int32 nanos = 2; }
    seconds = nanos = 0
    duration = b"".join(_messages(info, 1))  # occurrences of a message merge by concatenation
    for field, wire_type, _, at, _ in protobuf.fields(duration):
        if wire_type == protobuf.VARINT and field in {1, 2}:
            value, _ = protobuf.read_varint(duration, at)
            value -= (value >> 63) << 64  # two's complement
            if field == 1:
                seconds = value
            else:
                nanos = value
    return max(0.0, seconds + nanos * 1e-9)


def words(body: bytes, content_type: str) -> str:
    """Return what an error body says, on one line of bounded length.

    A protobuf body is a google.rpc.Status, of which the message counts; text is taken as it is.
    """
    if content_type.partition(";")[0].strip().lower() == "application/x-protobuf":
        try:
            body = b"".join(_messages(body, 2)[-1:])
        except errors.Malformed:
            return ""
    return line(body.decode("utf-8", "replace"))


def line(text: str) -> str:
    """Make foreign *text* fit for a log line: printable, on one line, of bounded length."""
    text = " ".join(text[: 4 * _MAX_WORDS].split())
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _MAX_WORDS else f"{text[: _MAX_WORDS - 1]}…"


def _messages(data: bytes, number: int) -> list[bytes]:
    return [
        data[at:end]
        for field, wire_type, _, at, end in protobuf.fields(data)
        if field == number and wire_type == protobuf.BYTES
    ]
