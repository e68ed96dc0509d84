"""What is the same for every body that comes from one resource and scope: labels, names, heads.

Sources: OpenTelemetry's "Prometheus and OpenMetrics compatibility" (resource attributes, scope,
metric metadata) and remote write 1.0. An `Origin` is learnt once and grows with the series seen;
its owner keeps it in a memo bounded in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from google.protobuf import message
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from common.wire import (
    errors,
    remote_write_catalogue,
    remote_write_labels,
    remote_write_series,
    remote_write_text,
)
from common.wire.prometheus_names import Kind
from common.wire.remote_write_catalogue import MetricKey
from common.wire.remote_write_terms import Drop, Options

_IDENTITY: Final = ("service.namespace", "service.name", "service.instance.id")
_BOOK_BYTES: Final = 1_200  # of Python objects, for a metric without series
_ENTRY_BYTES: Final = 250  # of Python objects, for a series


@dataclass(slots=True, kw_only=True)
class Book:
    """What is known about one metric of an origin."""

    kind: Kind
    reason: Drop | None
    """Why all of its points are dropped, if they are."""
    family: str
    metadata: bytes
    layers: tuple[remote_write_labels.Layers, ...]
    """For each name of its series: the family's, or those of the many, the sum and the count."""
    singles: dict[bytes, bytes] = field(default_factory=dict)
    """Heads by the encoded attributes of a number point."""
    composites: dict[tuple[bytes, ...], tuple[bytes, ...]] = field(default_factory=dict)
    """Heads by the encoded attributes and bounds of a histogram or summary."""


class Origin:
    """One resource and one scope, as labels, and the books of its metrics.

    Grows up to about *max_bytes* and then forgets its books. Raises `errors.Malformed` if
    *resource* or *scope* are not what they should be.
    """

    __slots__ = (
        "_base_cost",
        "_catalogue",
        "_labeller",
        "_max_bytes",
        "_strong",
        "_weak",
        "accounted",
        "books",
        "cost",
        "identity",
        "key",
        "promoted",
        "target_info",
    )

    def __init__(
        self,
        resource: bytes,
        scope: bytes,
        *,
        options: Options,
        catalogue: remote_write_catalogue.Catalogue,
        labeller: remote_write_labels.Labeller,
        max_bytes: int,
    ) -> None:
        attributes, texts = _attributes(resource)
        self._catalogue, self._labeller, self._max_bytes = catalogue, labeller, max_bytes
        self.identity = (_job(texts), texts.get("service.instance.id", ""))
        """Job and instance, empty where unknown."""
        own = _labels({"job": self.identity[0], "instance": self.identity[1]})
        external = _labels(dict(options.external_labels))
        # Without an instance the series of many would be one: then more tells whose they are.
        more = () if self.identity[1] else options.promote_without_instance
        promote = frozenset((*options.promote, *more))
        promoted = [a for key, a in attributes if key in promote]
        self.promoted = labeller.unique(promoted)
        """The labels of every series, unless an attribute of a point is called the same."""
        self._weak = external | self.promoted
        self._strong = own | (_scope(scope) if options.scope_labels else {})
        self.target_info = b""
        """The head of this resource's ``target_info``; empty if it has none."""
        others = [a for key, a in attributes if key not in _IDENTITY]
        if options.target_info and own and labeller.unique(others):
            strong = own | _labels({remote_write_labels.NAME: "target_info"})
            layers = remote_write_labels.Layers(labeller, external, strong, "")
            self.target_info = layers.head(others)
        self.books: dict[MetricKey, Book] = {}
        self.key = (resource, scope)
        self.accounted = 0
        """The cost that the owner's memo knows of."""
        self._base_cost = _BOOK_BYTES + 3 * (len(resource) + len(scope)) + len(self.target_info)
        self.cost = self._base_cost
        """About how many bytes of memory this takes, with all its books."""

    def book(self, key: MetricKey) -> Book:
        """Return what is known about a metric, learning it when it is new."""
        return self.books.get(key) or self._learn(key)

    def remember_single(self, book: Book, key: bytes, head: bytes) -> None:
        """Note the head for number points with these encoded attributes."""
        self._grow(len(key) + len(head) + _ENTRY_BYTES, book)
        book.singles[key] = head

    def remember_composite(
        self, book: Book, key: tuple[bytes, ...], heads: tuple[bytes, ...]
    ) -> None:
        """Note the heads for histogram or summary points with these attributes and bounds."""
        self._grow(sum(map(len, key)) + sum(map(len, heads)) + _ENTRY_BYTES * len(heads), book)
        book.composites[key] = heads

    def _learn(self, key: MetricKey) -> Book:
        entry = self._catalogue.entry(key)
        layers = tuple(
            remote_write_labels.Layers(
                self._labeller, self._weak, {**self._strong, remote_write_labels.NAME: name}, slot
            )
            for name, slot in entry.series
        )
        # Labels and names are shared with all who have them; only references are this book's own.
        self._grow(_BOOK_BYTES * len(layers), None)
        reason = None if entry.family else Drop.UNNAMEABLE
        book = Book(
            kind=key[3],
            reason=reason,
            family=entry.family,
            metadata=entry.metadata,
            layers=layers,
        )
        self.books[key] = book
        return book

    def _grow(self, cost: int, book: Book | None) -> None:
        """Account for *cost* more bytes; beyond the bound, forget all but *book*, and empty it."""
        if self.cost + cost > self._max_bytes:
            for known in self.books.values():
                known.singles.clear()
                known.composites.clear()
            self.books = {key: known for key, known in self.books.items() if known is book}
            self.cost = self._base_cost
        self.cost += cost


def _attributes(resource: bytes) -> tuple[list[tuple[str, bytes]], dict[str, str]]:
    """Return the encoded attributes of a Resource with their keys, and the text of each key."""
    try:
        parsed = resource_pb2.Resource.FromString(resource).attributes
    except message.DecodeError as error:
        raise errors.Malformed(f"not a Resource: {error}") from error
    texts: dict[str, str] = {}
    for pair in parsed:
        texts.setdefault(pair.key, remote_write_text.value(pair.value))
    return [(pair.key, pair.SerializeToString()) for pair in parsed], texts


def _job(texts: dict[str, str]) -> str:
    namespace, name = texts.get("service.namespace", ""), texts.get("service.name", "")
    return f"{namespace}/{name}" if namespace and name else name


def _scope(scope: bytes) -> dict[str, bytes]:
    try:
        parsed = common_pb2.InstrumentationScope.FromString(scope)
    except message.DecodeError as error:
        raise errors.Malformed(f"not an InstrumentationScope: {error}") from error
    return _labels({"otel_scope_name": parsed.name, "otel_scope_version": parsed.version})


def _labels(texts: dict[str, str]) -> dict[str, bytes]:
    return {name: remote_write_series.label(name, text) for name, text in texts.items() if text}
