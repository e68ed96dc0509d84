"""What a connection tells its shell, in the order in which it happened."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from common.wire.http2.codes import Cause
from common.wire.http2.heads import Head


class HeadCame(NamedTuple):
    """The headers of a request (to a server), or of a response (to a client).

    A client sees interim responses (``head.status`` below 200) before the final one. *head* is
    shared by all streams that came with the same header block.
    """

    stream: int
    head: Head
    ended: bool


class DataCame(NamedTuple):
    """A piece of a body; pieces are not frames. *ended*: nothing follows, not even trailers.

    The receiver owes credit for ``len(data)``: to the connection (`credit_connection`) as soon as
    it bears the bytes elsewhere, and to the stream (`credit`) if more is welcome on it.
    """

    stream: int
    data: bytes
    ended: bool


class TrailersCame(NamedTuple):
    """The trailers, which end the peer's side of the stream."""

    stream: int
    head: Head


class StreamReset(NamedTuple):
    """The stream is gone: reset by the peer, or by us for the mistake of the peer *words* tell.

    *code* is that of the RST_STREAM frame. Nothing more comes of this stream, and what was to be
    sent on it is forgotten. ``REFUSED_STREAM`` to a client: the request was not looked at.
    """

    stream: int
    code: int
    words: str = ""  # empty: it was the peer that reset it


class Mistake(NamedTuple):
    """The peer did something wrong that costs a stream, not the connection; for counting.

    If the stream was open, its `StreamReset` follows.
    """

    stream: int
    cause: Cause


class Drained(NamedTuple):
    """All that was queued on the stream has gone out."""

    stream: int


class SettingsCame(NamedTuple):
    """The peer's settings are in force: the first ones, or new ones."""


class PingAnswered(NamedTuple):
    """The peer answered our PING with the same eight bytes."""

    payload: bytes


class GoingAway(NamedTuple):
    """The peer takes no more streams, and none of ours above *last* was or will be looked at.

    Those (*unprocessed*, closed now without an event of their own) may be sent again elsewhere.
    """

    last: int
    code: int
    debug: bytes
    unprocessed: tuple[int, ...]


class Failed(NamedTuple):
    """The connection is over: send what `outgoing` has (a GOAWAY), and close. Always the last."""

    code: int
    words: str
    cause: Cause


Event: TypeAlias = (
    HeadCame
    | DataCame
    | TrailersCame
    | StreamReset
    | Mistake
    | Drained
    | SettingsCame
    | PingAnswered
    | GoingAway
    | Failed
)
