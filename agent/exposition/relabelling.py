"""The labels of a series as stored: the target's own, and the exposed ones that make room."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Final, TypeAlias

from agent.exposition import grammar, scopes

IDENTITY: Final = (b"job", b"instance")
"""The labels that live in the resource."""

_Order: TypeAlias = Callable[[grammar.Labels], grammar.Labels]


class Relabelled(dict[grammar.Labels, grammar.Labels]):
    """From exposed labels to stored ones: sorted by name, empty values left out.

    The names ``job`` and ``instance``, which live in the resource, and those of the labels that the
    target adds are its own: an exposed label of such a name is kept as ``exported_<name>``, the
    prefix repeated until the name is free (``honor_labels: false``). When *honored*, exposed labels
    stay what they are, and the target adds only those that are not exposed; one that is exposed
    without a value stays away altogether (``honor_labels: true``). An exposed ``job`` or
    ``instance`` is kept then even without a value, for it says whose the series is: see `claimed`.

    A lookup computes what it does not find, because many series share their labels; all results are
    kept, so one of these lives as long as the translation of one body.
    """

    __slots__ = ("_added", "_honored", "_orders", "own", "reserved", "scoped")

    def __init__(self, added: grammar.Labels, *, honored: bool = False) -> None:
        super().__init__()
        self._added = {name: value for name, value in added if value}
        self._honored = honored
        self._orders: dict[tuple[bytes, ...], _Order | None] = {}  # by names
        self.own: grammar.Labels = tuple(sorted(self._added.items()))
        """The labels of a series that exposes none."""
        self.reserved = frozenset((*IDENTITY, *self._added))
        """The names that are the target's own, unless exposed ones are honored."""
        self.scoped = False
        """Whether any label has come by that its point does not keep: one of a scope, see `scopes`,
        or one that says whose the series is, see `claimed`."""

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
        if any(name.startswith(scopes.PREFIX) for name in names):
            self.scoped = True
        if not self.reserved.isdisjoint(names):
            return None
        every = [*names, *(name for name, _ in self.own)]
        ranks = sorted(range(len(every)), key=every.__getitem__)
        return tuple if ranks == list(range(len(every))) else itemgetter(*ranks)

    def _moved(self, exposed: grammar.Labels) -> grammar.Labels:
        if self._honored:
            every = {**self._added, **dict(exposed)}
            self.scoped |= not every.keys().isdisjoint(IDENTITY)
            return tuple(sorted((n, v) for n, v in every.items() if v or n in IDENTITY))
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


def claimed(labels: grammar.Labels) -> tuple[grammar.Labels, grammar.Labels]:
    """Split *labels* into those that say whose the series is, and those of the point.

    The former are there only where exposed labels are honored; one without a value says that the
    series is nobody's.
    """
    whose = tuple([pair for pair in labels if pair[0] in IDENTITY])
    return whose, tuple([pair for pair in labels if pair[0] not in IDENTITY]) if whose else labels
