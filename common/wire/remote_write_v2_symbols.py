"""The symbols of a remote write 2.0 request, and what the labels of series consist of.

Source: "Prometheus Remote-Write 2.0 specification", io.prometheus.write.v2.Request: every text is
in ``repeated string symbols = 4`` once, and everything else refers to it by its position. The first
symbol is the empty text.

A text is kept as the field that it becomes, so that a request's symbols are joined as they are, and
a reference as the varint that it is everywhere: in packed ``labels_refs`` and behind a tag.
"""

from __future__ import annotations

from typing import Final, final

from common.wire import errors, protobuf

EMPTY: Final = b"\x22\x00"
"""The symbol that is always there: no text."""

_NAME: Final = b"\x0a\x08__name__\x12"  # Label { string name = 1; string value = 2; }
_PAIR_BYTES: Final = 250  # of Python objects around the texts of a pair
_GROUP_BYTES: Final = 200  # around a group
_SERIES_BYTES: Final = 220  # around the labels of a series
_REFERENCE_BYTES: Final = 8
_FEW: Final = 16384
_VARINTS: Final = tuple(map(protobuf.varint, range(_FEW)))  # 0.05 µs each instead of 0.2


def symbol(text: bytes) -> bytes:
    """Encode *text*, UTF-8, as the symbol that it becomes."""
    return protobuf.framed(4, text)


@final
class Pair:
    """Name and value of a label, as symbols. Compared by identity: there is one of each."""

    __slots__ = ("name", "text", "value")

    def __init__(self, name: bytes, value: bytes, text: bytes) -> None:
        self.name, self.value = name, value
        self.text = text
        """The value as it is."""


@final
class Group:
    """Labels that follow one another in many a series. Compared by identity, as pairs are."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: tuple[Pair, ...]) -> None:
        self.pairs = pairs


@final
class Labels:
    """The labels of a series: the first one, if that is its name, and the rest.

    That is what a series shares with those of other names; so there is little to look up.
    """

    __slots__ = ("called", "first", "rest")

    def __init__(self, called: bytes, first: Pair | Group, rest: Group) -> None:
        self.called = called
        """The value of ``__name__``; empty without one."""
        self.first = first
        """A group of none if the name is among the rest, as behind a label in capitals."""
        self.rest = rest


_NONE: Final = Group(())


@final
class References(dict[Pair | Group, bytes]):
    """The references of labels in one request, name and value, made when first asked for.

    Looking up with ``[]`` is all there is to using it: what is known costs no call into Python.
    """

    __slots__ = ("symbols",)

    def __init__(self) -> None:
        super().__init__()
        self.symbols: dict[bytes, bytes] = {EMPTY: b"\0"}
        """The request's symbols in their order, with the varint of their position."""

    def __missing__(self, part: Pair | Group) -> bytes:
        if isinstance(part, Group):
            made = b"".join(map(self.__getitem__, part.pairs))
        else:
            symbols = self.symbols
            # As `reference` does it, which would cost a series with a text of its own a tenth more.
            name = symbols.get(part.name) or self.reference(part.name)
            value = symbols.get(part.value)
            if value is None:
                size = len(symbols)
                value = _VARINTS[size] if size < _FEW else protobuf.varint(size)
                symbols[part.value] = value
            made = name + value
        self[part] = made
        return made

    def reference(self, symbol: bytes) -> bytes:
        """Return the varint by which to refer to *symbol*, which is added if it is new."""
        symbols = self.symbols
        found = symbols.get(symbol)
        if found is None:
            found = symbols[symbol] = protobuf.varint(len(symbols))
        return found


class Book:
    """The labels of series seen lately, by their encoding in remote write 1.0.

    Takes about *max_bytes* at most. Half of it is for series, in two generations: the younger is
    looked up as the plain dict that it is, which costs half of what `memo.Memo` does (0.08 instead
    of 0.17 µs a series); when it is full, it becomes the older, of which those that come
    again move on. The other half is for the pairs and groups that series are made of. When these
    are too many, all is forgotten: only then it is certain that no series holds on to them.
    """

    __slots__ = (
        "_groups", "_old", "_old_bytes", "_pairs", "_parts_bytes", "_young_bytes", "evictions",
        "max_bytes", "young",
    )  # fmt: skip

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.evictions = 0
        """Series forgotten for lack of room."""
        self.young: dict[bytes, Labels] = {}
        """Where to look first; another one after a call of `find`."""
        self._old: dict[bytes, Labels] = {}
        self._pairs: dict[bytes, Pair] = {}
        self._groups: dict[bytes, Group] = {}
        self._young_bytes = self._old_bytes = self._parts_bytes = 0

    @property
    def size(self) -> int:
        """Bytes held now."""
        return self._young_bytes + self._old_bytes + self._parts_bytes

    def find(self, labels: bytes) -> Labels | None:
        """Look up encoded *labels* that are not in `young`, or read them; remember them there.

        They are fields 1 of a TimeSeries and nothing else; returns ``None`` if there is anything
        else in them, or nothing at all. Raises `errors.Malformed` if they are cut short or one of
        them is no Label.
        """
        if self._parts_bytes > self.max_bytes // 2:
            self._forget()
        found = self._old.pop(labels, None)
        cost = _SERIES_BYTES + len(labels)
        if found is not None:
            self._old_bytes -= cost
        else:
            found = self._read(labels)
            if found is None:
                return None
        if self._young_bytes + cost > self.max_bytes // 4:
            self.evictions += len(self._old)
            self._old, self._old_bytes = self.young, self._young_bytes
            self.young, self._young_bytes = {}, 0
        self.young[labels] = found
        self._young_bytes += cost
        return found

    def _read(self, labels: bytes) -> Labels | None:
        at = 0
        if labels.startswith(_NAME, 2) and labels[0] == 0x0A and labels[1] < 128:
            at = 2 + labels[1]  # behind the name
            if at > len(labels):
                return None  # it goes on in what was taken for a sample
        group = self._groups.get(labels[at:]) or self._group(labels[at:])
        if group is None:
            return None
        if at:
            pair = self._pair(labels[2:at])
            return Labels(pair.text, pair, group)
        if not group.pairs:
            return None
        names = [pair.text for pair in group.pairs if pair.name == _NAME_SYMBOL]
        return Labels(b"".join(names[-1:]), _NONE, group)

    def _group(self, labels: bytes) -> Group | None:
        spans = protobuf.fields(labels)
        if any(field[:2] != (1, protobuf.BYTES) for field in spans):
            return None
        pairs = [self._pair(labels[at:end]) for _, _, _, at, end in spans]
        found = self._groups[labels] = Group(tuple(pairs))
        self._parts_bytes += _GROUP_BYTES + len(labels) + _REFERENCE_BYTES * len(pairs)
        return found

    def _pair(self, raw: bytes) -> Pair:
        pair = self._pairs.get(raw)
        if pair is None:
            pair = self._pairs[raw] = _read_pair(raw)
            self._parts_bytes += _PAIR_BYTES + 3 * len(raw)
        return pair

    def _forget(self) -> None:
        self.evictions += len(self.young) + len(self._old)
        self.young, self._old, self._pairs, self._groups = {}, {}, {}, {}
        self._young_bytes = self._old_bytes = self._parts_bytes = 0


_NAME_SYMBOL: Final = symbol(b"__name__")


def _read_pair(raw: bytes) -> Pair:
    name = value = b""
    for number, wire_type, _, at, end in protobuf.fields(raw):
        if wire_type != protobuf.BYTES or number not in {1, 2}:
            raise errors.Malformed(f"field {number} in a label; send name (1) and value (2)")
        if number == 1:
            name = raw[at:end]
        else:
            value = raw[at:end]
    return Pair(symbol(name), symbol(value), value)
