"""Header blocks come whole or in CONTINUATIONs, with nothing between, and not without end."""

import pytest

from common.wire.http2 import Code, encode
from tests.fakes import http2_wire as wire
from tests.fakes.http2_wire import GET, connection_error, frame

PROTOCOL = Code.PROTOCOL_ERROR
START = frame(1, 0, 1, GET[:5])
FATAL = {
    "CONTINUATION of nothing": (frame(9, 4, 1), PROTOCOL, "protocol"),
    "CONTINUATION behind the block": (wire.headers(1) + frame(9, 4, 1), PROTOCOL, "protocol"),
    "another frame within a block": (START + frame(6, 0, 0, bytes(8)), PROTOCOL, "protocol"),
    "an unknown frame within a block": (START + frame(99), PROTOCOL, "protocol"),
    "another stream within a block": (START + frame(9, 4, 3, GET[5:]), PROTOCOL, "protocol"),
    "padding of HEADERS too long": (frame(1, 12, 1, b"\x7f" + GET), PROTOCOL, "protocol"),
    "priority cut short": (frame(1, 0x24, 1, b"\0\0"), Code.FRAME_SIZE_ERROR, "protocol"),
    "undecodable": (wire.headers(1, b"\x80"), Code.COMPRESSION_ERROR, "compression"),
    "endless block": (
        START + frame(9, 0, 1, bytes(9000)) * 3, Code.ENHANCE_YOUR_CALM, "header_block",
    ),
    "empty CONTINUATIONs": (START + frame(9, 0, 1) * 50, Code.ENHANCE_YOUR_CALM, "header_block"),
    "endless list": (
        wire.headers(1, encode([(b"a" * 4000, b"")]).replace(b"\0", b"\x40", 1))
        + wire.headers(3, b"\xbe" * 100),
        Code.ENHANCE_YOUR_CALM, "header_list",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "code", "cause"), FATAL.values(), ids=FATAL)
def test_mistakes_that_cost_the_connection(sent: bytes, code: Code, cause: str) -> None:
    assert connection_error(wire.server(), sent) == (code, cause)


def test_a_block_may_come_in_pieces() -> None:
    server = wire.server()
    sent = frame(1, 1, 1, GET[:5]) + frame(9, 0, 1, GET[5:9]) + frame(9, 4, 1, GET[9:])
    assert server.receive(sent[:20], 0.0) == []
    (event,) = server.receive(sent[20:], 0.0)
    assert event.head.path == b"/service/Method"
    assert event.ended
