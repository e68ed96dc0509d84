"""HTTP/1.1 requests of which most have one thing wrong, with the answers that are right."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from common.wire import compression, errors, otlp_json
from tests.fuzz import bodies, encodings, json_bodies, templates
from tests.fuzz.templates import LIMIT, Judged, Pool

STATUS = {"ok": 200, "bad": 400, "large": 413, "encoding": 415}
PROTOBUF, JSON = b"application/x-protobuf", b"application/json"
BUSY = frozenset({"503", "429"})  # always right: the client is told to come again

Ending = Literal["keep", "may", "must"]
"""Whether the connection goes on behind the answer, may be closed, or must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCase:
    """What is sent, and which outcomes are right.

    An outcome is a status (``"400"``), ``"close"`` for a close without one, or the names of
    `tests.fuzz.http_link` for what is never right.
    """

    name: str
    data: bytes
    right: frozenset[str]
    points: int = 0  # taken if the answer is 200
    ending: Ending = "keep"
    method: bytes = b"POST"
    finish: Literal["", "fin", "rst"] = ""  # what follows the data
    pieces: int = 1  # writes it is sent in


def head(
    *fields: bytes,
    line: bytes = b"POST /v1/metrics HTTP/1.1",
    host: bytes = b"Host: gateway",
    kind: bytes | None = PROTOBUF,
) -> bytes:
    lines = [
        line,
        host,
        *([b"Content-Type: " + kind] if kind is not None else []),
        *fields,
        b"",
        b"",
    ]
    return b"\r\n".join([each for each in lines[:-2] if each] + lines[-2:])


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


def post(body: bytes, *fields: bytes, kind: bytes | None = PROTOBUF) -> bytes:
    return head(length(body), *fields, kind=kind) + body


def chunked(random: Random, body: bytes, *, size: int = 0) -> bytes:
    out, at = bytearray(), 0
    while at < len(body):
        step = size or random.choice((1, 7, 100, 4000))
        piece = body[at : at + step]
        extension = random.choice((b"", b"", b";a=b", b';q="x\\"y"'))
        out += b"%x%s\r\n%s\r\n" % (len(piece), extension, piece)
        at += step
    return bytes(out + b"0\r\n\r\n")


def _judged(name: str, data: bytes, judged: Judged, **more) -> HttpCase:
    right = BUSY | {str(STATUS[judged.owed])}
    ending = "may" if judged.owed == "large" else "keep"
    return HttpCase(
        name=name, data=data, right=right, points=judged.points, **{"ending": ending, **more}
    )


Make = Callable[[Random, Pool], HttpCase]
CASES: dict[str, tuple[float, Make]] = {}


def case(weight: float) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        CASES[make.__name__.strip("_").replace("_", "-")] = (weight, make)
        return make

    return register


@case(30)
def protobuf_body(random: Random, pool: Pool) -> HttpCase:
    name, body = bodies.draw(random, pool)
    return _judged(f"body/{name}", post(body), templates.judge(body))


@case(8)
def chunked_body(random: Random, pool: Pool) -> HttpCase:
    name, body = bodies.draw(random, pool)
    data = head(b"Transfer-Encoding: chunked") + chunked(random, body[:20_000])
    return _judged(f"chunked/{name}", data, templates.judge(body[:20_000]))


@case(8)
def encoded_body(random: Random, pool: Pool) -> HttpCase:
    name, encoding, body, judged = encodings.draw(random, pool)
    field = b"Content-Encoding: " + encoding
    if judged is None:  # no one but our own decoder to ask
        try:
            judged = templates.judge(compression.inflate(body, encoding.decode(), LIMIT))
        except compression.UnknownEncoding:
            judged = Judged("encoding")
        except errors.TooLarge:
            judged = Judged("large")
        except errors.Malformed:
            judged = Judged("bad")
    if len(body) > LIMIT:
        judged = Judged("large")
    return _judged(f"encoded/{name}", post(body, field), judged)


@case(8)
def json_body(random: Random, pool: Pool) -> HttpCase:
    name, body = json_bodies.draw(random, pool)
    try:
        judged = (
            Judged("large") if len(body) > LIMIT else templates.judge(otlp_json.to_protobuf(body))
        )
    except errors.Malformed:
        judged = Judged("bad")
    return _judged(f"json/{name}", post(body, kind=JSON), judged)


@case(8)
def odd_and_right(random: Random, pool: Pool) -> HttpCase:
    """Nothing is wrong, although it looks so."""
    body = random.choice(pool.templates).body
    name, data = random.choice(
        (
            ("lower-case", post(body).replace(b"Content-", b"content-").replace(b"Host", b"hOST")),
            (
                "spaces",
                post(body).replace(b": ", b":   \t ").replace(b"metrics HTTP", b"metrics HTTP"),
            ),
            ("parameters", post(body, kind=PROTOBUF + b'; charset="utf-8"; x=y')),
            ("upper-case-type", post(body, kind=PROTOBUF.upper())),
            ("query", head(length(body), line=b"POST /v1/metrics?a=b&c HTTP/1.1") + body),
            ("identity", post(body, b"Content-Encoding: identity")),
            ("accept-all", post(body, b"Accept: */*", b"Accept-Encoding: gzip, br, *;q=0")),
            ("sixty-headers", post(body, *(b"X-%d: %d" % (n, n) for n in range(60)))),
            ("long-header", post(body, b"X-Long: " + b"y" * 4000)),
            ("high-bytes", post(body, b"X-Name: \xc3\xa9\xff")),
            ("expect", post(body, b"Expect: 100-continue")),
            (
                "byte-chunks",
                head(b"Transfer-Encoding: chunked") + chunked(random, body[:0], size=1),
            ),
            (
                "trailers",
                head(b"Transfer-Encoding: chunked", b"Trailer: X")
                + chunked(random, body)[:-2]
                + b"X: y\r\n\r\n",
            ),
        )
    )
    points = 0 if name == "byte-chunks" else templates.judge(body).points
    return _judged(f"right/{name}", data, Judged("ok", points), pieces=random.choice((1, 1, 3)))


@case(4)
def wrong_request(random: Random, pool: Pool) -> HttpCase:
    """Well-formed HTTP that asks for the wrong thing."""
    body = random.choice(pool.templates).body
    wrong = {
        "path": ("404", head(length(body), line=b"POST /v1/traces HTTP/1.1") + body),
        "path-root": ("404", head(length(body), line=b"POST / HTTP/1.1") + body),
        "path-case": ("404", head(length(body), line=b"POST /V1/metrics HTTP/1.1") + body),
        "path-slash": ("404", head(length(body), line=b"POST /v1/metrics/ HTTP/1.1") + body),
        "get": ("405", head(line=b"GET /v1/metrics HTTP/1.1", kind=None)),
        "head": ("405", head(line=b"HEAD /v1/metrics HTTP/1.1", kind=None)),
        "put": ("405", head(length(body), line=b"PUT /v1/metrics HTTP/1.1") + body),
        "delete": ("405", head(line=b"DELETE /v1/metrics HTTP/1.1", kind=None)),
        "patch": ("405", head(length(body), line=b"PATCH /v1/metrics HTTP/1.1") + body),
        "no-type": ("415", post(body, kind=None)),
        "type": ("415", post(body, kind=b"text/plain")),
        "empty-type": ("415", post(body, kind=b"")),
        "json-as-protobuf": ("400", post(b'{"resourceMetrics": []}')),
        "protobuf-as-json": ("400", post(body, kind=JSON)),
        "encoding": ("415", post(body, b"Content-Encoding: rot13")),
        "encodings": (
            "415",
            post(gzip.compress(body, 1, mtime=0), b"Content-Encoding: gzip, gzip"),
        ),
        "expect-and-path": (
            "404",
            head(length(body), b"Expect: 100-continue", line=b"POST /x HTTP/1.1") + body,
        ),
    }
    name = random.choice(list(wrong))
    status, data = wrong[name]
    return HttpCase(
        name=f"request/{name}",
        data=data,
        right=BUSY | {status},
        method=data[: data.index(b" ")],
        ending="may",
    )


@case(5)
def length_wrong(random: Random, pool: Pool) -> HttpCase:
    body = random.choice(pool.templates).body
    size = len(body)
    name, field, right = random.choice(
        (
            ("negative", b"Content-Length: -5", {"400"}),
            ("plus", b"Content-Length: +%d" % size, {"400"}),
            ("hexadecimal", b"Content-Length: 0x%x" % size, {"400"}),
            ("exponent", b"Content-Length: 1e3", {"400"}),
            ("words", b"Content-Length: many", {"400"}),
            ("empty", b"Content-Length:", {"400", "411"}),
            ("underscore", b"Content-Length: 1_0", {"400"}),
            ("two-values", b"Content-Length: %d, %d" % (size, size + 1), {"400"}),
            ("twice", b"Content-Length: %d\r\nContent-Length: %d" % (size, size + 1), {"400"}),
            ("over-the-limit", b"Content-Length: %d" % (LIMIT + 1), {"413"}),
            ("2**31", b"Content-Length: 2147483648", {"413", "400"}),
            ("2**63", b"Content-Length: 9223372036854775808", {"413", "400"}),
            ("2**64", b"Content-Length: 18446744073709551616", {"413", "400"}),
            ("10**30", b"Content-Length: 1" + b"0" * 30, {"413", "400"}),
            ("5000-digits", b"Content-Length: 1" + b"0" * 5000, {"413", "400", "431"}),
            ("and-chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 5", {"400"}),
        )
    )
    data = head(field) + (chunked(random, body) if "chunked" in name else body)
    ending = "may" if "413" in right else "must"
    return HttpCase(name=f"length/{name}", data=data, right=BUSY | right, ending=ending)


@case(5)
def transfer_wrong(random: Random, pool: Pool) -> HttpCase:
    """Transfer codings nobody may send, and chunks that are no chunks."""
    body = random.choice(pool.templates).body
    good = chunked(random, body)
    te = b"Transfer-Encoding: chunked"
    name, data = random.choice(
        (
            ("coding-unknown", head(b"Transfer-Encoding: xchunked") + good),
            ("coding-not-last", head(b"Transfer-Encoding: chunked, gzip") + good),
            ("coding-twice", head(b"Transfer-Encoding: chunked, chunked") + good),
            ("coding-before", head(b"Transfer-Encoding: gzip, chunked") + good),
            ("coding-vtab", head(b"Transfer-Encoding: \x0bchunked") + good),
            ("size-words", head(te) + b"zz\r\nabc\r\n0\r\n\r\n"),
            ("size-negative", head(te) + b"-3\r\nabc\r\n0\r\n\r\n"),
            ("size-prefix", head(te) + b"0x3\r\nabc\r\n0\r\n\r\n"),
            ("size-empty", head(te) + b"\r\nabc\r\n0\r\n\r\n"),
            ("size-2**64", head(te) + b"10000000000000000\r\nabc\r\n0\r\n\r\n"),
            ("size-short", head(te) + b"2\r\nabc\r\n0\r\n\r\n"),
            ("size-spaces", head(te) + b"3 3\r\nabc\r\n0\r\n\r\n"),
            ("no-crlf", head(te) + b"3\r\nabcX0\r\n\r\n"),
            ("bare-lf", head(te) + b"3\nabc\n0\n\n"),
            ("lf-in-extension", head(te) + b"3;a=b\nabc\r\n0\r\n\r\n"),
            ("extension-endless", head(te) + b"3;" + b"e" * 100_000 + b"\r\nabc\r\n0\r\n\r\n"),
        )
    )
    right = BUSY | {"400", "501"}
    return HttpCase(name=f"transfer/{name}", data=data, right=right, ending="must")


@case(5)
def head_wrong(random: Random, pool: Pool) -> HttpCase:
    """One thing is wrong with the request line or a header."""
    body = random.choice(pool.templates).body
    size = length(body)
    name, data = random.choice(
        (
            ("space-before-colon", post(body, b"X-Name : value")),
            ("no-colon", post(body, b"just words")),
            ("empty-name", post(body, b": value")),
            ("nul-in-value", post(body, b"X-Name: a\0b")),
            ("cr-in-value", post(body, b"X-Name: a\rb")),
            ("nul-in-name", post(body, b"X\0Name: value")),
            ("brackets-in-name", post(body, b"X(Name): value")),
            ("version-2", head(size, line=b"POST /v1/metrics HTTP/2.0") + body),
            ("version-9", head(size, line=b"POST /v1/metrics HTTP/9.9") + body),
            ("version-none", head(size, line=b"POST /v1/metrics") + body),
            ("version-words", head(size, line=b"POST /v1/metrics HTTP/one") + body),
            ("version-spaces", head(size, line=b"POST  /v1/metrics HTTP/1.1 x") + body),
            ("method-odd", head(size, line=b"PO(ST /v1/metrics HTTP/1.1") + body),
            ("method-long", head(size, line=b"P" * 10_000 + b" /v1/metrics HTTP/1.1") + body),
            ("no-host", head(size, host=b"") + body),
            ("two-hosts", head(size, b"Host: another") + body),
            ("first-line-folded", post(body).replace(b"\r\nHost", b"\r\n Host", 1)),
            ("no-request", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(60)),
            ("http2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
            ("noise", random.randbytes(300)),
            ("proxy-header", b"PROXY TCP4 10.0.0.1 10.0.0.2 5 6\r\n" + post(body)),
        )
    )
    # RFC 9112 has a server refuse these; where it MAY be lenient, taking the request is right too.
    lenient = {"version-9", "no-host", "two-hosts", "method-odd"}
    right = BUSY | {"400", "404", "405", "431", "414", "501", "505", "close"}
    points = 0
    if name in lenient or name in {"version-2", "nul-in-value", "cr-in-value"}:
        right |= {"200"}
        points = templates.judge(body).points
    return HttpCase(
        name=f"head/{name}",
        data=data,
        right=right,
        points=points,
        ending="may",
        finish="fin" if name in {"no-request", "noise", "http2-preface"} else "",
    )


@case(1)
def head_too_large(random: Random, pool: Pool) -> HttpCase:
    body = random.choice(pool.templates).body
    name, data = random.choice(
        (
            ("line", head(length(body), line=b"POST /" + b"a" * 100_000 + b" HTTP/1.1") + body),
            ("field", post(body, b"X-Long: " + b"y" * 200_000)),
            ("fields", post(body, *(b"X-%d: %s" % (n, b"z" * 100) for n in range(5000)))),
            ("name", post(body, b"n" * 100_000 + b": v")),
        )
    )
    right = BUSY | {"400", "414", "431", "close"}
    return HttpCase(name=f"too-large/{name}", data=data, right=right, ending="must")


@case(2)
def cut_off(random: Random, pool: Pool) -> HttpCase:
    """The client goes away in the middle of something."""
    body = random.choice(pool.templates).body
    whole = random.choice((post(body), head(b"Transfer-Encoding: chunked") + chunked(random, body)))
    data = whole[: random.randrange(1, len(whole))]
    finish = random.choice(("fin", "rst"))
    right = BUSY | {"400", "408", "close"}
    return HttpCase(name=f"cut/{finish}", data=data, right=right, ending="must", finish=finish)


@case(1)
def gone_after_sending(random: Random, pool: Pool) -> HttpCase:
    """A whole request, and nobody waits for the answer; whether it was taken is not known."""
    body = random.choice(pool.templates).body
    return HttpCase(
        name="cut/after-sending",
        data=post(body),
        right=frozenset({"close", "200"}) | BUSY,
        points=templates.judge(body).points,
        ending="must",
        finish="rst",
    )


@case(2)
def old_protocol(random: Random, pool: Pool) -> HttpCase:
    body = random.choice(pool.templates).body
    name, line, field = random.choice(
        (
            ("1.0", b"POST /v1/metrics HTTP/1.0", b""),
            ("1.0-keep-alive", b"POST /v1/metrics HTTP/1.0", b"Connection: keep-alive"),
            ("close", b"POST /v1/metrics HTTP/1.1", b"Connection: close"),
        )
    )
    return HttpCase(
        name=f"connection/{name}",
        data=head(length(body), field, line=line) + body,
        right=BUSY | {"200"},
        points=templates.judge(body).points,
        ending="may" if "alive" in name else "must",
    )


@case(0.5)
def smuggled(random: Random, pool: Pool) -> HttpCase:
    """A second request hides where the first one's body should be; it must never be answered."""
    body = random.choice(pool.templates).body
    hidden = post(body)
    name, data = random.choice(
        (
            ("in-body", post(hidden)),
            (
                "behind-chunks",
                head(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + hidden,
            ),
            (
                "deflated",
                post(zlib.compress(hidden), b"Content-Encoding: deflate"),
            ),
        )
    )
    return HttpCase(
        name=f"smuggled/{name}",
        data=data,
        right=BUSY | {"400"},
        ending="must" if name == "behind-chunks" else "may",
    )


_NAMES = tuple(CASES)
_WEIGHTS = tuple(weight for weight, _ in CASES.values())


def draw(random: Random, pool: Pool) -> HttpCase:
    """Return the case that *random* comes to."""
    return CASES[random.choices(_NAMES, _WEIGHTS)[0]][1](random, pool)
