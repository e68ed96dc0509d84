"""HTTP/2 without I/O: `Server` and `Client` take bytes and give events, and the other way round.

Sources: RFC 9113 (HTTP/2) and RFC 7541 (HPACK).
"""

from common.wire.http2.client import Client
from common.wire.http2.codes import CAUSES, Cause, Code
from common.wire.http2.events import (
    DataCame,
    Drained,
    Event,
    Failed,
    GoingAway,
    HeadCame,
    Mistake,
    PingAnswered,
    SettingsCame,
    StreamReset,
    TrailersCame,
)
from common.wire.http2.headers import encode
from common.wire.http2.heads import Head
from common.wire.http2.limits import Limits
from common.wire.http2.server import Server, farewell

__all__ = [
    "CAUSES", "Cause", "Client", "Code", "DataCame", "Drained", "Event", "Failed", "GoingAway",
    "Head", "HeadCame", "Limits", "Mistake", "PingAnswered", "Server", "SettingsCame",
    "StreamReset", "TrailersCame", "encode", "farewell",
]  # fmt: skip
