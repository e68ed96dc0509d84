"""Watches the configuration file and everything it refers to; what is wrong changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

from common.service.settings import Problem, SettingsError
from common.service.telemetry import Reading
from gateway import settings

log = logging.getLogger("headgate.gateway.reload")

EVERY: Final = 0.5  # seconds; with the second look at files written in place, live within 1.5 s
RETRY: Final = 10  # looks until what was refused is tried again although no known file changed

Load: TypeAlias = Callable[[], settings.Loaded]
Apply: TypeAlias = Callable[[settings.Loaded], Awaitable[None]]
Prints: TypeAlias = dict[Path, tuple[int, int, int, int] | None]


class Reload:
    """Loads and applies the configuration anew when its files change.

    *load* and *apply* raise :class:`SettingsError`; then what runs goes on running, and the
    problems stay visible in ``status`` until the files are mended.
    """

    def __init__(self, current: settings.Loaded, load: Load, apply: Apply) -> None:
        self.current = current
        self.reloads = 0  # applied
        self.failures = 0  # refused
        self.problems: tuple[Problem, ...] = ()
        self.waiting: tuple[str, ...] = ()  # sections that take effect at the next start only
        self._first = current.config
        self._load, self._apply = load, apply
        # Empty, so that the first look loads once more: the files may have changed while the
        # process started.
        self._seen: Prints = {}
        self._settling: Prints | None = None
        self._retry_in = 0  # looks; 0: nothing was refused

    @property
    def status(self) -> str:
        """How the configuration is doing, in words."""
        if self.problems:
            return f"the new configuration is refused, the old one runs: {self.problems[0]}"
        names = [pipeline.name for pipeline in self.current.config.pipelines]
        pipelines = f"{len(names)} pipelines" if len(names) != 1 else "1 pipeline"
        later = f"; restart to change {', '.join(self.waiting)}" if self.waiting else ""
        return f"{pipelines}{later}"

    async def follow(self) -> None:
        """Look at the files now and then, for ever."""
        while True:
            await asyncio.sleep(EVERY)
            await self.look()

    async def look(self) -> None:
        """Look at the files once, and reload if they changed.

        A file that was replaced (as ConfigMaps and good editors do) is read at once. One that was
        written in place may be half done, so it has to look the same twice.
        """
        now = _prints(self.current.files)
        if now == self._seen:
            self._settling = None
            self._retry_in -= self._retry_in > 0
            if not self.problems or self._retry_in:
                return
        elif now != self._settling and _in_place(self._seen, now):
            self._settling = now
            return
        self._seen, self._settling = now, None
        await self._reload()

    async def _reload(self) -> None:
        try:
            loaded = self._load()
            if loaded != self.current:
                await self._apply(loaded)
        except SettingsError as error:
            self._refused(error)
            return
        self._applied(loaded)

    def _refused(self, error: SettingsError) -> None:
        # A file that is referred to may yet appear, a destination be emptied: it is tried again.
        self._retry_in = RETRY
        if error.problems == self.problems:
            return
        self.problems = error.problems
        self.failures += 1
        for problem in error.problems:
            log.warning("configuration refused: %s", problem)

    def _applied(self, loaded: settings.Loaded) -> None:
        mended, self.problems = bool(self.problems), ()
        # What is new was not looked at before it was read, so the next look loads once more.
        self._seen = {file: self._seen[file] for file in loaded.files if file in self._seen}
        if loaded == self.current:
            if mended:
                log.info("configuration is what runs already", extra={"status": self.status})
            return
        self.current = loaded
        self.waiting = settings.needs_restart(self._first, loaded.config)
        self.reloads += 1
        log.info("configuration applied", extra={"status": self.status})

    def readings(self) -> Iterable[Reading]:
        """Return the own metrics of reloading."""
        yield Reading(
            "counter",
            "headgate_gateway_reloads_total",
            "Changes of the configuration, by outcome.",
            (
                ({"outcome": "applied"}, float(self.reloads)),
                ({"outcome": "refused"}, float(self.failures)),
            ),
        )
        yield Reading(
            "gauge",
            "headgate_gateway_configuration_problems",
            "What is wrong with the configuration file as it is now.",
            (({}, float(len(self.problems))),),
        )


def _prints(files: Iterable[Path]) -> Prints:
    """Look at files through symbolic links; a stat takes microseconds, so the loop does it."""
    return {file: _print(file) for file in files}


def _print(file: Path) -> tuple[int, int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _in_place(before: Prints, after: Prints) -> bool:
    """Say whether a file changed that still is the same file."""
    pairs = [(before.get(file), new) for file, new in after.items()]
    return any(old and new and old != new and old[:2] == new[:2] for old, new in pairs)
