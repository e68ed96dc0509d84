"""What a known shape of a ResourceMetrics becomes: series with holes, and what fills them.

A recipe is not written by hand, it is observed. The plain conversion is given the frame with a mark
in each place where a number stands, and what comes out tells which number goes where: copied, made
a double, or added up over the buckets of a histogram. So the fast path can do nothing that the
plain path would not, and what cannot be explained by its marks is left to the plain path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, TypeAlias, final

import numpy as np
import numpy.typing as npt

from common.wire import remote_write_marks, remote_write_series, remote_write_units
from common.wire.remote_write_marks import SUMS, Observed
from common.wire.remote_write_places import DOUBLE, INT, UNSIGNED, Unit
from common.wire.remote_write_requests import Request
from common.wire.remote_write_terms import Drop
from common.wire.remote_write_units import Walk

Places: TypeAlias = npt.NDArray[np.int32]
Families: TypeAlias = tuple[tuple[str, bytes], ...]
"""Names, each with its encoded MetricMetadata."""
Convert: TypeAlias = Callable[[bytes], tuple[tuple[Request, ...], Mapping[Drop, int]]]
"""The plain conversion of one ResourceMetrics, without its target_info."""

GROWTH: Final = 32  # a template may have so many times the bytes of its frame, as the plain path's
OVERHEAD: Final = 1_500  # bytes of Python objects around a recipe

_MOST_FAMILIES: Final = 1 << 15
_ANY_DROP: Final = frozenset({Drop.DUPLICATE, Drop.TOO_LARGE})  # depends on more than the shape


@final
@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """TimeSeries messages, each with one sample; shared by recipes that list the same series."""

    series: bytes
    families: Families
    started: bool
    """Whether each sample has a start, see `remote_write_series`."""


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recipe:
    """How the units of one shape fill their series.

    Samples are sorted by how their value is made: doubles first, then integers, unsigned integers
    and sums over buckets; ``ends`` says where each kind ends, and what follows stays as it is in
    the template.
    """

    template: Template
    holes: Places
    """For each sample, where in the template its eight bytes of value are."""
    values: Places
    """For each sample but the constant ones, where in the frame its value is."""
    times: Places
    """For each sample, where in the frame its time is, in nanoseconds."""
    starts: Places
    """For each sample, its start time's place less its time's; 0 if there is none."""
    units: Places
    """For each sample, the unit it belongs to."""
    ends: tuple[int, int, int, int]
    firsts: Places
    """For each sum, the position among the sums of its histogram's first."""
    begins: Places
    """Where each unit began in the frame that this was learnt from."""
    keys: npt.NDArray[np.uint64]
    """The units' keys, sorted ..."""
    order: Places
    """... and the units they belong to."""
    spans: Places
    """For each unit, where its series begin in the template, and at the end its length."""
    kin: npt.NDArray[np.int16]
    """For each unit, the position of its family."""
    whole: bool
    """Whether it says all that there is to say about its frame."""
    points: int
    dropped: tuple[tuple[Drop, int], ...]

    ARRAYS: ClassVar = (
        "holes", "values", "times", "starts", "units", "firsts", "begins", "keys", "order", "spans",
        "kin",
    )  # fmt: skip

    @property
    def cost(self) -> int:
        """About how many bytes of memory this takes, apart from the template, which is shared."""
        arrays = [getattr(self, name) for name in self.ARRAYS]
        return OVERHEAD + sum([int(each.nbytes) for each in arrays])


def keys_of(keys: list[bytes]) -> npt.NDArray[np.uint64]:
    """Return the keys of units as numbers."""
    return np.frombuffer(b"".join(keys), np.uint64)


def sharing(recipe: Recipe, template: Template) -> Recipe:
    """Return *recipe* with *template* in the place of its own if they are equal."""
    own = recipe.template
    if own is template or own.series != template.series or own.families != template.families:
        return recipe
    return replace(recipe, template=template)


def learn(
    frame: bytes, walked: Walk, convert: Convert, max_bytes: int, salt: int, *, started: bool
) -> tuple[Recipe, list[int]] | None:
    """Observe what *convert* makes of *frame*, whose units are *walked*.

    Returns the recipe, and every place of the frame where any eight bytes leave its shape the same.

    ``None`` if there is no unit to speak of, if the series would not fit *max_bytes*, if units
    share a series, or if points were dropped for more than their shape. *salt*, a secret number,
    keeps senders from guessing the marks. If *started*, samples have starts.
    """
    if not walked.starts or len(set(walked.keys)) != len(walked.keys):
        return None
    units = remote_write_units.units(frame, walked)
    first_ms = remote_write_marks.first_ms(salt)
    requests, dropped = convert(remote_write_marks.mark(frame, walked, units, first_ms))
    if len(requests) != 1 or not _ANY_DROP.isdisjoint(dropped):
        return None
    request = requests[0]
    if len(request.body) > min(max_bytes, GROWTH * len(frame)):
        return None
    found = remote_write_marks.observe(request, walked, units, first_ms, started=started)
    if found is None or not found.series or len(found.families) > _MOST_FAMILIES:
        return None
    recipe = _recipe(found, walked, units, dropped, started=started)
    return None if recipe is None else (recipe, _slots(walked, units))


def _recipe(
    found: Observed, walked: Walk, units: list[Unit], dropped: Mapping[Drop, int], *, started: bool
) -> Recipe | None:
    # In the order of their series: however a sender shuffles its points, the template is the same.
    ranked = sorted(found.series, key=lambda index: found.series[index][0][0])
    rank_of = {index: rank for rank, index in enumerate(ranked)}
    pieces: list[bytes] = []
    samples: list[tuple[int, int, int, int, int, int]] = []  # kind, hole, value, time, unit, lead
    behind = remote_write_series.behind_head(started=started)
    spans = [0]
    size = 0
    for index in ranked:
        time = walked.starts[index] + units[index].time
        for series, kind, place, lead in found.series[index]:
            size += len(series)
            pieces.append(_blank(series, behind))
            samples.append((kind, size - behind, place, time, rank_of[index], lead))
        spans.append(size)
    samples.sort(key=lambda sample: (sample[0], sample[4], sample[2]))
    buckets = [walked.starts[index] + units[index].buckets for index in ranked]
    firsts = _firsts([sample for sample in samples if sample[0] == SUMS], buckets)
    if firsts is None:
        return None
    kinds = [sample[0] for sample in samples]
    ends = tuple([sum([kind <= most for kind in kinds]) for most in (DOUBLE, INT, UNSIGNED, SUMS)])
    array = np.array(samples, np.int32).reshape(-1, 6)
    keys = keys_of([walked.keys[index] for index in ranked])
    order = np.argsort(keys)
    silent = len(walked.starts) - len(ranked)
    told = frozenset(found.family.values())  # without those that strangers only belong to
    families = tuple(sorted([each for each in found.families if each[0] in told]))
    position = {name: n for n, (name, _) in enumerate(families)}
    return Recipe(
        template=Template(b"".join(pieces), families, started),
        holes=array[:, 1].copy(),
        values=array[: ends[-1], 2].copy(),
        times=array[:, 3].copy(),
        starts=array[:, 5].copy(),
        units=array[:, 4].copy(),
        ends=(ends[0], ends[1], ends[2], ends[3]),
        firsts=np.array(firsts, np.int32),
        begins=np.array([walked.starts[index] for index in ranked], np.int32),
        keys=keys[order],
        order=order.astype(np.int32),
        spans=np.array(spans, np.int32),
        kin=np.array([position[found.family[index]] for index in ranked], np.int16),
        whole=not (walked.others or found.strangers) and silent == sum(dropped.values()),
        points=len(ranked),
        dropped=tuple(dropped.items()),
    )


def _blank(series: bytes, behind: int) -> bytes:
    """Take the marks out again, so that equal series are equal bytes; constants stay."""
    size = remote_write_series.VALUE_BYTES
    value = series[-behind:][:size]
    if value != remote_write_series.STALE and any(value):
        value = bytes(size)
    return b"".join((series[:-behind], value, bytes(behind - size)))


def _firsts(
    sums: list[tuple[int, int, int, int, int, int]], buckets: list[int]
) -> list[int] | None:
    """Return for each sum where those of its unit begin.

    ``None`` unless those of a unit are its buckets from the first on, one after the other.
    """
    firsts: list[int] = []
    for n, (_, _, place, _, unit, _) in enumerate(sums):
        begun = n and sums[n - 1][4] == unit
        if place != (sums[n - 1][2] + 8 if begun else buckets[unit]):
            return None
        firsts.append(firsts[-1] if begun else n)
    return firsts


def _slots(walked: Walk, units: list[Unit]) -> list[int]:
    places: list[int] = []
    for start, unit in zip(walked.starts, units, strict=True):
        places.append(start + unit.time)
        places += [start + unit.start] if unit.start is not None else []
        places += [start + place for place, _ in unit.values]
        places += [start + place for place in unit.idle]
        places += range(start + unit.buckets, start + unit.buckets + 8 * unit.bucket_count, 8)
    return places
