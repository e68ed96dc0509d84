"""Labels of a series: attributes become labels once, and a set of names is put in order once.

Source: remote write 1.0 (labels sorted by name, unique, without empty values) and the compatibility
specification of OpenTelemetry (attributes that become the same label are joined). Both tables are
bounded in bytes. An attribute is looked up by its encoded KeyValue: 0.1 µs against 2 µs for
decoding, translating and encoding it, and nearly all attributes of new series are old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

from google.protobuf import message
from opentelemetry.proto.common.v1 import common_pb2

from common.wire import errors, memo, prometheus_names, remote_write_series, remote_write_text
from common.wire.prometheus_names import Naming

NAME: Final = "__name__"

Pair: TypeAlias = tuple[str, bytes]
"""A label's name and the encoded Label; the name is empty where an attribute makes no label."""

Names: TypeAlias = tuple[str, ...]
Order: TypeAlias = Callable[[Sequence[bytes]], tuple[bytes, ...]]
_NOTHING: Final[Pair] = ("", b"")
_OVERHEAD: Final = 300  # bytes of Python objects around a remembered attribute
_MAX_ORDERS: Final = 8  # per name of series; nearly all have one set of keys, in one order


class Labeller:
    """Turn encoded attributes into labels, remembering up to *max_bytes*.

    Heads are for samples with a start if they are *started*.

    The memory has two halves: when the younger one is full it becomes the old one, and what is
    asked for again moves back. Its hits are a mere dict's, 0.06 µs where `memo.Memo` takes 0.3,
    five times a point.
    """

    __slots__ = ("_half", "_naming", "_old", "_orders", "_size", "_young", "head", "overridden")

    def __init__(self, max_bytes: int, naming: Naming, *, started: bool) -> None:
        self._naming = naming
        self.head: Callable[[bytes], bytes] = (
            remote_write_series.started_head if started else remote_write_series.head
        )
        """What makes the head of a series of its encoded labels."""
        self.overridden = False
        """Whether an attribute of a point has ever taken the place of a weak label."""
        self._orders: memo.Memo[tuple[Names, Names], Order | None] = memo.Memo(max_bytes // 4)
        self._half = (max_bytes - self._orders.max_bytes) // 2
        self._size = 0
        self._young: dict[bytes, Pair] = {}
        self._old: dict[bytes, Pair] = {}

    def pair(self, attribute: bytes) -> Pair:
        """Return the label of an encoded KeyValue; raises `errors.Malformed` if it is none."""
        return self._young.get(attribute) or self._learn(attribute)

    def unique(self, attributes: Iterable[bytes]) -> dict[str, bytes]:
        """Return the encoded labels by name: values of colliding keys are joined with ``;``.

        They are joined in the order of the original keys. Raises `errors.Malformed`.
        """
        return {
            name: remote_write_series.label(name, text)
            for name, text in texts(attributes, self._naming).items()
        }

    def order(self, layers: Layers, names: Names) -> Order | None:
        """Return what puts a series' labels in order; None if *names* collide among themselves.

        The order picks from (nothing, the slot's label, the fixed labels, one label for each of
        *names*): sorted by name, and of equal names the one of the highest layer.
        """
        order = self._orders.get((layers.signature, names))
        if order is None:
            order = _order(layers, names)
            weak = layers.signature[2 : 2 + layers.weak]
            self.overridden = self.overridden or not frozenset(weak).isdisjoint(names)
            cost = _OVERHEAD + 16 * (len(layers.signature) + len(names))
            self._orders.put((layers.signature, names), order, cost)
        return order

    def _learn(self, attribute: bytes) -> Pair:
        pair = self._old.get(attribute)
        if pair is None:
            key, value = _read(attribute)
            name = prometheus_names.label_name(key, self._naming)
            makes_one = value and name != NAME
            pair = (name, remote_write_series.label(name, value)) if makes_one else _NOTHING
        cost = _OVERHEAD + len(attribute) + len(pair[1])
        if self._size + cost > self._half:
            self._old, self._young, self._size = self._young, {}, 0
        if cost <= self._half:
            self._young[attribute] = pair
            self._size += cost
        return pair


def texts(attributes: Iterable[bytes], naming: Naming) -> dict[str, str]:
    """Return the values of labels by name, of encoded attributes that may collide.

    Values of one name are joined with ``;`` in the order of the original keys; what would be empty
    or called ``__name__`` is left out. Raises `errors.Malformed`.
    """
    values: dict[str, list[str]] = {}
    for key, value in sorted(map(_read, attributes), key=itemgetter(0)):
        name = prometheus_names.label_name(key, naming)
        if value and name != NAME:
            values.setdefault(name, []).append(value)
    return {name: ";".join(texts) for name, texts in values.items()}


class Layers:
    """The labels that surround the attributes of every series of one name.

    *weak* ones give way to attributes of the same name, attributes give way to *strong* ones and to
    the *slot*: a label, ``le`` or ``quantile``, whose value comes with each series.
    """

    __slots__ = ("_fixed", "_labeller", "_orders", "signature", "weak")

    def __init__(
        self, labeller: Labeller, weak: Mapping[str, bytes], strong: Mapping[str, bytes], slot: str
    ) -> None:
        self._labeller = labeller
        self.weak = len(weak)
        self.signature = (slot, str(len(weak)), *weak, *strong)
        self._fixed = (*weak.values(), *strong.values())
        self._orders: dict[Names, Order] = {}

    def head(self, attributes: Sequence[bytes], slot: bytes = b"") -> bytes:
        """Return the `remote_write_series.head` of the series with these encoded attributes.

        *slot* is the encoded label of the slot, if there is one. Raises `errors.Malformed`.
        """
        pairs = [self._labeller.pair(attribute) for attribute in attributes]
        names = tuple([name for name, _ in pairs])
        order = self._orders.get(names) or self._order(names)
        if order is None:
            return self._ordered(self._labeller.unique(attributes), slot)
        labels = order((b"", slot, *self._fixed, *[label for _, label in pairs]))
        return self._labeller.head(b"".join(labels))

    def head_of_run(self, run: bytes, tag: int) -> bytes | None:
        """Return the head for attributes as they stand in a point, each with *tag* and a length.

        None if there is anything else in *run*, or a length of more than one byte. Slicing it here
        costs half of what upb takes to hand out the same bytes. Raises `errors.Malformed`.
        """
        known = self._labeller.pair
        names: list[str] = []
        parts: list[bytes] = [b"", b"", *self._fixed]
        at, stop = 0, len(run)
        while at < stop - 1:
            size = run[at + 1]
            if run[at] != tag or size > 127:
                return None
            start = at + 2
            at = start + size
            name, label = known(run[start:at])
            names.append(name)
            parts.append(label)
        if at != stop:
            return None
        key = tuple(names)
        order = self._orders.get(key) or self._order(key)
        if order is None:
            return None
        return self._labeller.head(b"".join(order(parts)))

    def _ordered(self, labels: Mapping[str, bytes], slot: bytes) -> bytes:
        order = self._order(tuple(labels))
        if order is None:
            raise RuntimeError(f"BUG: labels {sorted(labels)} collide")
        return self._labeller.head(b"".join(order((b"", slot, *self._fixed, *labels.values()))))

    def _order(self, names: Names) -> Order | None:
        order = self._labeller.order(self, names)
        if order is not None:
            if len(self._orders) >= _MAX_ORDERS:
                self._orders.clear()
            self._orders[names] = order
        return order


def _order(layers: Layers, names: Names) -> Order | None:
    slot, _, *fixed = layers.signature
    attributes = {name: 2 + len(fixed) + i for i, name in enumerate(names) if name}
    if len(attributes) < sum(map(bool, names)):
        return None
    at = {name: 2 + i for i, name in enumerate(fixed[: layers.weak])}
    at |= attributes
    at |= {name: 2 + layers.weak + i for i, name in enumerate(fixed[layers.weak :])}
    if slot:
        at[slot] = 1
    # Index 0 is nothing: with a single index itemgetter would not return a tuple.
    return itemgetter(0, *[at[name] for name in sorted(at)])


def _read(attribute: bytes) -> tuple[str, str]:
    """Return the key of an encoded KeyValue and the text of its value."""
    try:
        pair = common_pb2.KeyValue.FromString(attribute)
    except message.DecodeError as error:
        raise errors.Malformed(f"not a KeyValue: {error}") from error
    return pair.key, remote_write_text.value(pair.value)
