"""Recipes of the senders seen lately, and what they make of a frame.

A frame of a known shape costs a hash and two additions of arrays. One of another shape but from a
known sender (points shuffled, some gone, some new, an exemplar here and there) is walked, its
points are found by their keys, and only what is new is left to the plain path: 0.6 to 1.2 µs a
point where the plain path takes 5.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, cast, final

import numpy.typing as npt

from common.wire import memo, remote_write_recipe, remote_write_units, remote_write_weave, shapes
from common.wire.remote_write_recipe import Convert, Families, Recipe
from common.wire.remote_write_units import Walk
from common.wire.remote_write_weave import Part

Shared = TypeVar("Shared", bound=npt.NDArray[Any])

SMALL: Final = 512  # bytes of a frame below which the plain path is as cheap
VARIANTS: Final = 4  # shapes remembered per sender: of one that shuffles, and of one that is split
OFTEN: Final = 64  # every so many frames of other shapes another one is learnt, were it in vain
ORDERS: Final = 8  # orders of points remembered per sender, to see which come again
FUTILE: Final = 3  # walks in vain after which a sender's frames are walked ...
SELDOM: Final = 32  # ... only so often
OVERHEAD: Final = 700  # bytes of Python objects around a sender


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What the series of a resource have in common; two groups have no series in common."""

    key: Hashable
    identity: tuple[str, str]  # job and instance
    target_info: bytes  # the head; empty if there is none


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The plain path, for what is to be learnt of it."""

    convert: Convert
    group: Callable[[bytes], Group]
    """What the series of a Resource have in common."""


@final
@dataclass(frozen=True, slots=True)
class _Variant:
    length: int
    mask: shapes.Array
    digest: bytes
    recipe: Recipe


@final
@dataclass(slots=True, eq=False)
class Sender:
    """What is remembered of the frames of one resource."""

    group: Group | None = None
    variants: tuple[_Variant, ...] = ()
    misses: int = 0  # frames of a shape that is none of these
    futile: int = 0  # walks in a row that found next to nothing
    orders: tuple[int, ...] = ()  # in which its known points stood, other than in the variants

    def ordered(self, keys: list[bytes]) -> bool:
        """Say whether known points stood in this order before; then it is worth learning.

        Finding points by their keys costs five times what it costs to recognise their order.
        """
        order = hash(b"".join(keys))
        again = order in self.orders
        self.orders = (order, *self.orders)[:ORDERS]
        return again


@final
@dataclass(slots=True, eq=False)  # one per frame, see `Part`
class Found:
    """A frame whose samples, or some of them, are known."""

    group: Group
    part: Part
    rest: bytes
    """A ResourceMetrics of what is not; empty if there is none."""


class Known:
    """Up to *max_bytes* of recipes. *seed* is a secret number of 64 bits.

    Samples have a start if *started*.

    ``recognised`` counts frames that had a known shape, ``rearranged`` those whose points were
    found one by one, ``learnt`` the recipes ever made.
    """

    def __init__(
        self, max_bytes: int, max_template: int, seed: int, *, started: bool = False
    ) -> None:
        self.senders: memo.Memo[bytes, Sender] = memo.Memo(max_bytes)
        self.recognised = self.rearranged = self.learnt = 0
        self._max_template, self._seed, self._started = max_template, seed, started
        # Replicas have the same metrics. That they share what describes them saves memory, and the
        # time to look at it again in each frame.
        self._families: memo.Memo[Families, Families] = memo.Memo(max_bytes // 16)
        self._arrays: memo.Memo[tuple[str, bytes], npt.NDArray[Any]] = memo.Memo(max_bytes // 16)

    def find(
        self,
        frame: memoryview,
        resource: bytes,
        base: int,
        way: Way,
    ) -> Found | None:
        """Return what is known of *frame*, a ResourceMetrics at *base* in its body.

        ``None`` if it has to take the plain path, which *way* is.
        """
        if len(frame) < SMALL:
            return None
        sender = self.senders.get(resource)
        if sender is None:
            self.senders.put(resource, Sender(), OVERHEAD + len(resource))
            return None
        for variant in sender.variants:
            if (
                variant.length == len(frame)
                and variant.recipe.whole
                and shapes.digest(frame, variant.mask, self._seed) == variant.digest
            ):
                self.recognised += 1
                part = remote_write_weave.whole(variant.recipe, base)
                return _found(sender, part, b"")
        return self._missed(bytes(frame), resource, base, sender, way)

    def _missed(
        self,
        frame: bytes,
        resource: bytes,
        base: int,
        sender: Sender,
        way: Way,
    ) -> Found | None:
        sender.misses += 1
        if sender.futile >= FUTILE and sender.misses % SELDOM:
            return None
        walked = remote_write_units.walk(frame, self._seed)
        if walked is None or not walked.starts:
            return None
        best: tuple[Part, frozenset[int]] | None = None
        for variant in sender.variants:
            some = remote_write_weave.rearranged(variant.recipe, walked, base)
            if some is not None and (best is None or len(some[1]) > len(best[1])):
                best = some
        known = len(best[1]) if best else 0
        sender.futile = sender.futile + 1 if 4 * known < len(walked.starts) else 0
        # The first time nothing is known; later a lesson is worth it where much is new, ever less
        # often, for there are senders that never repeat themselves.
        new = 2 * known < len(walked.starts) and sender.misses & (sender.misses - 1) == 0
        again = not walked.others and known == len(walked.starts) and sender.ordered(walked.keys)
        if new or again or sender.misses % OFTEN == 0:
            recipe = self._learn(frame, walked, resource, sender, way)
            if recipe is not None and recipe.whole:
                return _found(sender, remote_write_weave.whole(recipe, base), b"")
        if best is None:
            return None
        part, taken = best
        self.rearranged += 1
        complete = known == len(walked.starts) and not walked.others
        left = b"" if complete else remote_write_units.rest(frame, walked, taken)
        return _found(sender, part, left)

    def _learn(
        self,
        frame: bytes,
        walked: Walk,
        resource: bytes,
        sender: Sender,
        way: Way,
    ) -> Recipe | None:
        lesson = remote_write_recipe.learn(
            frame, walked, way.convert, self._max_template, self._seed, started=self._started
        )
        if lesson is None:
            return None
        recipe, slots = lesson
        self.learnt += 1
        recipe = self._sharing(recipe)
        for variant in sender.variants:
            recipe = remote_write_recipe.sharing(recipe, variant.recipe.template)
        mask = self._shared(shapes.mask_of(len(frame), slots))
        said = shapes.digest(frame, mask, self._seed)
        sender.group = sender.group or way.group(resource)
        learnt = _Variant(len(frame), mask, said, recipe)
        sender.variants = (learnt, *sender.variants)[:VARIANTS]
        templates = {id(v.recipe.template): len(v.recipe.template.series) for v in sender.variants}
        cost = sum(templates.values()) + sum(
            [v.recipe.cost + v.mask.nbytes for v in sender.variants]
        )
        self.senders.put(resource, sender, OVERHEAD + 2 * len(resource) + cost)
        return recipe

    def _sharing(self, recipe: Recipe) -> Recipe:
        """Return *recipe* with what it has in common with others in the place of its own.

        Accounted for in each, so what is held is less than it seems.
        """
        families = self._families.get(recipe.template.families)
        if families is None:
            families = recipe.template.families
            self._families.put(families, families, 200 + sum([200 + len(m) for _, m in families]))
        arrays = {name: self._shared(getattr(recipe, name)) for name in recipe.ARRAYS}
        return replace(recipe, template=replace(recipe.template, families=families), **arrays)

    def _shared(self, array: Shared) -> Shared:
        key = (array.dtype.str, array.tobytes())
        found = self._arrays.get(key)
        if found is not None:
            return cast("Shared", found)
        self._arrays.put(key, array, 300 + 2 * array.nbytes)
        return array


def _found(sender: Sender, part: Part, rest: bytes) -> Found:
    if sender.group is None:
        raise RuntimeError("BUG: a sender with recipes has no group")
    return Found(sender.group, part, rest)
