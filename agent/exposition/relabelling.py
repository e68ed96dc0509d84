"""The labels of a series as stored: the target's own, and the exposed ones that make room."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TypeAlias

from agent.exposition import grammar

_Order: TypeAlias = Callable[[grammar.Labels], grammar.Labels]


class Relabelled(dict[grammar.Labels, grammar.Labels]):
    """From exposed labels to stored ones: sorted by name, empty values left out.

    The names ``job`` and ``instance``, which live in the resource, and those of the labels that the
    target adds are its own: an exposed label of such a name is kept as ``exported_<name>``, the
    prefix repeated until the name is free (``honor_labels: false``).

    A lookup computes what it does not find, because many series share their labels; all results are
    kept, so one of these lives as long as the translation of one body.
    """

    __slots__ = ("_added", "_orders", "own", "reserved")

    def __init__(self, added: grammar.Labels) -> None:
        super().__init__()
        self._added = {name: value for name, value in added if value}
        self._orders: dict[tuple[bytes, ...], _Order | None] = {}  # by names
        self.own: grammar.Labels = tuple(sorted(self._added.items()))
        """The labels of a series that exposes none."""
        self.reserved = frozenset((b"job", b"instance", *self._added))
        """The names that are the target's own."""

    def __missing__(self, exposed: grammar.Labels) -> grammar.Labels:
        """Compute, and keep, what *exposed* becomes."""
        order = None
        if exposed:
            # Whole families have the same names, in the same order.
            names, values = zip(*exposed, strict=True)
            if names not in self._orders:
                self._orders[names] = self._order(names)
            order = None if b"" in values else self._orders[names]
        labels = self._moved(exposed) if order is None else order(exposed + self.own)
        self[exposed] = labels
        return labels

    def _order(self, names: tuple[bytes, ...]) -> _Order | None:
        # How labels of these names, and those that the target adds, are sorted; None if any moves.
        if not self.reserved.isdisjoint(names):
            return None
        every = [*names, *(name for name, _ in self.own)]
        ranks = sorted(range(len(every)), key=every.__getitem__)
        return tuple if ranks == list(range(len(every))) else itemgetter(*ranks)

    def _moved(self, exposed: grammar.Labels) -> grammar.Labels:
        labels = {name: value for name, value in exposed if value}
        conflicts = self.reserved & labels.keys()
        moved = sorted(((n, labels.pop(n)) for n in conflicts), key=lambda pair: len(pair[0]))
        labels.update(self._added)
        for name, value in moved:
            free = b"exported_" + name
            while free in labels or free in self.reserved:
                free = b"exported_" + free
            labels[free] = value
        return tuple(sorted(labels.items()))
