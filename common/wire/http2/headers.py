"""Header blocks: decoding with a memory for the usual ones, and encoding without any state.

Source: RFC 7541.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from hpack.table import HeaderTable

from common.wire.http2 import fields, frames
from common.wire.http2.codes import Broken, Code
from common.wire.http2.heads import Fields, Head

TABLE_SIZE_ZERO: Final = b"\x20"  # RFC 7541 section 6.3: from now on no dynamic table
HARD_LIMIT: Final = 4  # times the limit of a header list: what costs the connection

_MAX_MEMOS: Final = 32  # header blocks of one connection; their bytes are bounded by their limit
_NEVER_INDEXED: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization"))

Kind: TypeAlias = Callable[[Fields], Head]
"""`heads.request`, `heads.response` or `heads.trailers`."""


class Decoder:
    """Decodes the header blocks of one connection, each once and in order.

    A block that leaves the dynamic table as it was means the same when it comes again, for as long
    as the table stays so: the Head is remembered by the block's bytes. Clients repeat themselves,
    so this is the usual case: a lookup.
    """

    __slots__ = ("_max_bytes", "_max_table", "_memo", "_table", "hits", "misses")

    def __init__(self, max_header_bytes: int) -> None:
        # A list a little too long costs its stream, so it must be decoded for the table's sake.
        self._max_bytes = HARD_LIMIT * max_header_bytes
        self._max_table = frames.DEFAULT_TABLE_BYTES
        self._table = HeaderTable()
        self._memo: dict[tuple[Kind, bytes], Head] = {}
        self.hits = self.misses = 0

    def allow_table(self, size: int) -> None:
        """Let the peer use *size* bytes for its table: our setting, which it has acknowledged."""
        if size != self._max_table:
            self._max_table = size
            self._memo.clear()

    def decode(self, block: bytes, kind: Kind) -> Head:
        """Return the Head of *block*; raises `Broken`, after which nothing can be decoded."""
        head = self._memo.get((kind, block))
        if head is not None:
            self.hits += 1
            return head
        self.misses += 1
        before = self._state()
        try:
            found = fields.decode(block, self._table, self._max_table, self._max_bytes)
        except fields.TooLong as error:
            words = f"{error}; send fewer or shorter headers"
            raise Broken(Code.ENHANCE_YOUR_CALM, words, "header_list") from error
        except fields.Undecodable as error:
            words = f"a header block that cannot be decoded: {str(error)[:200]}"
            raise Broken(Code.COMPRESSION_ERROR, words, "compression") from error
        head = kind(found)
        if self._changed(before):
            self._memo.clear()
        else:
            if len(self._memo) >= _MAX_MEMOS:
                self._memo.clear()
            self._memo[kind, block] = head
        return head

    def _state(self) -> tuple[int, int, object]:
        entries = self._table.dynamic_entries
        return self._table.maxsize, len(entries), entries[0] if entries else None

    def _changed(self, before: tuple[int, int, object]) -> bool:
        """Say whether the table is no longer as it was *before*.

        An addition puts a new tuple in front (by identity: *before* keeps the old one alive), an
        eviction without one shortens the table.
        """
        size, entries, first = self._state()
        return size != before[0] or entries != before[1] or first is not before[2]


def encode(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Encode *headers* so that no table is needed to read them, nor changed by it.

    Static table entries by index, everything else as literals without indexing (credentials never
    to be indexed), plain rather than Huffman: to be encoded once and sent for ever.
    """
    out = bytearray()
    mapping = HeaderTable.STATIC_TABLE_MAPPING
    for name, value in headers:
        index, by_value = mapping.get(name, (0, {}))
        exact = by_value.get(value)
        if exact is not None:
            out += _integer(exact, 7, 0x80)
            continue
        out += _integer(index, 4, 0x10 if name in _NEVER_INDEXED else 0x00)
        if not index:
            out += _integer(len(name), 7, 0)
            out += name
        out += _integer(len(value), 7, 0)
        out += value
    return bytes(out)


def _integer(value: int, bits: int, pattern: int) -> bytes:
    """Encode *value* with a prefix of *bits* bits beside *pattern* (RFC 7541 section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((pattern | value,))
    out = bytearray((pattern | most,))
    value -= most
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
