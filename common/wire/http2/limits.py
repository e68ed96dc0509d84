"""What one HTTP/2 connection may do and take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a connection, as plain values; sizes in bytes.

    They are the settings of the same names (`common.config.doors.Http2`).
    """

    max_concurrent_streams: int = 128
    """Streams the peer may have open at a time; more are answered REFUSED_STREAM."""
    stream_window_bytes: int = 64 << 10
    """What the peer may send on a stream before it is given credit."""
    connection_window_bytes: int = 1 << 20
    """What the peer may send on all streams before it is given credit; at least 65,535."""
    max_header_bytes: int = 16 << 10
    """A header list, inflated, as RFC 9113 section 6.5.2 counts; also a header block, compressed.

    A list beyond it costs the peer the stream, one beyond four times the limit the connection.
    """
    header_table_bytes: int = 4096
    """The dynamic table of header compression."""
    max_resets: int = 200
    """Streams that the peer resets, or gets reset by its mistakes, within `flood_seconds`."""
    max_pings: int = 100
    """PING frames within `flood_seconds`."""
    max_settings: int = 20
    """SETTINGS frames within `flood_seconds`."""
    max_empty_frames: int = 200
    """Empty DATA, PRIORITY, unknown frames and the like within `flood_seconds`."""
    flood_seconds: float = 10.0
    """Seconds over which those four are counted."""
    max_frame_bytes: int = 16384
    """The payload of a frame that the peer may send: 16,384 to 16,777,215."""
    max_continuations: int = 32
    """CONTINUATION frames of one header block."""
    max_queued_bytes: int = 1 << 20
    """DATA that waits for the peer to open its windows; see `data`, which says no beyond it."""
