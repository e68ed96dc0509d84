"""Fills the holes of known series with the numbers of a body, many frames at a time.

numpy moves eight bytes per sample from the frames to the series: 5 ns to fetch one, 6 ns to place
it, 18 ns to spell a time in milliseconds as a varint. It is called a few times per body, not per
frame, for a call costs as much as a hundred samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from common.wire import remote_write_points, remote_write_recipe, remote_write_series
from common.wire.remote_write_recipe import Places, Recipe
from common.wire.remote_write_requests import Request
from common.wire.remote_write_terms import Drop
from common.wire.remote_write_units import Walk

_NS_PER_MS: Final = np.uint64(1_000_000)
_LEAST_MS, _MOST_MS = 1 << 35, (1 << 42) - 1  # what a varint of six bytes holds
_MOST_BUCKET: Final = 1 << 40  # a count in a bucket up to which sums over a whole body are exact
_STAMP: Final = np.uint64(0x10 | 0x0A << 56 | 0x80_80_80_80_80 << 8)
"""A timestamp's tag, a varint of six bytes still empty, and the tag of the series behind it."""
_STARTED: Final = np.uint64((0x18 ^ 0x0A) << 56)  # exchanges the latter for the tag of a start
_START: Final = np.uint64(0x18 ^ 0x10)  # exchanges the former likewise


@final
@dataclass(slots=True, eq=False)  # not frozen: one is made per frame, and that would cost 2 µs more
class Part:
    """Samples of one frame: where their series and numbers are; see `Recipe` for the arrays.

    *values* and *times* are places in the body, *holes* are places in *series*.
    """

    series: bytes
    families: tuple[tuple[str, bytes], ...]
    holes: Places
    values: Places
    times: Places
    starts: Places
    started: bool
    ends: tuple[int, int, int, int]
    firsts: Places
    points: int
    dropped: tuple[tuple[Drop, int], ...]

    def heads(self) -> Iterator[bytes]:
        """List the heads of the series, see `remote_write_series.head`."""
        at = 0
        for hole in sorted(self.holes.tolist()):
            yield self.series[at:hole]
            at = hole + remote_write_series.behind_head(started=self.started)


def whole(recipe: Recipe, base: int) -> Part:
    """Return the samples of a frame at *base* in the body, which has the shape of *recipe*."""
    template = recipe.template
    return Part(
        template.series, template.families, recipe.holes, recipe.values + base,
        recipe.times + base, recipe.starts, template.started, recipe.ends, recipe.firsts,
        recipe.points, recipe.dropped,
    )  # fmt: skip


def rearranged(recipe: Recipe, walked: Walk, base: int) -> tuple[Part, frozenset[int]] | None:
    """Return the samples of those units of a frame at *base* that *recipe* knows, and which.

    ``None`` if it knows none, or if two units have one series.
    """
    keys = remote_write_recipe.keys_of(walked.keys)
    places = np.minimum(np.searchsorted(recipe.keys, keys), len(recipe.keys) - 1)
    known = np.flatnonzero(recipe.keys[places] == keys)
    ranks = recipe.order[places[known]]
    count = len(recipe.order)
    starts = np.full(count, -1, np.int32)
    starts[ranks] = np.array(walked.starts, np.int32)[known]
    kept = starts >= 0
    if not len(known) or int(kept.sum()) != len(known):
        return None
    shift = starts - recipe.begins + base
    if len(known) == count:
        moved = shift[recipe.units]
        return Part(
            series=recipe.template.series,
            families=recipe.template.families,
            holes=recipe.holes,
            values=recipe.values + moved[: recipe.ends[-1]],
            times=recipe.times + moved,
            starts=recipe.starts,
            started=recipe.template.started,
            ends=recipe.ends,
            firsts=recipe.firsts,
            points=count,
            dropped=(),
        ), frozenset(known.tolist())
    return _some(recipe, kept, shift), frozenset(known.tolist())


def _some(recipe: Recipe, kept: npt.NDArray[np.bool_], shift: Places) -> Part:
    """Return the samples of the units *kept*, which lie *shift* behind where they were learnt."""
    chosen = kept[recipe.units]
    units = recipe.units[chosen]
    lengths = np.where(kept, np.diff(recipe.spans), 0)
    begins = np.cumsum(lengths) - lengths
    bound = recipe.ends[-1]
    valued = chosen[:bound]
    ends = tuple([int(chosen[:end].sum()) for end in recipe.ends])
    sums = chosen[recipe.ends[2] : bound]
    spans, series = recipe.spans.tolist(), recipe.template.series
    return Part(
        series=b"".join([series[spans[n] : spans[n + 1]] for n in np.flatnonzero(kept).tolist()]),
        families=tuple([recipe.template.families[n] for n in np.unique(recipe.kin[kept]).tolist()]),
        holes=(recipe.holes[chosen] - recipe.spans[units] + begins[units]).astype(np.int32),
        values=recipe.values[valued] + shift[recipe.units[:bound][valued]],
        times=recipe.times[chosen] + shift[units],
        starts=recipe.starts[chosen],
        started=recipe.template.started,
        ends=(ends[0], ends[1], ends[2], ends[3]),
        # A unit's sums stay together, so each first only moves up by what is gone before it.
        firsts=(np.cumsum(sums) - 1)[recipe.firsts[sums]].astype(np.int32),
        points=int(kept.sum()),
        dropped=(),
    )


class Weaver:
    """Reads the numbers of one body for its *parts*."""

    __slots__ = ("_bounds", "_ms", "_words", "newest", "oldest", "parts")

    def __init__(self, body: bytes, parts: Sequence[Part]) -> None:
        self.parts = parts
        # Eight bytes from every offset on, so that one subscript fetches a number.
        self._words = np.ndarray((len(body) - 7,), np.uint64, body, strides=(1,))
        lengths = [len(part.times) for part in parts]
        self._bounds = [0, *np.cumsum(lengths).tolist()]
        times = np.concatenate([part.times for part in parts])
        self._ms = self._words[times] // _NS_PER_MS
        self.oldest: list[int] = np.minimum.reduceat(self._ms, self._bounds[:-1]).tolist()
        self.newest: list[int] = np.maximum.reduceat(self._ms, self._bounds[:-1]).tolist()
        """For each part, the least and the most of its times in milliseconds."""

    def usual(self, index: int) -> bool:
        """Say whether the numbers of a part are what the holes were made for.

        Times must be varints of six bytes, which a time of 0, meaning none, is not; and sums over
        buckets must be exact.
        """
        if self.oldest[index] < _LEAST_MS or self.newest[index] > _MOST_MS:
            return False
        part = self.parts[index]
        buckets = part.values[part.ends[2] : part.ends[3]]
        return not len(buckets) or int(self._words[buckets].max()) < _MOST_BUCKET

    def requests(
        self, chosen: Iterable[int], extras: dict[int, bytes], max_bytes: int
    ) -> Iterator[Request]:
        """Bind the parts *chosen* into requests of at most *max_bytes*, in order.

        *extras* are further series that go with a part, a sample each.
        """
        group: list[int] = []
        families: dict[str, bytes] = {}
        seen: set[int] = set()  # what is in there already, by identity: replicas share theirs
        size = 0
        for index in chosen:
            part = self.parts[index]
            grows = own = len(part.series) + len(extras.get(index, b""))
            told, new = part.families, {}
            if id(told) not in seen or index in extras:
                seen.add(id(told))
                if index in extras:
                    told = (*told, ("target_info", remote_write_points.TARGET_INFO))
                new = {name: metadata for name, metadata in told if name not in families}
                grows += sum(map(len, new.values()))
            if group and size + grows > max_bytes:
                yield self._request(group, families, extras)
                group, families, size, new = [], {}, 0, dict(told)
                seen = {id(part.families)}
                grows = own + sum(map(len, new.values()))
            families |= new
            group.append(index)
            size += grows
        if group:
            yield self._request(group, families, extras)

    def _request(
        self, group: Sequence[int], families: dict[str, bytes], extras: dict[int, bytes]
    ) -> Request:
        parts = [self.parts[index] for index in group]
        added = [extras[index] for index in group if index in extras]
        # The byte behind each time is written with it. It is the tag of the next series; so what is
        # no series comes first, and behind the last one stands a tag that is cut off again.
        front = [*families.values(), *added]
        out = bytearray().join([*front, *[part.series for part in parts], b"\x0a"])
        words: npt.NDArray[np.uint64] = np.ndarray((len(out) - 7,), np.uint64, out, strides=(1,))
        holes: list[Places] = []
        at = sum(map(len, front))
        for part in parts:
            holes.append(part.holes + at)
            at += len(part.series)
        spans = [self._ms[self._bounds[index] : self._bounds[index + 1]] for index in group]
        places, ms = np.concatenate(holes), np.concatenate(spans)
        stamps = _stamps(ms)
        if parts[0].started:
            # In front of its own eight bytes, since the last of these is the first of the start's.
            words[places + 8] = stamps ^ _STARTED
            words[places + 15] = _stamps(self._starts(parts, ms)) ^ _START
        else:
            words[places + 8] = stamps
        self._fill(words, parts, holes)
        del words  # which holds on to *out*
        del out[-1:]
        samples = sum(map(len, holes)) + len(added)
        return Request(body=out, points=sum([part.points for part in parts]), samples=samples)

    def _starts(self, parts: Sequence[Part], ms: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Return the start of each sample in milliseconds; 0 if there is none, or a later one."""
        leads = np.concatenate([part.starts for part in parts])
        found = self._words[np.concatenate([part.times for part in parts]) + leads] // _NS_PER_MS
        return np.where((leads != 0) & (found <= ms), found, np.uint64(0))

    def _fill(
        self, words: npt.NDArray[np.uint64], parts: Sequence[Part], holes: Sequence[Places]
    ) -> None:
        if all(len(part.times) == part.ends[0] for part in parts):  # nearly always: doubles only
            words[np.concatenate(holes)] = self._words[np.concatenate([p.values for p in parts])]
            return
        begin = (0, 0, 0, 0)
        for kind in range(4):
            sources: list[Places] = []
            targets: list[Places] = []
            firsts: list[Places] = []
            before = 0
            for part, places in zip(parts, holes, strict=True):
                begin = (0, *part.ends[:3])
                chosen = slice(begin[kind], part.ends[kind])
                if chosen.start == chosen.stop:
                    continue
                sources.append(part.values[chosen])
                targets.append(places[chosen])
                if kind == 3:  # sums, see `Recipe`
                    firsts.append(part.firsts + before)
                    before += chosen.stop - chosen.start
            if sources:
                numbers = self._words[np.concatenate(sources)]
                made = _made(numbers, kind, firsts)
                words[np.concatenate(targets)] = made


def _made(
    numbers: npt.NDArray[np.uint64], kind: int, firsts: Sequence[Places]
) -> npt.NDArray[np.uint64]:
    """Return *numbers* as doubles, their bits, by the *kind* of their samples."""
    if kind == 0:
        return numbers
    if kind == 1:
        return numbers.view(np.int64).astype(np.float64).view(np.uint64)
    if kind == 2:
        return numbers.astype(np.float64).view(np.uint64)
    sums = np.cumsum(numbers)
    first = np.concatenate(firsts)
    own = sums - sums[first] + numbers[first]
    return own.astype(np.float64).view(np.uint64)


def _stamps(ms: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return for each time the eight bytes of `_STAMP` with its varint inside."""
    words = np.full(len(ms), _STAMP)
    for n in range(6):
        words |= (ms >> np.uint64(7 * n) & np.uint64(0x7F)) << np.uint64(8 * (n + 1))
    return words
