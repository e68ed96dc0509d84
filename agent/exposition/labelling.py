"""Label sets of the protobuf format: checked once, and known again by their bytes."""

from __future__ import annotations

import math
from typing import NoReturn

from agent.exposition import canonical, families, grammar, model
from common.wire import errors

_SPARE = 1_000  # entries that may be kept beyond need
_SET, _STEP = 700, 110  # bytes of a set of three labels with its key, and of a bucket's labels


def check_utf8(text: bytes, what: str) -> None:
    """Raise `errors.Malformed` unless *text*, which is a *what*, is UTF-8."""
    if text.isascii():
        return
    try:
        text.decode()
    except UnicodeDecodeError:
        raise errors.Malformed(f"the {what} is not UTF-8: {text[:80]!r}") from None


def checked(labels: grammar.Labels, further: tuple[bytes, ...] = ()) -> grammar.Labels:
    """Return *labels*; raises `errors.Malformed` unless they can be, beside the names *further*."""
    names = {*dict(labels), *further}
    if len(names) != len(labels) + len(further) or b"__name__" in names or b"" in names:
        raise errors.Malformed("a label name is empty, reserved or repeated")
    for name, value in labels:
        check_utf8(name, "label name")
        check_utf8(value, "label value")
    return labels


class Sets:
    """The label sets of a target's bodies; tuples of encoded LabelPairs are their keys.

    `plain` are of whole series, `buckets` and `quantiles` of those that get ``le`` or ``quantile``
    besides: they must not have one already. `le` and `quantile` are these, by their numbers.
    Looking one up that is new may raise `errors.Malformed` and `errors.TooLarge`.
    """

    __slots__ = ("_steps", "buckets", "le", "plain", "quantile", "quantiles")

    def __init__(self, limits: model.Limits) -> None:
        self.plain = _Sets(limits, ())
        self.buckets = _Sets(limits, (b"le",))
        self.quantiles = _Sets(limits, (b"quantile",))
        self.le = _Pairs(b"le")
        self.quantile = _Pairs(b"quantile")
        # Of a histogram, its bounds and the labels of its buckets.
        self._steps: dict[
            tuple[bytes, grammar.Labels], tuple[list[float], list[grammar.Labels]]
        ] = {}

    def steps(
        self, name: bytes, labels: grammar.Labels, bounds: list[float]
    ) -> list[grammar.Labels]:
        """Return *labels* with each of *bounds* as ``le``, up to +Inf, which is always the last.

        *name* is that of the histogram, for others have other bounds with these labels. The list
        belongs to these sets and is not to be changed.
        """
        known = self._steps.get((name, labels))
        if known is not None and known[0] == bounds:
            return known[1]
        le = self.le
        upper = bounds[: bounds.index(math.inf)] if math.inf in bounds else bounds
        made = [*[(*labels, le[bound]) for bound in upper], (*labels, le[math.inf])]
        self._steps[name, labels] = bounds, made
        return made

    @property
    def held_bytes(self) -> int:
        """Return about how much memory is held."""
        sets = len(self.plain) + len(self.buckets) + len(self.quantiles)
        return sets * _SET + sum([len(made) for _, made in self._steps.values()]) * _STEP

    def prune(self, samples: int) -> None:
        """Forget everything where it has become far more than *samples*, of one body, can need."""
        most = samples * 2 + _SPARE
        for memo in (self.plain, self.buckets, self.quantiles, self.le, self.quantile):
            if len(memo) > most:
                memo.clear()
        if len(self._steps) > most:
            self._steps.clear()


# Subclasses of dict, because a look-up is then 30 ns and not 150: only what is new comes to Python.
class _Sets(dict[tuple[bytes, ...], grammar.Labels]):
    __slots__ = ("_further", "_limits")

    def __init__(self, limits: model.Limits, further: tuple[bytes, ...]) -> None:
        super().__init__()
        self._limits = limits
        self._further = further

    def __missing__(self, key: tuple[bytes, ...]) -> grammar.Labels:
        limits = self._limits
        count = len(key) + len(self._further)
        if 0 < limits.labels < count:
            _too_large(f"{count} labels", limits.labels)
        labels = checked(families.pairs(key), self._further)
        for name, value in labels:
            if 0 < limits.label_name_bytes < len(name):
                _too_large(f"a label name of {len(name)} bytes", limits.label_name_bytes)
            if 0 < limits.label_value_bytes < len(value):
                _too_large(f"a label value of {len(value)} bytes", limits.label_value_bytes)
        self[key] = labels
        return labels


class _Pairs(dict[float, tuple[bytes, bytes]]):
    __slots__ = ("_name",)

    def __init__(self, name: bytes) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, number: float) -> tuple[bytes, bytes]:
        pair = (self._name, canonical.number(number))
        if number == number:  # noqa: PLR0124 - no NaN is found again
            self[number] = pair
        return pair


def _too_large(what: str, limit: int) -> NoReturn:
    raise errors.TooLarge(
        f"{what} over the limit of {limit}; shorten the labels or raise the limit"
    )
