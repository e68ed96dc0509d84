"""The pure parts under fire, without sockets: any bytes end in a result or a documented error."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from common.service import address
from common.wire import compression, errors, layout, otlp, otlp_json
from tests.fakes import otlp_wire
from tests.fuzz import bodies, encodings, json_bodies
from tests.fuzz.bodies import LIMIT, Pool

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
    judged = bodies.judge(body)
    for name, take in (("plain", otlp.frames), ("recognised", _recogniser().frames)):
        try:
            points = sum(frame.points for frame in take(body))
        except errors.Malformed:
            if judged.owed == "ok":
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
        owed = bodies.judge(inflated).owed
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
    judged = bodies.judge(body)
    return "" if judged.owed == "ok" or len(body) > LIMIT else f"made a request that is {judged}"


@target
def addresses(random: Random, pool: Pool) -> str:  # noqa: ARG001 - all targets are called alike
    text = "".join(random.choices("[]:.%/0123456789abcdefg ١", k=random.randrange(20)))
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
