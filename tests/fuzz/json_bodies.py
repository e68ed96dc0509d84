"""OTLP in JSON with one thing wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz.templates import Pool

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**30, "", "x", "1e3", [], {}, [[]], [None], {"a": {}}, "NaN", "-5",
    "9223372036854775808", 2**63, 2**64, float("inf"), "Infinity", "😀", [1] * 100,
)  # fmt: skip
NUMBERS = (b"1e999", b"-0", b"1E5", b"01", b"+1", b".5", b"5.", b"0x1", b"1" * 400, b"NaN", b"-")
BAD_TEXT = (b"\xff", b"\xc0\x80", b"\\ud800", b"\\u12", b"\\x", b"\0", b"\n")

MUTATIONS: dict[str, Callable[[Random, Pool], bytes]] = {}


def mutation(make: Callable[[Random, Pool], bytes]) -> Callable[[Random, Pool], bytes]:
    MUTATIONS[make.__name__.replace("_", "-")] = make
    return make


def _document(random: Random) -> dict[str, Any]:
    point = {
        "timeUnixNano": "1700000000000000000",
        "attributes": [{"key": "a", "value": {"stringValue": "b"}}],
    }
    exemplar = {
        "asDouble": 1,
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
    }
    data: dict[str, Any] = random.choice(
        (
            {"gauge": {"dataPoints": [{**point, "asDouble": 1.5}, {**point, "asInt": "7"}]}},
            {
                "sum": {
                    "dataPoints": [{**point, "asInt": 3, "exemplars": [exemplar]}],
                    "aggregationTemporality": 2,
                    "isMonotonic": True,
                }
            },
            {
                "histogram": {
                    "dataPoints": [
                        {
                            **point,
                            "count": "3",
                            "sum": 4,
                            "bucketCounts": ["1", 2],
                            "explicitBounds": [1],
                        }
                    ],
                    "aggregationTemporality": 2,
                }
            },
            {
                "exponentialHistogram": {
                    "dataPoints": [
                        {
                            **point,
                            "count": 1,
                            "scale": 2,
                            "positive": {"offset": 1, "bucketCounts": ["1"]},
                        }
                    ]
                }
            },
            {
                "summary": {
                    "dataPoints": [{**point, "quantileValues": [{"quantile": 0.5, "value": 1}]}]
                }
            },
        )
    )
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    scope = {"scope": {"name": "s"}, "metrics": [{"name": "m", "unit": "By", **data}]}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]}


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """List every (container, key) inside *value*."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        found.append((value, key))
        if isinstance(value[key], dict | list):
            _places(value[key], found)
    return found


def _written(value: Any) -> bytes:
    return json.dumps(value).encode()


@mutation
def right(random: Random, pool: Pool) -> bytes:  # noqa: ARG001 - all mutations are called alike
    return _written(_document(random))


@mutation
def value_replaced(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    document = _document(random)
    container, key = random.choice(_places(document, []))
    container[key] = random.choice(ODD)
    return _written(document)


@mutation
def key_renamed(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    document = _document(random)
    container, key = random.choice([p for p in _places(document, []) if isinstance(p[0], dict)])
    container[random.choice(("", "x", key.lower(), "data_points", "__proto__"))] = container.pop(
        key
    )
    return _written(document)


@mutation
def key_doubled(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    text = _written(_document(random))
    name = random.choice((b'"metrics": ', b'"name": ', b'"dataPoints": ', b'"attributes": '))
    return text.replace(name, name + b"[], " + name, 1)


@mutation
def unknown_fields(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    document = _document(random)
    for container, _ in _places(document, []):
        if isinstance(container, dict) and random.random() < 0.3:
            container["unknown"] = random.choice(ODD)
    return _written(document)


@mutation
def token_damaged(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    text = bytearray(_written(_document(random)))
    at = random.randrange(len(text))
    match random.randrange(3):
        case 0:
            del text[at]
        case 1:
            text[at] = random.choice(b'{}[]",:0n\\ \xff')
        case _:
            text[at:at] = random.choice((*BAD_TEXT, b",", b'"', b"}", b"//", b"/**/"))
    return bytes(text)


@mutation
def number_odd(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    return (
        _written(_document(random))
        .replace(b"1.5", random.choice(NUMBERS))
        .replace(b'"asInt": 3', b'"asInt": ' + random.choice(NUMBERS))
    )


@mutation
def cut_short(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    text = _written(_document(random))
    return text[: random.randrange(len(text))]


@mutation
def nested(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    depth = random.choice((20, 90, 100, 200, 5000, 50_000))
    opened, closed = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")))
    inner = b"1" if closed else b""
    value = opened * depth + inner + closed * depth
    if random.random() < 0.5:
        return b'{"unknown": ' + value + b', "resourceMetrics": []}'
    return _written(_document(random)).replace(b'{"stringValue": "b"}', value)


@mutation
def nested_values(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    depth = random.choice((5, 20, 40, 60, 200, 2000))
    value = b'{"arrayValue":{"values":[' * depth + b'{"intValue":1}' + b"]}}" * depth
    return _written(_document(random)).replace(b'{"stringValue": "b"}', value)


@mutation
def not_an_object(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    return random.choice(
        (
            b"null",
            b"[]",
            b"1",
            b'"x"',
            b"",
            b" ",
            b"\xef\xbb\xbf{}",
            b"{}{}",
            b"{},",
            b"\xff\xfe{\0}\0",
        )
    )


@mutation
def utf16(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    return json.dumps(_document(random)).encode("utf-16")


@mutation
def ids_odd(random: Random, pool: Pool) -> bytes:  # noqa: ARG001
    bad = random.choice((b"5b", b"zz" * 16, b"", b"5B8EFFF798038103D269B633813FC60C", b"a" * 1000))
    return _written(_document(random)).replace(b"5b8efff798038103d269b633813fc60c", bad)


_NAMES = tuple(MUTATIONS)


def draw(random: Random, pool: Pool) -> tuple[str, bytes]:
    """Return the name of a mutation and a body made by it."""
    name = random.choice(_NAMES)
    return name, MUTATIONS[name](random, pool)
