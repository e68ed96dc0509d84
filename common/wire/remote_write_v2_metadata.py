"""What a remote write 2.0 request says of its metrics: type, help and unit, with each series.

Sources: "Prometheus Remote-Write 2.0 specification", message Metadata; prometheus/prompb,
MetricMetadata, which has the same for a family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from common.wire import protobuf
from common.wire.remote_write_v2_symbols import EMPTY, References, symbol

_SUFFIXES: Final = (b"_bucket", b"_sum", b"_count")
_COMPOSITE: Final = frozenset({3, 4, 5})  # types whose series are called otherwise than the family


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A MetricMetadata; help and unit as symbols."""

    name: bytes
    kind: int
    description: bytes
    unit: bytes


@final
class Metadata(dict[bytes, bytes]):
    """The field ``metadata`` of series, by their names, made when first asked for."""

    __slots__ = ("_families", "_references")

    def __init__(self, families: Mapping[bytes, Family], references: References) -> None:
        super().__init__()
        self._families, self._references = families, references

    def __missing__(self, name: bytes) -> bytes:
        made = self[name] = self._made(name)
        return made

    def _made(self, name: bytes) -> bytes:
        family = self._family(name)
        if family is None:
            return b""
        # message Metadata { MetricType type = 1; uint32 help_ref = 3; uint32 unit_ref = 4; }
        parts = [b"\x08" + protobuf.varint(family.kind)] if family.kind else []
        for tag, text in ((b"\x18", family.description), (b"\x20", family.unit)):
            if text != EMPTY:
                parts.append(tag + self._references.reference(text))
        return protobuf.framed(5, b"".join(parts)) if parts else b""

    def _family(self, name: bytes) -> Family | None:
        """Return the family of the series called *name*: its own before that of a histogram."""
        found = self._families.get(name)
        for suffix in () if found else _SUFFIXES:
            if name.endswith(suffix):
                found = self._families.get(name.removesuffix(suffix))
                return found if found and found.kind in _COMPOSITE else None
        return found


def read(raw: bytes) -> Family:
    """Read an encoded MetricMetadata; raises `errors.Malformed` if it is none."""
    # message MetricMetadata {
    #   MetricType type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
    kind = 0
    texts: dict[int, bytes] = {}
    for number, wire_type, _, at, end in protobuf.fields(raw):
        if (number, wire_type) == (1, protobuf.VARINT):
            kind = protobuf.read_varint(raw, at)[0]
        elif wire_type == protobuf.BYTES:
            texts[number] = raw[at:end]
    return Family(
        name=texts.get(2, b""),
        kind=kind,
        description=symbol(texts.get(4, b"")),
        unit=symbol(texts.get(5, b"")),
    )
