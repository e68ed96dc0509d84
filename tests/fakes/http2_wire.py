"""The other end of an HTTP/2 connection, written by hand: frames to send, frames that came."""

from typing import NamedTuple

from common.wire.http2 import Client, Code, Event, Failed, Limits, Server, encode, frames
from common.wire.http2.connection import Connection

REQUEST = (
    (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/service/Method"),
    (b":authority", b"here"), (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),  # codespell:ignore te
)  # fmt: skip
GET = encode(REQUEST)
OK = encode([(b":status", b"200")])
TRAILERS = encode([(b"grpc-status", b"0")])
HEADERS_ONLY = frames.END_HEADERS | frames.END_STREAM


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return frames.frame(kind, flags, stream, payload)


def headers(stream: int, block: bytes = GET, *, ended: bool = False, flags: int = 0) -> bytes:
    ending = frames.END_STREAM if ended else 0
    return frame(frames.HEADERS, frames.END_HEADERS | ending | flags, stream, block)


def data(stream: int, payload: bytes = b"", *, ended: bool = False) -> bytes:
    return frame(frames.DATA, frames.END_STREAM if ended else 0, stream, payload)


def settings(*values: tuple[int, int]) -> bytes:
    return frames.settings(values)


def taken_apart(sent: bytes) -> list[Frame]:
    """Return the frames in *sent*, which has to be whole."""
    found, at = [], 0
    sent = sent.removeprefix(frames.PREFACE)
    while at < len(sent):
        word, flags, stream = frames.HEADER.unpack_from(sent, at)
        end = at + 9 + (word >> 8)
        found.append(Frame(word & 255, flags, stream, sent[at + 9 : end]))
        at = end
    assert at == len(sent)
    return found


def kinds(sent: bytes) -> list[int]:
    return [each.kind for each in taken_apart(sent)]


def server(limits: Limits | None = None, *, acknowledged: bool = True) -> Server:
    """Return a server whose client has said what clients say first."""
    made = Server(limits or Limits())
    made.receive(frames.PREFACE + settings(), 0.0)
    if acknowledged:
        made.receive(frames.SETTINGS_ACK, 0.0)
    made.outgoing()
    return made


def client(limits: Limits | None = None, *values: tuple[int, int]) -> Client:
    """Return a client whose server has set *values* and acknowledged its settings."""
    made = Client(limits or Limits())
    made.receive(settings(*values) + frames.SETTINGS_ACK, 0.0)
    made.outgoing()
    return made


def connection_error(connection: Connection, sent: bytes) -> tuple[Code, str]:
    """Return code and cause of the end of the connection that *sent* leads to."""
    events = connection.receive(sent, 0.0)
    assert isinstance(events[-1], Failed), events
    last = taken_apart(connection.outgoing())[-1]
    assert last.kind == frames.GOAWAY
    assert int.from_bytes(last.payload[4:8]) == events[-1].code
    assert connection.receive(frame(frames.PING, payload=bytes(8)), 0.0) == []
    assert connection.outgoing() == b""
    return Code(events[-1].code), events[-1].cause


def resets(sent: bytes) -> dict[int, Code]:
    """Return the codes of the streams that were reset."""
    return {
        each.stream: Code(int.from_bytes(each.payload))
        for each in taken_apart(sent)
        if each.kind == frames.RST_STREAM
    }


def stream_error(connection: Connection, sent: bytes) -> dict[int, Code]:
    """Return the streams that *sent* gets reset; the connection lives on."""
    events = connection.receive(sent, 0.0)
    assert not any(isinstance(event, Failed) for event in events), events
    return resets(connection.outgoing())


def merged(events: list[Event]) -> list[object]:
    """Return *events* with adjacent pieces of a body as one, for pieces are nobody's business."""
    out: list[list[object]] = []
    for event in events:
        name = type(event).__name__
        if name == "DataCame":
            stream, body, ended = event
            if out and out[-1][:2] == [name, stream] and not out[-1][3]:
                out[-1][2:] = [out[-1][2] + body, ended]
            else:
                out.append([name, stream, body, ended])
        elif name in {"HeadCame", "TrailersCame"}:
            out.append([name, event.stream, event.head.fields, *event[2:]])
        else:
            out.append([name, *event])
    return out
