"""Watches the configuration file and everything it refers to; what is wrong changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from common.service import files
from common.service.settings import Problem, SettingsError
from common.service.telemetry import Reading, single
from gateway import settings

log = logging.getLogger("headgate.gateway.reload")

Load: TypeAlias = Callable[[], settings.Loaded]
Apply: TypeAlias = Callable[[settings.Loaded], Awaitable[None]]


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
        # Has seen nothing, so that the first look loads once more: the files may have changed while
        # the process started.
        self._watch = files.Watch()

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
            await asyncio.sleep(files.EVERY)
            await self.look()

    async def look(self) -> None:
        """Look at the files once, and reload if they changed."""
        if self._watch.due(self.current.files):
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
        self._watch.refused()
        if error.problems == self.problems:
            return
        self.problems = error.problems
        self.failures += 1
        for problem in error.problems:
            log.warning("configuration refused: %s", problem)

    def _applied(self, loaded: settings.Loaded) -> None:
        mended, self.problems = bool(self.problems), ()
        self._watch.accepted(loaded.files)
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
        name = "headgate_gateway_configuration_problems"
        words = "What is wrong with the configuration file as it is now."
        yield single("gauge", name, words, len(self.problems), "max")
