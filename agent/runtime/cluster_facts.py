"""What is kept of an object of the cluster: little, for there may be 100,000 of a kind."""

from __future__ import annotations

from functools import lru_cache
from typing import final

import msgspec

from agent.runtime.writing import Point


@final
class Part(msgspec.Struct, frozen=True, gc=False):
    """Something inside an object that has points of its own: a container."""

    values: tuple[str, ...]
    points: tuple[Point, ...]


@final
class Facts(msgspec.Struct, frozen=True, gc=False):
    """What is kept of an object. ``values`` are its resource attributes, its uid first.

    The keys that go with them are the same for all objects of a kind, see `cluster_kinds`. Equal
    points are one object: a pod with one container costs 0.7 KB.
    """

    namespace: str
    values: tuple[str, ...]
    points: tuple[Point, ...]
    parts: tuple[Part, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from all others of its kind."""
        return self.values[0] or "/".join((self.namespace, *self.values))


def image_name(image: str) -> tuple[str, str]:
    """Return the name of an image reference, registry included, and its tag.

    The tag is "latest" where neither tag nor digest is given, for that is what is run then.
    """
    name, _, digest = image.partition("@")
    folder, slash, last = name.rpartition("/")  # a registry may have a port, which is no tag
    last, _, tag = last.partition(":")
    return f"{folder}{slash}{last}", tag or ("" if digest or not image else "latest")


@lru_cache(maxsize=4096)
def one_of(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Return the one of all equal tuples that came first, as long as it is remembered."""
    return points
