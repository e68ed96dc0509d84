"""The pure parts under fire, without sockets: any bytes end in a result or a documented error."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from common.service import address
from common.wire import compression, errors, http2, layout, otlp, otlp_json
from gateway.receivers import proxy_protocol
from tests.fakes import otlp_wire
from tests.fuzz import (
    bodies,
    encodings,
    expositions as scraped,
    grpc_cases,
    http2_cases,
    http2_wire as h2,
    json_bodies,
    scrapes,
    templates,
)
from tests.fuzz.grpc_cases import Data
from tests.fuzz.templates import LIMIT, Pool

Target = Callable[[Random, Pool], str]
"""Returns what is wrong, in words; empty: nothing."""

TARGETS: dict[str, Target] = {}


def target(made: Target) -> Target:
    TARGETS[made.__name__.strip("_").replace("_", "-")] = made
    return made


@cache
def _recogniser() -> layout.Recogniser:
    return layout.Recogniser(1 << 20, 7)


@target
def frames(random: Random, pool: Pool) -> str:
    """Both ways to take a request apart, against what upb says of it."""
    _, body = bodies.draw(random, pool)
    judged = templates.judge(body)
    for name, take in (("plain", otlp.frames), ("recognised", _recogniser().frames)):
        try:
            points = sum(frame.points + frame.refused for frame in take(body))
        except errors.Malformed as error:
            if judged.owed == "ok" and not templates.stricter(str(error)):
                return f"{name}: malformed, upb takes it with {judged.points} points"
        else:
            if judged.owed == "bad" or (judged.owed == "ok" and points != judged.points):
                return f"{name}: {points} points, upb says {judged}"
    return ""


@target
def inflating(random: Random, pool: Pool) -> str:
    _, encoding, body, judged = encodings.draw(random, pool)
    if random.random() < 0.3:
        body, judged = otlp_wire.damaged(body, random), None
    try:
        inflated = compression.inflate(body, encoding.decode(), LIMIT)
    except errors.TooLarge:
        owed = "large"
    except errors.Malformed:
        owed = "bad"
    else:
        if len(inflated) > LIMIT:
            return f"{encoding!r}: {len(inflated)} bytes, the limit is {LIMIT}"
        owed = templates.judge(inflated).owed
    if judged is not None and judged.owed != owed:
        return f"{encoding!r}: {owed}, owed is {judged.owed}"
    return ""


@target
def from_json(random: Random, pool: Pool) -> str:
    _, text = json_bodies.draw(random, pool)
    try:
        body = otlp_json.to_protobuf(text)
    except errors.Malformed:
        return ""
    judged = templates.judge(body)
    return "" if judged.owed == "ok" or len(body) > LIMIT else f"made a request that is {judged}"


@target
def http2_server(random: Random, pool: Pool) -> str:
    """One connection, whole and in pieces: the same events, and the same frames in answer."""
    data = h2.PREFACE + h2.settings() + _frames(random, pool)
    if random.random() < 0.3:
        data = otlp_wire.damaged(data, random)
    whole, pieces = http2.Server(http2.Limits()), http2.Server(http2.Limits())
    events = [type(event).__name__ for event in whole.receive(data, 0.0)]
    at, found = 0, []
    while at < len(data):
        step = random.choice((1, 3, 9, 100, 5000))
        found += [type(event).__name__ for event in pieces.receive(data[at : at + step], 0.0)]
        at += step
    if _without_pieces(events) != _without_pieces(found):
        return f"{events[-5:]} in one go, {found[-5:]} in pieces"
    if (whole.failed is None) != (pieces.failed is None):
        return f"failed: {whole.failed} in one go, {pieces.failed} in pieces"
    sent = whole.outgoing()
    if sent != pieces.outgoing():
        return "answers differ between one go and pieces"
    return f"{len(sent)} bytes in answer" if len(sent) > 20 * len(data) + 1000 else ""


def _frames(random: Random, pool: Pool) -> bytes:
    if random.random() < 0.5:
        case = http2_cases.draw(random)
        return h2.headers(1) + case.data if case.opened else case.data
    out = bytearray()
    for number in range(1, 2 * random.randrange(1, 6), 2):
        for piece in grpc_cases.draw(random, pool).pieces:
            if isinstance(piece, Data):
                for at in range(0, len(piece.payload) or 1, 16_384):
                    part = piece.payload[at : at + 16_384]
                    last = piece.ended and at + 16_384 >= len(piece.payload)
                    out += h2.frame(h2.DATA, last, number, part)
            else:
                out += piece.on(number)
    return bytes(out)


def _without_pieces(events: list[str]) -> list[str]:
    """Leave out DataCame: how a body is cut is nobody's business."""
    return [event for event in events if event != "DataCame"]


@target
def proxy_header(random: Random, pool: Pool) -> str:  # noqa: ARG001 - all targets are called alike
    """Whatever a load balancer says, any beginning of it is a beginning."""
    addresses = random.randbytes(random.choice((0, 11, 12, 36, 216, 300)))
    size = random.choice((len(addresses), len(addresses), 0, 65_535))
    kinds = bytes((random.choice((0x20, 0x21, 0x2F, 0x11)), random.choice((0x11, 0x21, 0x31, 0))))
    text = random.choice(
        (
            b"PROXY TCP4 10.0.0.1 10.0.0.2 5 6\r\n",
            b"PROXY TCP6 ::1 ::2 65535 1\r\n",
            b"PROXY UNKNOWN\r\n",
            b"PROXY TCP4 999.0.0.1 1 2 3\r\n",
            b"PROXY " + b"x" * 200,
            b"\r\n\r\n\0\r\nQUIT\n" + kinds + size.to_bytes(2) + addresses,
        )
    )
    if random.random() < 0.5:
        text = otlp_wire.damaged(text, random)
    parsed = proxy_protocol.parse(text + b"behind")
    if isinstance(parsed, proxy_protocol.Header):
        for at in range(parsed.length):
            if not isinstance(proxy_protocol.parse(text[:at]), proxy_protocol.NeedMore):
                return f"{text[:60]!r}: {at} bytes of {parsed.length} are no beginning"
    return ""


@target
def expositions(random: Random, pool: Pool) -> str:  # noqa: ARG001 - all targets are called alike
    """What targets expose, to the agent's parsers and their fast paths."""
    return scraped.check(random)


@target
def histories(random: Random, pool: Pool) -> str:  # noqa: ARG001 - all targets are called alike
    """What targets expose from scrape to scrape, to what the agent remembers of them."""
    return scrapes.check(random)


@target
def addresses(random: Random, pool: Pool) -> str:  # noqa: ARG001 - all targets are called alike
    text = "".join(random.choices("[]:.%/0123456789abcdefg \u0661", k=random.randrange(20)))
    try:
        address.parse(text)
    except ValueError:
        return ""
    return ""


def run(seed: int, count: int) -> list[dict[str, Any]]:
    """Run *count* cases spread over all targets; return what was found, an exception included."""
    pool = Pool(seed)
    names = list(TARGETS)
    found: list[dict[str, Any]] = []
    for index in range(count):
        name = names[index % len(names)]
        try:
            words = TARGETS[name](Random(f"{seed} {name} {index}"), pool)
        except Exception as error:  # noqa: BLE001 - whatever escapes is what is looked for
            words = f"{type(error).__name__}: {error}"
        if words:
            found.append({"target": name, "seed": seed, "case": index, "what": words[:500]})
    return found
