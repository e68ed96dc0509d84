"""SETTINGS: what we tell the peer, and what the peer may tell us.

Source: RFC 9113 section 6.5.
"""

from __future__ import annotations

from collections.abc import Iterator

from common.wire.http2 import frames
from common.wire.http2.codes import Broken, Code
from common.wire.http2.limits import Limits


def ours(limits: Limits, *, server: bool) -> bytes:
    """Write our SETTINGS, and the WINDOW_UPDATE that gives the connection its window."""
    values = [
        (frames.HEADER_TABLE_SIZE, limits.header_table_bytes),
        (frames.INITIAL_WINDOW_SIZE, limits.stream_window_bytes),
        (frames.MAX_FRAME_SIZE, limits.max_frame_bytes),
        (frames.MAX_HEADER_LIST_SIZE, limits.max_header_bytes),
    ]
    if server:
        values.append((frames.MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams))
    else:
        values.append((frames.ENABLE_PUSH, 0))
    more = limits.connection_window_bytes - frames.DEFAULT_WINDOW
    return frames.settings(values) + (frames.window_update(0, more) if more > 0 else b"")


def theirs(payload: bytes, *, server: bool) -> Iterator[tuple[int, int]]:
    """Read the (identifier, value) pairs of a SETTINGS frame that came to a *server* or a client.

    In the order in which they have to be applied; unknown ones are left out. Raises `Broken`.
    """
    if len(payload) % 6:
        words = f"SETTINGS of {len(payload)} bytes; entries have 6"
        raise Broken(Code.FRAME_SIZE_ERROR, words)
    for identifier, value in frames.SETTING.iter_unpack(payload):
        if identifier == frames.ENABLE_PUSH and value > (1 if server else 0):
            raise Broken(Code.PROTOCOL_ERROR, f"SETTINGS_ENABLE_PUSH is {value}; not allowed")
        if identifier == frames.INITIAL_WINDOW_SIZE and value > frames.MAX_WINDOW:
            words = f"SETTINGS_INITIAL_WINDOW_SIZE is {value}; at most 2**31 - 1"
            raise Broken(Code.FLOW_CONTROL_ERROR, words)
        if identifier == frames.MAX_FRAME_SIZE and not (
            frames.DEFAULT_FRAME_BYTES <= value <= frames.MOST_FRAME_BYTES
        ):
            words = f"SETTINGS_MAX_FRAME_SIZE is {value}; from 16384 to 16777215"
            raise Broken(Code.PROTOCOL_ERROR, words)
        if frames.HEADER_TABLE_SIZE <= identifier <= frames.MAX_HEADER_LIST_SIZE:
            yield identifier, value
