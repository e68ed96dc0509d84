"""OTLP requests of which most have exactly one thing wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from tests.fakes import otlp_wire
from tests.fuzz import wire
from tests.fuzz.templates import LIMIT, Pool, Template

LENGTHS = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70)
BAD_TEXT = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80", b"\xe2\x82")
ODD_DOUBLES = (b"\xff" * 8, bytes(8), struct.pack("<Q", 0x7FF0000000000002), b"\x00" * 7 + b"\x80")

Mutation = Callable[[Random, Pool], bytes]
MUTATIONS: dict[str, Mutation] = {}


def mutation(made: Mutation) -> Mutation:
    MUTATIONS[made.__name__.replace("_", "-")] = made
    return made


def _pick(random: Random, pool: Pool) -> Template:
    return random.choice(pool.templates)


@mutation
def nothing_wrong(random: Random, pool: Pool) -> bytes:
    return _pick(random, pool).body


@mutation
def strange_and_valid(random: Random, pool: Pool) -> bytes:
    return random.choice(pool.strange)


@mutation
def strange_and_damaged(random: Random, pool: Pool) -> bytes:
    return otlp_wire.damaged(random.choice(pool.strange), random)


@mutation
def damaged(random: Random, pool: Pool) -> bytes:
    return otlp_wire.damaged(_pick(random, pool).body, random)


@mutation
def bit_flipped(random: Random, pool: Pool) -> bytes:
    body = bytearray(_pick(random, pool).body)
    body[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return bytes(body)


@mutation
def noise(random: Random, pool: Pool) -> bytes:  # noqa: ARG001 - all mutations are called alike
    return random.randbytes(random.randrange(1, 200))


@mutation
def empty(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    return b""


@mutation
def cut_short(random: Random, pool: Pool) -> bytes:
    body = _pick(random, pool).body
    return body[: random.randrange(len(body))]


@mutation
def field_cut_short(random: Random, pool: Pool) -> bytes:
    """One field ends early, and the lengths around it are true."""
    made = _pick(random, pool)
    f = random.choice(made.fields)
    keep = random.randrange(f.end - f.at)
    return wire.replaced(made.body, f.at, f.end, made.body[f.at : f.at + keep], f.inside)


@mutation
def doubled(random: Random, pool: Pool) -> bytes:
    made = _pick(random, pool)
    f = random.choice(made.fields)
    piece = made.body[f.at : f.end] * random.choice((2, 3, 50))
    return wire.replaced(made.body, f.at, f.end, piece, f.inside)


@mutation
def left_out(random: Random, pool: Pool) -> bytes:
    made = _pick(random, pool)
    f = random.choice(made.fields)
    return wire.replaced(made.body, f.at, f.end, b"", f.inside)


@mutation
def out_of_order(random: Random, pool: Pool) -> bytes:
    """A field moves behind all of its siblings."""
    made = _pick(random, pool)
    f = random.choice(made.fields)
    end = f.inside[-1].end if f.inside else len(made.body)
    body = made.body
    return body[: f.at] + body[f.end : end] + body[f.at : f.end] + body[end:]


@mutation
def length_off_by_one(random: Random, pool: Pool) -> bytes:
    made = _pick(random, pool)
    f = random.choice(made.frames)
    size = max(0, f.end - f.start + random.choice((-1, 1)))
    return wire.replaced(made.body, f.value_at, f.start, wire.varint(size), f.inside)


@mutation
def length_absurd(random: Random, pool: Pool) -> bytes:
    made = _pick(random, pool)
    f = random.choice(made.frames)
    size = wire.varint(random.choice(LENGTHS))
    return wire.replaced(made.body, f.value_at, f.start, size, f.inside)


@mutation
def length_not_minimal(random: Random, pool: Pool) -> bytes:
    """The length has more bytes than it needs, which is valid up to ten (upb: five)."""
    made = _pick(random, pool)
    f = random.choice(made.frames)
    size = bytearray(wire.varint(f.end - f.start))
    size[-1] |= 128
    size += b"\x80" * random.randrange(9) + b"\x00"
    return wire.replaced(made.body, f.value_at, f.start, bytes(size), f.inside)


@mutation
def wire_type_changed(random: Random, pool: Pool) -> bytes:
    made = _pick(random, pool)
    f = random.choice(made.fields)
    number = wire.read_varint(made.body, f.at)[0] >> 3
    changed = wire.tag(number, random.choice([t for t in range(8) if t != f.wire_type]))
    return wire.replaced(made.body, f.at, f.value_at, changed, f.inside)


@mutation
def field_number_changed(random: Random, pool: Pool) -> bytes:
    made = _pick(random, pool)
    f = random.choice(made.fields)
    number = random.choice((0, 1, 2, 3, 5, 7, 15, 19_000, 2**29 - 1, 2**29, 2**32, 2**61))
    return wire.replaced(made.body, f.at, f.value_at, wire.tag(number, f.wire_type), f.inside)


@mutation
def text_not_utf8(random: Random, pool: Pool) -> bytes:
    made = _pick(random, pool)
    f = random.choice(made.strings)
    text = bytearray(made.body[f.start : f.end])
    at = random.randrange(len(text) + 1)
    text[at:at] = random.choice(BAD_TEXT)
    new = wire.varint(len(text)) + bytes(text)
    return wire.replaced(made.body, f.value_at, f.end, new, f.inside)


@mutation
def text_odd(random: Random, pool: Pool) -> bytes:
    """A string that is valid and that nobody expects: empty, NUL, quotes, emoji, very long."""
    made = _pick(random, pool)
    f = random.choice(made.strings)
    text = random.choice((b"", b"\0", b'"\\\n', "😀é".encode(), b"x" * 20_000, b"__name__"))
    return wire.replaced(made.body, f.value_at, f.end, wire.varint(len(text)) + text, f.inside)


@mutation
def number_odd(random: Random, pool: Pool) -> bytes:
    made = _pick(random, pool)
    f = random.choice([f for f in made.fields if f.wire_type in (0, 1)])
    if f.wire_type == 1:
        new = random.choice(ODD_DOUBLES)
    else:
        new = wire.varint(random.choice((0, *LENGTHS)))
    return wire.replaced(made.body, f.value_at, f.end, new, f.inside)


@mutation
def packed_ragged(random: Random, pool: Pool) -> bytes:
    """Packed doubles whose bytes are no multiple of eight."""
    made = _pick(random, pool)
    point = wire.framed(6, bytes(random.choice((1, 7, 9, 12))))
    extra = wire.framed(1, wire.framed(2, wire.framed(2, wire.framed(9, wire.framed(1, point)))))
    return made.body + extra


@mutation
def nested_values(random: Random, pool: Pool) -> bytes:
    """An attribute of arrays in arrays: deep enough, or too deep."""
    value = wire.framed(1, b"x")
    for _ in range(random.choice((5, 40, 46, 48, 50, 100, 200, 1000))):
        value = wire.framed(5, wire.framed(1, value))
    attribute = wire.framed(1, wire.framed(1, b"deep") + wire.framed(2, value))
    extra = wire.framed(1, wire.framed(1, attribute))
    return random.choice((extra, extra + _pick(random, pool).body))


@mutation
def nested_groups(random: Random, pool: Pool) -> bytes:
    depth = random.choice((1, 50, 99, 100, 101, 5000))
    start, end = wire.tag(15, 3), wire.tag(15, 4)
    match random.randrange(3):
        case 0:
            group = start * depth + end * depth
        case 1:
            group = start * depth + end * (depth - 1)
        case _:
            group = start * depth + wire.tag(14, 4) * depth
    made = _pick(random, pool)
    f = random.choice(made.fields)
    return wire.replaced(made.body, f.at, f.at, group, f.inside)


@mutation
def many_empty_frames(random: Random, pool: Pool) -> bytes:
    return random.choice((b"\x0a\x00", b"\x0a\x02\x12\x00", b"\x0a\x02\x0a\x00")) * 2000 + (
        _pick(random, pool).body
    )


@mutation
def many_tiny_fields(random: Random, pool: Pool) -> bytes:
    made = _pick(random, pool)
    f = random.choice(made.fields)
    piece = random.choice((b"\x78\x01", b"\x7a\x00", b"\x7d\0\0\0\0")) * random.choice((10, 3000))
    return wire.replaced(made.body, f.at, f.at, piece, f.inside)


@mutation
def trailing_bytes(random: Random, pool: Pool) -> bytes:
    tail = random.choice((b"\0", b"\x80", b"\x0a", b"\x0c", b"\x0a\x7f", b"\xff" * 11))
    return _pick(random, pool).body + tail


@mutation
def known_shape_new_values(random: Random, pool: Pool) -> bytes:
    """The same request again with other bytes in one fixed-width slot."""
    made = random.choice(pool.templates[:8])
    slots = [f for f in made.fields if f.wire_type == 1]
    body = bytearray(made.body)
    for f in slots[: random.randrange(len(slots) + 1)]:
        body[f.start : f.end] = random.randbytes(8)
    return bytes(body)


@mutation
def over_the_limit(random: Random, pool: Pool) -> bytes:
    body = _pick(random, pool).body
    padding = LIMIT - len(body) + random.choice((-20, 1, 1000))
    return body + wire.framed(15, bytes(max(0, padding)))


RARE = {"over-the-limit": 0.05, "many-empty-frames": 0.2, "many-tiny-fields": 0.3}
_NAMES = tuple(MUTATIONS)
_WEIGHTS = tuple(RARE.get(name, 1.0) for name in _NAMES)


def draw(random: Random, pool: Pool) -> tuple[str, bytes]:
    """Return the name of a mutation and a body made by it."""
    name = random.choices(_NAMES, _WEIGHTS)[0]
    return name, MUTATIONS[name](random, pool)
