"""Why a stream or a connection ends: the codes of RFC 9113 section 7, and our own causes."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal, TypeAlias


class Code(IntEnum):
    """The error codes of RFC 9113 section 7; a peer may send others, which arrive as plain ints."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


Cause: TypeAlias = Literal[
    "protocol",
    "compression",
    "resets",
    "pings",
    "settings",
    "empty_frames",
    "header_block",
    "header_list",
    "window",
    "streams",
    "queue",
]
"""What a peer did wrong, for counting: a rule of the protocol or of its header compression broken,
or one of our limits reached (`Limits` says which field bounds what)."""

CAUSES: Final[tuple[Cause, ...]] = (
    "protocol", "compression", "resets", "pings", "settings", "empty_frames", "header_block",
    "header_list", "window", "streams", "queue",
)  # fmt: skip


class Broken(Exception):
    """The peer broke the connection (RFC 9113 section 5.4.1); never leaves this package."""

    def __init__(self, code: Code, message: str, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.cause = code, message, cause or usual_cause(code)


def usual_cause(code: Code) -> Cause:
    """Return what a peer did wrong that is told *code*, where nothing more is known."""
    if code == Code.FLOW_CONTROL_ERROR:
        return "window"
    return "header_list" if code == Code.ENHANCE_YOUR_CALM else "protocol"
