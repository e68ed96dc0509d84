"""The columns of an exposition in the protobuf format, while they are filled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.exposition import grammar, model, numbers
from common.wire import errors

_BEFORE_1970 = 0
"""Stands for all timestamps before 1970, one of which means none elsewhere: out of bounds too."""


class _Created(NamedTuple):
    names: list[bytes]
    labels: list[grammar.Labels]
    seconds: list[float]


class Columns:
    """What is known of a body so far; entry *i* of `names`, `labels` and `values` is one sample."""

    __slots__ = (
        "_created", "_limit", "_times", "exemplars", "families", "labels", "names", "natives",
        "of_native", "values",
    )  # fmt: skip

    def __init__(self, limits: model.Limits) -> None:
        self._limit = limits.samples
        self.names: list[bytes] = []
        self.labels: list[grammar.Labels] = []
        self.values: list[float] = []
        self.families: dict[bytes, model.Family] = {}
        self.exemplars: dict[int, model.Exemplar] = {}
        self.natives: dict[int, model.Native] = {}
        self.of_native: set[int] = set()
        self._times: dict[int, int] = {}
        self._created = _Created([], [], [])

    def check(self, further: int = 0) -> None:
        """Raise `errors.TooLarge` where these and *further* samples are more than there may be."""
        count = len(self.names) + further
        if 0 < self._limit < count:
            raise errors.TooLarge(
                f"at least {count} samples exceed the limit of {self._limit}; "
                "expose fewer series or raise the sample limit"
            )

    def stamp(self, milliseconds: int, samples: range) -> None:
        """Say when *samples* were taken."""
        time = milliseconds if milliseconds > 0 else _BEFORE_1970
        self._times.update(dict.fromkeys(samples, time))

    def start(self, name: bytes, labels: list[grammar.Labels], seconds: list[float]) -> None:
        """Add samples that say since when series of family *name* count: for all of it at once."""
        created = self._created
        created.names.extend([name + b"_created"] * len(labels))
        created.labels.extend(labels)
        created.seconds.extend(seconds)

    def exposition(self) -> model.Exposition:
        """Return the whole; nothing may be added any more."""
        counted = len(self.names)
        self.names += self._created.names
        self.labels += self._created.labels
        self.values += self._created.seconds
        values = np.array(self.values, np.float64)
        values[np.isnan(values)] = numbers.NAN
        return model.Exposition(
            format=model.Format.PROTOBUF,
            names=self.names,
            labels=self.labels,
            values=values,
            times=self._stamps(),
            value_at=np.empty(0, np.int64),
            families=self.families,
            exemplars=self.exemplars,
            natives=self.natives,
            classic_of_native=frozenset(self.of_native),
            uncounted=len(self.names) - counted,
        )

    def _stamps(self) -> npt.NDArray[np.int64]:
        times = np.full(len(self.names), model.UNTIMED, np.int64)
        if self._times:
            times[list(self._times)] = list(self._times.values())
        return times
