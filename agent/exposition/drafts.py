"""The points of one metric as they gather, sample by sample."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from agent.exposition import grammar, roles

Spot: TypeAlias = float | roles.Part
"""What a sample is to its histogram or summary: a bound or quantile, or the part there is once."""

_Group: TypeAlias = dict[Spot, int]
"""The samples of one histogram or summary."""


class Whole(NamedTuple):
    """A histogram or a summary that has its count."""

    labels: grammar.Labels
    counted: int  # the sample with the count
    summed: int | None  # the sample with the sum
    steps: tuple[tuple[float, int], ...]  # upper bound or quantile, ascending, and its sample


@dataclass(slots=True)
class Draft:
    """What is known of the points of one metric."""

    singles: list[tuple[grammar.Labels, int]] = field(default_factory=list)
    """Points of one sample, in the order of the text."""
    natives: list[tuple[grammar.Labels, int]] = field(default_factory=list)
    """Native histograms."""
    groups: dict[grammar.Labels, _Group] = field(default_factory=dict)
    # The same at other times. Samples repeat only with times of their own, which hardly any do.
    further: dict[tuple[grammar.Labels, int], _Group] = field(default_factory=dict)
    taken: dict[tuple[grammar.Labels, Spot], int] = field(default_factory=dict)  # how often more
    untimed: set[tuple[grammar.Labels, Spot]] = field(default_factory=set)  # not the first time

    def add(self, labels: grammar.Labels, spot: Spot, sample: int, timed: list[bool]) -> bool:
        """Put *sample* where it belongs in the point of *labels*; say whether it is not there yet.

        Samples without a time of their own are there once. Those with one may come again: the n-th
        of each spot belongs to the n-th point.
        """
        group = self.groups.get(labels)
        if group is None:
            group = self.groups[labels] = {}
        holder = group.setdefault(spot, sample)
        return holder == sample or self._add_again(labels, spot, sample, holder, timed)

    def _add_again(
        self, labels: grammar.Labels, spot: Spot, sample: int, holder: int, timed: list[bool]
    ) -> bool:
        place = (labels, spot)
        if not timed[sample]:
            if not timed[holder] or place in self.untimed:
                return False  # of the series, or of the bucket: le="1" and le="1.0"
            self.untimed.add(place)
        # The same at another time belongs to another point: the n-th to the n-th.
        nth = self.taken[place] = self.taken.get(place, 0) + 1
        self.further.setdefault((labels, nth), {})[spot] = sample
        return True

    def leave_out(self, unwanted: Collection[grammar.Labels]) -> int:
        """Forget the histograms with these labels; return the number of samples that they had."""
        left_out = [self.groups.pop(labels) for labels in unwanted if labels in self.groups]
        again = [place for place in self.further if place[0] in unwanted]
        left_out += [self.further.pop(place) for place in again]
        return sum(map(len, left_out))

    def wholes(self) -> Iterator[Whole | None]:
        """Put the samples of each histogram or summary in order; None for one without a count."""
        groups = [*self.groups.items()]
        groups += [(labels, group) for (labels, _), group in self.further.items()]
        for labels, group in groups:
            counted = group.get(roles.Part.COUNT)
            yield (
                None
                if counted is None
                else Whole(
                    labels,
                    counted,
                    group.get(roles.Part.SUM),
                    tuple(sorted([(s, i) for s, i in group.items() if isinstance(s, float)])),
                )
            )
