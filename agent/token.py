"""The bearer token that proves this agent to the gateway, as its file has it now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

log = logging.getLogger("headgate.agent.token")

MAX_BYTES: Final = 16 << 10  # a projected service account token has about 1.5 KB


@final
class TokenFile:
    """Answers the token, looking at the file at most once a second.

    Rotation replaces the file, so size, time and inode tell; between looks, and while the file is
    away or unreadable, the last token holds: the gateway decides whether it is still good.
    """

    __slots__ = ("_looked", "_now", "_path", "_seen", "_token")

    def __init__(self, path: str, now: Callable[[], float]) -> None:
        self._path, self._now = path, now
        self._token = ""
        self._seen: tuple[int, int, int] | None = None
        self._looked = float("-inf")

    def __call__(self) -> str:
        """Return the token without white space around it; "" when there is no file to read."""
        now = self._now()
        if self._path and now - self._looked >= 1.0:
            self._looked = now
            self._look()
        return self._token

    def _look(self) -> None:
        try:
            status = Path(self._path).stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return
            with Path(self._path).open(encoding="utf-8") as file:
                token = file.read(MAX_BYTES).strip()
        except (OSError, UnicodeDecodeError) as error:
            log.warning(
                "cannot read the token file; the last token is kept",
                extra={"path": self._path, "why": str(error)},
            )
            return
        self._token, self._seen = token, seen
