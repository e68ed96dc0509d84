"""The list-and-watch protocol of Kubernetes as a state machine that does no I/O.

Ask :meth:`Reflector.next_step`, carry it out, tell what happened; changes come back as values.
Reference: Kubernetes API concepts, "Efficient detection of changes", "Retrieving large result sets
in chunks", "410 Gone responses" and "Watch bookmarks".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeAlias, TypeVar, assert_never

from common.kube import objects

Item = TypeVar("Item")
Other = TypeVar("Other")
Result = TypeVar("Result")

GONE: Final = 410
HEALTHY_AFTER: Final = 5.0  # seconds: a watch that lived this long did not fail, however it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """Ask for a page: from the start (``next_page`` is "") or where the last one ended."""

    next_page: str
    version: str  # "0": any version will do, "": the newest
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Watch for what happened after *version*, with bookmarks, for *timeout* seconds."""

    version: str
    timeout: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Wait *seconds* before the next step."""

    seconds: float


Step: TypeAlias = ListPage | Watch | Pause


@dataclass(frozen=True, slots=True)
class Replaced(Generic[Item]):
    """A complete list: what is not in *items* no longer exists."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Added(Generic[Item]):
    """An object appeared."""

    item: Item


@dataclass(frozen=True, slots=True)
class Modified(Generic[Item]):
    """An object has a new revision."""

    item: Item


@dataclass(frozen=True, slots=True)
class Deleted(Generic[Item]):
    """An object is gone; *item* is its last revision."""

    item: Item


Change: TypeAlias = Replaced[Item] | Added[Item] | Modified[Item] | Deleted[Item]


def converted(change: Change[Item], convert: Callable[[Item], Other]) -> Change[Other]:
    """Return the same change of what *convert* makes of each item."""
    match change:
        case Replaced(items=items):
            return Replaced(tuple(map(convert, items)))
        case Added(item=item):
            return Added(convert(item))
        case Modified(item=item):
            return Modified(convert(item))
        case Deleted(item=item):
            return Deleted(convert(item))
        case _ as never:
            assert_never(never)


def applied(
    change: Change[Item],
    replace: Callable[[Iterable[Item]], Result],
    put: Callable[[Item], Result],
    remove: Callable[[Item], Result],
) -> Result:
    """Carry out *change* with the one of the three that it needs; return what that returns."""
    match change:
        case Replaced(items=items):
            return replace(items)
        case Added(item=item) | Modified(item=item):
            return put(item)
        case Deleted(item=item):
            return remove(item)
        case _ as never:
            assert_never(never)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much to ask for at once, and how patiently to try again; times in seconds."""

    page_items: int = 500
    first_pause: float = 0.5
    longest_pause: float = 30.0
    watch_for: int = (
        300  # half as much again is added by chance, so that watches do not end together
    )
    stale_first_list: bool = False  # let the API server answer the first list from its cache


class Reflector(Generic[Item]):
    """Follows one collection: lists it in pages, watches it, and starts over when told 410.

    *random* returns numbers in [0, 1): pauses are jittered so that a thousand agents do not come
    back in the same second. ``restarts`` counts the lists that had to begin anew. ``synced`` turns
    true with the first complete list and stays true: old knowledge beats none while the API server
    is away.
    """

    __slots__ = (
        "_attempts", "_heard", "_limit", "_next_page", "_pace", "_pause", "_random", "_received",
        "_version", "_watching", "restarts", "synced",
    )  # fmt: skip

    def __init__(self, pace: Pace, random: Callable[[], float]) -> None:
        self._pace = pace
        self._random = random
        self._attempts = 0  # failures since the collection was last heard of
        self._heard = False  # whether the present watch said anything
        self._limit = pace.page_items
        self._next_page = ""
        self._pause = 0.0
        self._received: list[Item] = []
        self._version = "0" if pace.stale_first_list else ""
        self._watching = False
        self.restarts = 0
        self.synced = False

    @property
    def attempts(self) -> int:
        """How many times in a row it failed; 0 when all is well."""
        return self._attempts

    @property
    def mode(self) -> Literal["listing", "watching"]:
        """What it is about to do, or doing."""
        return "watching" if self._watching else "listing"

    def next_step(self) -> Step:
        """Say what to do now; the same answer until something is reported, but for pauses."""
        if self._pause:
            seconds, self._pause = self._pause, 0.0
            return Pause(seconds=seconds)
        if not self._watching:
            return ListPage(next_page=self._next_page, version=self._version, limit=self._limit)
        self._heard = False
        spread = int(self._pace.watch_for * 0.5 * self._random())
        return Watch(version=self._version, timeout=self._pace.watch_for + spread)

    def listed(self, page: objects.Page[Item]) -> Replaced[Item] | None:
        """Take a page; the last one of a list completes it."""
        self._received += page.items
        self._next_page = page.next_page
        if page.next_page:
            return None
        items, self._received = tuple(self._received), []
        self._version, self._watching, self.synced = page.version, True, True
        self._limit = self._pace.page_items
        return Replaced(items)

    def heard(self, event: objects.WatchEvent[Item]) -> Change[Item] | None:
        """Take a watch event; what follows an ERROR event is up to :meth:`next_step`."""
        if event.verb == "ERROR":
            self.failed(status=event.error.code)
            return None
        self._heard, self._attempts = True, 0
        self._version = event.version or self._version
        if event.item is None:
            return None
        match event.verb:
            case "ADDED":
                return Added(event.item)
            case "MODIFIED":
                return Modified(event.item)
            case "DELETED":
                return Deleted(event.item)
            case _:
                return None

    def closed(self, lasted: float) -> None:
        """Note that the server ended the watch after *lasted* seconds; it resumes where it was."""
        if self._heard or lasted >= HEALTHY_AFTER:
            self._attempts = 0
        else:
            self.failed()

    def failed(self, *, status: int = 0, at_least: float = 0.0, too_large: bool = False) -> None:
        """Note a failure: an HTTP *status*, or 0 when there was no answer at all.

        410 forgets the version and lists anew. *at_least* is the server's Retry-After in seconds.
        *too_large* means that a page exceeded our limit: the next one is half as long.
        """
        if status == GONE:
            self.start_over()
        if too_large:
            self._limit = max(1, self._limit // 2)
        ceiling = min(
            self._pace.longest_pause, self._pace.first_pause * 2.0 ** min(self._attempts, 30)
        )
        self._attempts += 1
        self._pause = max(at_least, ceiling * (0.5 + 0.5 * self._random()))

    def start_over(self) -> None:
        """Distrust the version and the pages at hand: list from the beginning, the newest."""
        self.restarts += 1
        self._watching = False
        self._version = self._next_page = ""
        self._received = []
