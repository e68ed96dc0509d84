"""Whose turn it is to send where order means something: the former destination goes first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, final

PATIENCE: Final = 5.0  # seconds; a former destination that cannot send holds nobody up for longer


@final
class Handover:
    """Tells a destination when the one before it, of the same pipeline and URL, has ended."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], asyncio.Event] = {}

    @contextmanager
    def turn(self, pipeline: str, url: str) -> Iterator[asyncio.Event | None]:
        """Yield what is set when the one before has ended; ``None`` if there is none."""
        key, ended = (pipeline, url), asyncio.Event()
        before = self._last.get(key)
        self._last[key] = ended
        try:
            yield before
        finally:
            ended.set()
            if self._last.get(key) is ended:
                del self._last[key]


async def wait(before: asyncio.Event | None) -> None:
    """Wait until the one *before* has ended, `PATIENCE` seconds at most."""
    if before is not None:
        try:
            async with asyncio.timeout(PATIENCE):
                await before.wait()
        except TimeoutError:
            return
