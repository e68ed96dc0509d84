"""What the samples of one name are to their family: a part of it, by its type and their suffix."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from agent.exposition import model

UNKNOWN: Final = b"unknown"
"""The type of what has none, or one that its samples do not fit."""

TARGET: Final = b"target_info"
"""The metric whose labels describe the target itself."""


class Part(Enum):
    """The parts that a family has."""

    NUMBER = "number"  # a series that is a point of its own
    STEP = "step"  # a bucket or a quantile, if its label says which
    SUM = "sum"
    COUNT = "count"
    CREATED = "created"  # since when the points of the same labels count
    NATIVE = "native"  # a native histogram, if `model.Exposition.natives` knows the sample
    TARGET = "target"  # labels that describe the target
    UNSUPPORTED = "unsupported"  # nothing that OTLP can express


class Role(NamedTuple):
    """What samples of one name are."""

    part: Part
    metric: bytes  # the name of what they become a part of
    family: bytes  # whose type, help and unit are theirs
    type: bytes  # Prometheus' word


# By the type of the family, then by what its samples are called behind the last underscore. Text
# has neither info nor created timestamps: there such names are series like any other.
_TEXT = {
    b"counter": {b"total": Part.NUMBER},
    b"histogram": {b"bucket": Part.STEP, b"sum": Part.SUM, b"count": Part.COUNT},
    b"summary": {b"sum": Part.SUM, b"count": Part.COUNT},
}
_OTHERS = {
    **{word: {**parts, b"created": Part.CREATED} for word, parts in _TEXT.items()},
    b"info": {b"info": Part.NUMBER},
    # OpenMetrics says gcount and gsum, Prometheus reads a gauge histogram of protobuf as any other.
    b"gaugehistogram": dict.fromkeys(
        (b"bucket", b"gcount", b"gsum", b"count", b"sum"), Part.UNSUPPORTED
    ),
}
_NUMBERS = frozenset((b"counter", b"gauge", b"info", b"stateset"))
_NOTHING = model.Family()


def role(name: bytes, families: Mapping[bytes, model.Family], written: model.Format) -> Role:
    """Tell the role of the samples called *name* in an exposition of format *written*.

    A type for the very name wins. After that the name may be that of a part of a family whose name
    is shorter, which is how OpenMetrics names them, or of a counter whose text has the type without
    ``_total``.
    """
    found = _role(name, families, written)
    if name == TARGET and found.part is Part.NUMBER:
        return found._replace(part=Part.TARGET)
    return found


def _role(name: bytes, families: Mapping[bytes, model.Family], written: model.Format) -> Role:
    word = families.get(name, _NOTHING).type
    if word in _NUMBERS:
        return Role(Part.NUMBER, name, name, word)
    if word == b"summary":
        return Role(Part.STEP, name, name, word)
    if word == b"histogram" and written is model.Format.PROTOBUF:
        return Role(Part.NATIVE, name, name, word)
    if word == b"gaugehistogram":
        return Role(Part.UNSUPPORTED, name, name, word)
    if not word:
        family, _, suffix = name.rpartition(b"_")
        word = families.get(family, _NOTHING).type
        parts = _TEXT if written is model.Format.TEXT else _OTHERS
        part = parts.get(word, {}).get(suffix)
        if part is not None:
            return Role(part, name if part is Part.NUMBER else family, family, word)
    return Role(Part.NUMBER, name, name, UNKNOWN)
