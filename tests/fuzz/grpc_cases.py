"""gRPC calls on streams of a living HTTP/2 connection, most with one thing wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from common.wire import compression
from tests.fuzz import bodies, encodings, http2_wire as h2, templates
from tests.fuzz.templates import LIMIT, Judged, Pool

STATUS = {
    "ok": "OK",
    "bad": "INVALID_ARGUMENT",
    "large": "RESOURCE_EXHAUSTED",
    "encoding": "UNIMPLEMENTED",
}
BUSY = frozenset({"UNAVAILABLE", "rst:REFUSED_STREAM"})  # always right: come again
MALFORMED = frozenset({"rst:PROTOCOL_ERROR", "http:400"})  # RFC 9113 section 8.1.1
NO_GRPC = frozenset({"INTERNAL", "UNIMPLEMENTED", "INVALID_ARGUMENT"})  # what broke the framing
ANY_ANSWER = frozenset(
    {*(s for s in h2.STATUSES if s not in {"UNKNOWN", "OK"}), *(f"rst:{c}" for c in h2.CODES)}
)


@dataclass(frozen=True, slots=True)
class Data:
    """A DATA frame that is sent as flow control allows, cut into several where it has to be."""

    payload: bytes
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """A frame as it is; ``{stream}`` is put where its stream identifier is zero."""

    kind: int
    flags: int = 0
    payload: bytes = b""
    padding: int = -1  # bytes behind a DATA payload

    def on(self, stream: int) -> bytes:
        return h2.frame(self.kind, self.flags, stream, self.payload)


Piece = Data | Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcCase:
    """What is sent on one stream, and which outcomes are right.

    An outcome is the name of a gRPC status, ``http:415`` where there is none, ``rst:CODE``, or
    what `tests.fuzz.grpc_link` calls it when it is never right. ``gone`` is the outcome of a stream
    that the client itself resets.
    """

    name: str
    pieces: tuple[Piece, ...]
    right: frozenset[str]
    points: int = 0
    gives_up: bool = False  # ends with a RST_STREAM of the client's
    alone: bool = False  # may cost the connection


def head(coded: bytes = h2.BLOCK, flags: int = h2.END_HEADERS) -> Raw:
    return Raw(h2.HEADERS, flags, coded)


def call(message: bytes, *more: tuple[bytes, bytes], **changed: bytes | None) -> tuple[Piece, ...]:
    """Return the pieces of a call whose DATA is *message*."""
    coded = h2.block(h2.request(*more, **changed)) if more or changed else h2.BLOCK
    return head(coded), Data(message, ended=True)


def _judged(name: str, pieces: tuple[Piece, ...], judged: Judged) -> GrpcCase:
    right = BUSY | {STATUS[judged.owed]}
    return GrpcCase(name=name, pieces=pieces, right=right, points=judged.points)


Make = Callable[[Random, Pool], GrpcCase]
CASES: dict[str, tuple[float, Make]] = {}


def case(weight: float) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        CASES[make.__name__.replace("_", "-")] = (weight, make)
        return make

    return register


def _good(random: Random, pool: Pool) -> bytes:
    return random.choice(pool.templates).body


@case(35)
def protobuf_body(random: Random, pool: Pool) -> GrpcCase:
    name, body = bodies.draw(random, pool)
    return _judged(f"body/{name}", call(h2.message(body)), templates.judge(body))


@case(8)
def encoded_body(random: Random, pool: Pool) -> GrpcCase:
    name, encoding, body, judged = encodings.draw(random, pool)
    encoding = encoding.lower()
    if encoding == encodings.FRAMED:
        encoding = encodings.SNAPPY  # gRPC's name for the framed format
    if encoding == encodings.SNAPPY and not body.startswith(encodings.SNAPPY_MAGIC):
        # A block is no stream; whether a server takes it all the same is its affair.
        right = BUSY | {"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "INTERNAL"}
        points = templates.judge(_inflated(body) or b"").points
        return GrpcCase(
            name=f"encoded/{name}-block",
            pieces=call(h2.message(body, 1), (b"grpc-encoding", encoding)),
            right=right,
            points=points,
        )
    pieces = call(h2.message(body, 1), (b"grpc-encoding", encoding))
    if judged is None:
        try:
            judged = templates.judge(compression.inflate(body, encoding.decode(), LIMIT))
        except compression.errors.TooLarge:
            judged = Judged("large")
        except compression.errors.Malformed:
            judged = Judged("bad")
    if len(body) > LIMIT:
        judged = Judged("large")
    made = _judged(f"encoded/{name}", pieces, judged)
    if judged.owed == "bad":  # gRPC has INTERNAL for messages that cannot be decompressed
        return GrpcCase(name=made.name, pieces=pieces, right=made.right | {"INTERNAL"})
    return made


def _inflated(body: bytes) -> bytes | None:
    try:
        return compression.inflate(body, "snappy", LIMIT)
    except ValueError:
        return None


@case(8)
def odd_and_right(random: Random, pool: Pool) -> GrpcCase:
    """Nothing is wrong, although it looks so."""
    body = _good(random, pool)
    framed = h2.message(body)
    cut = random.randrange(1, len(framed))
    half = len(h2.BLOCK) // 2
    name, pieces = random.choice(
        (
            ("cut-anywhere", (head(), Data(framed[:cut]), Data(framed[cut:], ended=True))),
            ("prefix-cut", (head(), Data(framed[:3]), Data(framed[3:], ended=True))),
            (
                "bytes",
                (head(), *(Data(framed[n : n + 1]) for n in range(6)), Data(framed[6:], True)),
            ),
            ("empty-data", (head(), Data(b""), Data(framed), Data(b"", ended=True))),
            (
                "padded",
                (
                    head(),
                    Raw(h2.DATA, h2.PADDED | h2.END_STREAM, b"\x05" + framed[:16000] + bytes(5))
                    if len(framed) < 16000
                    else Data(framed, ended=True),
                ),
            ),
            (
                "padded-headers",
                (
                    head(b"\x03" + h2.BLOCK + bytes(3), h2.END_HEADERS | h2.PADDED),
                    Data(framed, True),
                ),
            ),
            (
                "priority",
                (
                    head(bytes(4) + b"\x10" + h2.BLOCK, h2.END_HEADERS | h2.PRIORITISED),
                    Data(framed, ended=True),
                ),
            ),
            (
                "continued",
                (
                    Raw(h2.HEADERS, 0, h2.BLOCK[:half]),
                    Raw(h2.CONTINUATION, h2.END_HEADERS, h2.BLOCK[half:]),
                    Data(framed, ended=True),
                ),
            ),
            ("unknown-frame", (head(), Raw(0xEE, 0xFF, b"what"), Data(framed, ended=True))),
            (
                "unknown-flags",
                (head(flags=h2.END_HEADERS | 0xD2 & ~0x08), Data(framed, ended=True)),
            ),
            ("metadata", call(framed, (b"x-a", b"b"), (b"x-bin", b"AAEC"), (b"x-a", b"c"))),
            ("timeout", call(framed, (b"grpc-timeout", b"10S"))),
            ("timeout-long", call(framed, (b"grpc-timeout", b"99999999H"))),
            ("content-subtype", call(framed, content_type=b"application/grpc+proto")),
            ("identity", call(framed, (b"grpc-encoding", b"identity"))),
            ("cookies", call(framed, (b"cookie", b"a=b"), (b"cookie", b"c=d"))),
            ("window", (head(), Raw(h2.WINDOW_UPDATE, 0, b"\0\0\1\0"), Data(framed, ended=True))),
            ("length", call(framed, (b"content-length", b"%d" % len(framed)))),
        )
    )
    return _judged(f"right/{name}", pieces, templates.judge(body))


@case(1)
def health(random: Random, pool: Pool) -> GrpcCase:  # noqa: ARG001 - all makers are called alike
    service, right = random.choice(
        (
            (b"", {"OK"}),
            (b"\x0a\x00", {"OK"}),
            (b"\x0a\x04nope", {"NOT_FOUND"}),
            (b"\x0a\x7fx", {"INVALID_ARGUMENT"}),
        )
    )
    pieces = call(h2.message(service), path=h2.HEALTH)
    return GrpcCase(name="health", pieces=pieces, right=BUSY | right)


@case(6)
def prefix_wrong(random: Random, pool: Pool) -> GrpcCase:
    """Something is wrong with the five bytes before the message."""
    body = _good(random, pool)
    name, sent, right = random.choice(
        (
            ("flag", h2.message(body, random.randrange(2, 256)), NO_GRPC),
            ("flag-without-encoding", h2.message(body, 1), NO_GRPC),
            ("too-long", struct.pack(">BI", 0, len(body) + 1) + body, NO_GRPC),
            ("too-short", struct.pack(">BI", 0, len(body) - 1) + body, NO_GRPC),
            ("zero", bytes(5) + body, NO_GRPC),
            ("2**31", struct.pack(">BI", 0, 2**31) + body, {"RESOURCE_EXHAUSTED"}),
            ("2**32-1", b"\0\xff\xff\xff\xff" + body, {"RESOURCE_EXHAUSTED"}),
            ("limit+1", struct.pack(">BI", 0, LIMIT + 1) + body, {"RESOURCE_EXHAUSTED"}),
            ("two-messages", h2.message(body) * 2, NO_GRPC),
            ("message-and-bytes", h2.message(body) + b"\0\0", NO_GRPC),
            ("cut", b"\0\0\0", NO_GRPC),
            ("none", b"", NO_GRPC),
        )
    )
    right = BUSY | frozenset(right)
    return GrpcCase(name=f"prefix/{name}", pieces=call(sent), right=right)


@case(5)
def call_wrong(random: Random, pool: Pool) -> GrpcCase:
    """A well-formed request that is not for us."""
    body = _good(random, pool)
    sent = h2.message(body)
    unimplemented = {"UNIMPLEMENTED"}
    traces = b"/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    name, pieces, right = random.choice(
        (
            ("other-signal", call(sent, path=traces), unimplemented),
            ("method", call(sent, path=h2.EXPORT + b"2"), unimplemented),
            ("path-short", call(sent, path=b"/"), unimplemented),
            ("path-long", call(sent, path=b"/" + b"a" * 4000 + b"/b"), unimplemented),
            (
                "get",
                call(sent, method=b"GET"),
                {"http:405", "http:400", *unimplemented, "INTERNAL"},
            ),
            (
                "no-type",
                call(sent, content_type=None),
                {"http:415", "INVALID_ARGUMENT", "INTERNAL"},
            ),
            ("json", call(sent, content_type=b"application/json"), {"http:415"}),
            ("type-prefix", call(sent, content_type=b"application/grpcweb"), {"http:415"}),
            ("encoding", call(h2.message(body, 1), (b"grpc-encoding", b"rot13")), unimplemented),
            (
                "timeout-words",
                call(sent, (b"grpc-timeout", b"soon")),
                {"INTERNAL", "INVALID_ARGUMENT", "http:400"},
            ),
            ("timeout-now", call(sent, (b"grpc-timeout", b"1n")), {"OK", "DEADLINE_EXCEEDED"}),
            (
                "no-te",
                call(sent, te=None),
                {"OK", "INTERNAL", "INVALID_ARGUMENT"},
            ),  # codespell:ignore te
            ("no-message", (head(flags=h2.END_HEADERS | h2.END_STREAM),), NO_GRPC),
            (
                "http-get",
                (head(h2.block(h2.request(method=b"GET", path=b"/", content_type=None)), 5),),
                {"http:415", "http:404", "http:405", "UNIMPLEMENTED"},
            ),
        )
    )
    taken = "OK" in right
    points = templates.judge(body).points if taken else 0
    return GrpcCase(name=f"call/{name}", pieces=pieces, right=BUSY | right, points=points)


@case(5)
def fields_malformed(random: Random, pool: Pool) -> GrpcCase:
    """A header list that RFC 9113 section 8.2 and 8.3 call malformed: a stream error."""
    sent = h2.message(_good(random, pool))
    fields = h2.request()
    name, listed = random.choice(
        (
            ("upper-case", h2.request((b"X-Name", b"v"))),
            ("empty-name", h2.request((b"", b"v"))),
            ("space-in-name", h2.request((b"x name", b"v"))),
            ("nul-in-name", h2.request((b"x\0", b"v"))),
            ("nul-in-value", h2.request((b"x-a", b"a\0b"))),
            ("newline-in-value", h2.request((b"x-a", b"a\r\nb: c"))),
            ("space-before-value", h2.request((b"x-a", b" v"))),
            ("connection", h2.request((b"connection", b"keep-alive"))),
            ("transfer-encoding", h2.request((b"transfer-encoding", b"chunked"))),
            ("te-gzip", h2.request(te=b"gzip")),  # codespell:ignore te
            ("pseudo-late", [*fields[1:], fields[0]]),
            ("pseudo-twice", [fields[0], *fields]),
            ("pseudo-unknown", [(b":what", b"x"), *fields]),
            ("pseudo-of-response", [(b":status", b"200"), *fields]),
            ("no-method", h2.request(method=None)),
            ("no-path", h2.request(path=None)),
            ("empty-path", h2.request(path=b"")),
            ("no-scheme", h2.request(scheme=None)),
            ("length-wrong", h2.request((b"content-length", b"%d" % (len(sent) + 1)))),
            ("length-words", h2.request((b"content-length", b"many"))),
        )
    )
    pieces = (head(h2.block(listed)), Data(sent, ended=True))
    return GrpcCase(name=f"fields/{name}", pieces=pieces, right=BUSY | MALFORMED)


@case(1)
def fields_too_many(random: Random, pool: Pool) -> GrpcCase:
    """A header list beyond max_header_bytes (16 KiB as RFC 9113 counts them)."""
    sent = h2.message(_good(random, pool))
    name, more = random.choice(
        (
            ("one", [(b"x-long", b"y" * 20_000)]),
            ("many", [(b"x-%d" % n, b"z" * 100) for n in range(200)]),
            ("tiny", [(b"x", b"")] * 600),
        )
    )
    coded = h2.block([*h2.request(), *more])
    parts = [coded[at : at + 10_000] for at in range(0, len(coded), 10_000)]
    pieces: list[Piece] = [Raw(h2.HEADERS, 0 if len(parts) > 1 else h2.END_HEADERS, parts[0])]
    pieces += [
        Raw(h2.CONTINUATION, h2.END_HEADERS if part is parts[-1] else 0, part) for part in parts[1:]
    ]
    right = BUSY | {"RESOURCE_EXHAUSTED", "http:431", "rst:ENHANCE_YOUR_CALM", "rst:PROTOCOL_ERROR"}
    large = len(coded) > 16_384  # not even its encoding is within the limit
    return GrpcCase(
        name=f"fields/too-many-{name}",
        pieces=(*pieces, Data(sent, ended=True)),
        right=right | {"goaway:ENHANCE_YOUR_CALM"} if large else right,
        alone=large,
    )


@case(4)
def stream_wrong(random: Random, pool: Pool) -> GrpcCase:
    """Frames that end the stream they are on, and nothing else (RFC 9113 sections 5 and 6)."""
    sent = h2.message(_good(random, pool))
    begun: tuple[Piece, ...] = (head(), Data(sent[:10]))
    name, pieces, right = random.choice(
        (
            ("window-0", (*begun, Raw(h2.WINDOW_UPDATE, 0, bytes(4))), {"rst:PROTOCOL_ERROR"}),
            (
                "window-overflow",
                (*begun, Raw(h2.WINDOW_UPDATE, 0, b"\x7f\xff\xff\xff")),
                {"rst:FLOW_CONTROL_ERROR"},
            ),
            ("trailers-open", (*begun, head(h2.block([(b"x", b"y")]))), {"rst:PROTOCOL_ERROR"}),
            (
                "trailers-pseudo",
                (*begun, head(h2.block([(b":path", b"/")]), h2.END_HEADERS | h2.END_STREAM)),
                {"rst:PROTOCOL_ERROR"},
            ),
            ("priority-size", (*begun, Raw(h2.PRIORITY, 0, bytes(4))), {"rst:FRAME_SIZE_ERROR"}),
        )
    )
    return GrpcCase(name=f"stream/{name}", pieces=pieces, right=BUSY | right)


@case(3)
def given_up(random: Random, pool: Pool) -> GrpcCase:
    """The client resets the stream, early or late; whether the request was taken is not known."""
    body = _good(random, pool)
    sent = h2.message(body)
    code = random.choice((0, 1, 5, 8, 11, 99, 2**32 - 1))
    end = Raw(h2.RST_STREAM, 0, struct.pack(">I", code))
    name, pieces = random.choice(
        (
            ("after-headers", (head(), end)),
            ("in-data", (head(), Data(sent[: len(sent) // 2]), end)),
            ("after-all", (*call(sent), end)),
        )
    )
    points = templates.judge(body).points if name == "after-all" else 0
    right = frozenset({"gone"})
    return GrpcCase(
        name=f"given-up/{name}", pieces=pieces, right=right, points=points, gives_up=True
    )


_NAMES = tuple(CASES)
_WEIGHTS = tuple(weight for weight, _ in CASES.values())


def draw(random: Random, pool: Pool) -> GrpcCase:
    """Return the case that *random* comes to."""
    return CASES[random.choices(_NAMES, _WEIGHTS)[0]][1](random, pool)
