"""Bytes that an HTTP/2 connection must not survive, and a few that it must (RFC 9113, RFC 7541)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from tests.fuzz import http2_wire as h2

HEADERS_ONLY = h2.END_HEADERS | h2.END_STREAM
EVERY_CODE = frozenset(f"goaway:{code}" for code in h2.CODES) | {"close"}
CALM = frozenset({"goaway:ENHANCE_YOUR_CALM", "close"})


def _ends(*codes: str) -> frozenset[str]:
    """Return the outcomes of a connection error; a close may be all that is seen of it."""
    return frozenset(f"goaway:{code}" for code in codes) | {"close"}


PROTOCOL, SIZE = _ends("PROTOCOL_ERROR"), _ends("FRAME_SIZE_ERROR", "PROTOCOL_ERROR")
FLOW, HPACK = _ends("FLOW_CONTROL_ERROR"), _ends("COMPRESSION_ERROR")
CLOSED = _ends("STREAM_CLOSED", "PROTOCOL_ERROR")
ALIVE = frozenset({"alive"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2Case:
    """What is sent on a connection of its own, behind the preface unless *bare*.

    Stream 1 is open before where *opened* says so, and has ended where it says "ended". Outcomes
    are ``goaway:CODE``, ``close`` (without a GOAWAY), and ``alive``: a PING and a request that are
    sent afterwards are answered.
    """

    name: str
    data: bytes
    right: frozenset[str]
    bare: bool = False
    opened: Literal["", "open", "ended"] = ""
    finish: Literal["", "fin"] = ""
    points: int = 0


F = h2.frame
OPEN_1 = h2.headers(1)


def _settings(key: int, value: int) -> bytes:
    return h2.settings((key, value))


def _table() -> dict[str, tuple[bytes, frozenset[str]]]:
    """Return cases behind the preface, no stream open."""
    get = h2.headers(1, flags=HEADERS_ONLY)
    long = h2.block([(b"x", b"y" * 15_000)])
    return {
        "settings-size": (F(4, 0, 0, bytes(5)), SIZE),
        "settings-stream": (F(4, 0, 1, bytes(6)), PROTOCOL),
        "settings-ack-payload": (F(4, 1, 0, bytes(6)), SIZE),
        "settings-push-2": (_settings(2, 2), PROTOCOL),
        "settings-window": (_settings(4, 2**31), FLOW),
        "settings-frame-small": (_settings(5, 16383), PROTOCOL),
        "settings-frame-large": (_settings(5, 2**24), PROTOCOL),
        "settings-unknown": (_settings(0xFFFF, 2**32 - 1), ALIVE),
        "settings-twice-the-same": (h2.settings((4, 1), (4, 70_000)), ALIVE),
        "settings-table-huge": (_settings(1, 2**32 - 1), ALIVE),
        "settings-streams-0": (_settings(3, 0), ALIVE),
        "ping-size": (F(6, 0, 0, bytes(7)), SIZE),
        "ping-stream": (F(6, 0, 1, bytes(8)), PROTOCOL),
        "ping-ack": (F(6, 1, 0, bytes(8)), ALIVE),
        "goaway-size": (F(7, 0, 0, bytes(7)), SIZE),
        "goaway-stream": (F(7, 0, 1, bytes(8)), PROTOCOL),
        "window-0": (h2.window_update(0, 0), PROTOCOL),
        "window-overflow": (h2.window_update(0, 2**31 - 1), FLOW),
        "window-size": (F(8, 0, 0, bytes(3)), SIZE),
        "window-idle": (h2.window_update(1, 1), PROTOCOL),
        "window-reserved-bit": (h2.window_update(0, 2**31 | 1), ALIVE),
        "reset-idle": (h2.reset(1), PROTOCOL),
        "reset-stream-0": (h2.reset(0), PROTOCOL),
        "reset-size": (get + F(3, 0, 1, bytes(3)), SIZE),
        "priority-stream-0": (F(2, 0, 0, bytes(5)), PROTOCOL),
        "priority-idle": (F(2, 0, 9, bytes(5)), ALIVE),
        "data-stream-0": (F(0, 0, 0, b"abc"), PROTOCOL),
        "data-idle": (F(0, 0, 1, b"abc"), _ends("PROTOCOL_ERROR", "STREAM_CLOSED")),
        "headers-stream-0": (F(1, HEADERS_ONLY, 0, h2.BLOCK), PROTOCOL),
        "headers-stream-even": (h2.headers(2, flags=HEADERS_ONLY), PROTOCOL),
        "headers-lower": (h2.headers(5, flags=HEADERS_ONLY) + get, CLOSED),
        "headers-padding": (F(1, HEADERS_ONLY | 8, 1, b"\xff" + h2.BLOCK), PROTOCOL),
        "headers-padding-none": (F(1, HEADERS_ONLY | 8, 1, b""), SIZE),
        "headers-priority-short": (F(1, HEADERS_ONLY | 32, 1, bytes(3)), SIZE),
        "push-promise": (F(5, 4, 1, bytes(4) + h2.BLOCK), PROTOCOL),
        "continuation-alone": (F(9, 4, 1, h2.BLOCK), PROTOCOL),
        "continuation-after-end": (get + F(9, 4, 1, h2.BLOCK), PROTOCOL),
        "continuation-interrupted": (F(1, 1, 1, h2.BLOCK) + F(6, 0, 0, bytes(8)), PROTOCOL),
        "continuation-unknown-between": (F(1, 1, 1, h2.BLOCK) + F(0xEE, 0, 0), PROTOCOL),
        "continuation-other-stream": (F(1, 1, 1, h2.BLOCK) + F(9, 4, 3, b""), PROTOCOL),
        "continuation-data-between": (F(1, 0, 1, h2.BLOCK) + F(0, 1, 1, b"x"), PROTOCOL),
        "frame-too-large": (F(0xEE, 0, 0, bytes(16_385)), SIZE),
        "frame-2**24": (h2.lying(2**24 - 1, 0xEE), SIZE),
        "headers-too-large": (h2.lying(16_385, 1, 4, 1, bytes(16_385)), SIZE),
        "frame-unknown": (F(0xEE, 0xFF, 77, b"what"), ALIVE),
        "reserved-bit": (struct.pack(">IBI", 8 << 8 | 6, 0, 2**31) + bytes(8), ALIVE),
        "hpack-index-0": (h2.headers(1, h2.BLOCK + b"\x80", HEADERS_ONLY), HPACK),
        "hpack-index-beyond": (h2.headers(1, h2.BLOCK + b"\xff\x00", HEADERS_ONLY), HPACK),
        "hpack-integer-endless": (
            h2.headers(1, h2.BLOCK + b"\xff" + b"\xff" * 30, HEADERS_ONLY),
            HPACK,
        ),
        "hpack-huffman-padding": (
            h2.headers(1, h2.BLOCK + b"\x00\x01x\x82\xff\xff", HEADERS_ONLY),
            HPACK,
        ),
        "hpack-huffman-eos": (
            h2.headers(1, h2.BLOCK + b"\x00\x01x\x84\xff\xff\xff\xff", HEADERS_ONLY),
            HPACK,
        ),
        "hpack-table-too-large": (
            h2.headers(1, h2.integer(1 << 30, 5, 0x20) + h2.BLOCK, HEADERS_ONLY),
            HPACK,
        ),
        "hpack-table-late": (h2.headers(1, h2.BLOCK + b"\x20", HEADERS_ONLY), HPACK),
        "hpack-literal-cut": (h2.headers(1, h2.BLOCK + b"\x00\x7fabc", HEADERS_ONLY), HPACK),
        "hpack-name-cut": (h2.headers(1, h2.BLOCK + b"\x00", HEADERS_ONLY), HPACK),
        "hpack-noise": (h2.headers(1, b"\xff\xff\xff\xff\xff\xff\xff", HEADERS_ONLY), HPACK),
        "continuation-flood": (
            F(1, 1, 1, h2.BLOCK) + F(9, 0, 1, b"") * 1000,
            CALM | PROTOCOL,
        ),
        "continuation-large": (
            F(1, 1, 1, h2.BLOCK) + F(9, 0, 1, long) * 40,
            CALM | PROTOCOL | HPACK,
        ),
        "ping-flood": (F(6, 0, 0, bytes(8)) * 500, CALM),
        "settings-flood": (h2.settings() * 200, CALM),
        "priority-flood": (F(2, 0, 9, bytes(5)) * 1000, CALM),
        "unknown-flood": (F(0xEE) * 1000, CALM),
        "reset-flood": (
            b"".join([h2.headers(n) + h2.reset(n) for n in range(1, 1000, 2)]),
            CALM,
        ),
    }


def _on_stream() -> dict[str, tuple[bytes, frozenset[str]]]:
    """Return cases with stream 1 open."""
    return {
        "data-padding": (F(0, 8, 1, b"\x05abc"), PROTOCOL),
        "data-padding-none": (F(0, 8, 1, b""), SIZE),
        "window-size": (F(8, 0, 1, bytes(5)), SIZE),
        "settings-window-overflow": (
            h2.window_update(1, 2**31 - 1 - 65_535) + _settings(4, 65_536 + 1000),
            FLOW | ALIVE | {"goaway:PROTOCOL_ERROR"},
        ),
        "empty-data-flood": (F(0, 0, 1, b"") * 1000, CALM),
        "data-too-large": (F(0, 0, 1, bytes(16_385)), SIZE),
    }


def _ended() -> dict[str, tuple[bytes, frozenset[str]]]:
    """Return cases with stream 1 ended by the client; a stream error would be right as well."""
    return {
        "data": (F(0, 1, 1, b"x"), CLOSED | ALIVE),
        "headers": (h2.headers(1, flags=HEADERS_ONLY), CLOSED | ALIVE),
        "window": (h2.window_update(1, 1), ALIVE),
        "priority": (F(2, 0, 1, bytes(5)), ALIVE),
        "reset": (h2.reset(1), ALIVE),
    }


def _bare() -> dict[str, tuple[bytes, frozenset[str]]]:
    """Return beginnings that are none."""
    http1 = b"POST /v1/metrics HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\n\r\n"
    return {
        "http1": (http1, EVERY_CODE),
        "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60), EVERY_CODE),
        "preface-wrong": (h2.PREFACE.replace(b"SM", b"MS") + h2.settings(), PROTOCOL),
        "no-settings": (h2.PREFACE + h2.headers(1, flags=HEADERS_ONLY), PROTOCOL),
        "ping-first": (h2.PREFACE + F(6, 0, 0, bytes(8)), PROTOCOL),
        "ack-first": (h2.PREFACE + F(4, 1, 0), PROTOCOL),
    }


CASES: list[tuple[str, bytes, frozenset[str], str]] = [
    *((f"http2/{name}", data, right, "") for name, (data, right) in _table().items()),
    *((f"http2/open/{name}", data, right, "open") for name, (data, right) in _on_stream().items()),
    *((f"http2/ended/{name}", data, right, "ended") for name, (data, right) in _ended().items()),
]
BARE = _bare()
Make = Callable[[Random], Http2Case]


def _named(name: str, data: bytes, right: frozenset[str], opened: str) -> Http2Case:
    match opened:
        case "open":
            return Http2Case(name=name, data=data, right=right, opened="open")
        case "ended":
            return Http2Case(name=name, data=data, right=right, opened="ended")
        case _:
            return Http2Case(name=name, data=data, right=right)


def _damaged(random: Random) -> Http2Case:
    """Break a run of good frames anywhere: a bit, a byte, a cut, a swap of two frames."""
    frames = [
        h2.settings((3, 100)), F(6, 0, 0, bytes(8)), h2.headers(1),
        F(0, 0, 1, h2.message(b"\x0a\0")), h2.window_update(0, 100), F(2, 0, 1, bytes(5)),
        h2.headers(3, flags=HEADERS_ONLY), h2.reset(1),
    ]  # fmt: skip
    match random.randrange(4):
        case 0:
            random.shuffle(frames)
            data = b"".join(frames)
        case 1:
            one = random.randrange(len(frames))
            data = b"".join([*frames[:one], *frames[one:] * 2])
        case 2:
            changed = bytearray(b"".join(frames))
            for _ in range(random.randrange(1, 4)):
                changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
            data = bytes(changed)
        case _:
            whole = b"".join(frames)
            data = whole[: random.randrange(len(whole))]
    right = EVERY_CODE | ALIVE | {"waits"}
    return Http2Case(name="http2/damaged", data=data, right=right, finish="fin")


def _noise(random: Random) -> Http2Case:
    data = b"".join(
        [
            F(random.randrange(12), random.randrange(256), random.choice((0, 1, 3, 2**31)),
              random.randbytes(random.choice((0, 4, 5, 6, 8, 20))))
            for _ in range(random.randrange(1, 20))
        ]
    )  # fmt: skip
    right = EVERY_CODE | ALIVE | {"waits"}
    return Http2Case(name="http2/noise", data=data, right=right, finish="fin")


def draw(random: Random) -> Http2Case:
    """Return the case that *random* comes to."""
    dice = random.random()
    if dice < 0.6:
        return _named(*random.choice(CASES))
    if dice < 0.7:
        name = random.choice(list(BARE))
        data, right = BARE[name]
        return Http2Case(name=f"http2/begin/{name}", data=data, right=right, bare=True)
    return _damaged(random) if dice < 0.9 else _noise(random)
