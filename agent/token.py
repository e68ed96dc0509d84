"""A bearer token that proves this agent to the gateway or to a target, as its file has it now."""

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

    __slots__ = ("_looked", "_now", "_path", "_seen", "_token", "failures", "reloads", "trouble")

    def __init__(self, path: str, now: Callable[[], float]) -> None:
        self._path, self._now = path, now
        self._token = ""
        self._seen: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        self.reloads = 0
        """How often a changed file was taken."""
        self.failures = 0
        """How often it could not be read."""
        self.trouble = ""
        """Why the last look failed, "" when it did not."""

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
                self.trouble = ""
                return
            with Path(self._path).open(encoding="utf-8") as file:
                token = file.read(MAX_BYTES).strip()
        except (OSError, UnicodeDecodeError) as error:
            self.failures += 1
            self.trouble = _in_words(error)
            log.warning(
                "cannot read the token file; the last token is kept",
                extra={"path": self._path, "why": self.trouble},
            )
            return
        self.reloads += self._seen is not None
        self._token, self._seen, self.trouble = token, seen, ""


def _in_words(error: OSError | UnicodeDecodeError) -> str:
    """Say what is wrong with the file; what a decoding error quotes may be the secret."""
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "it is not UTF-8"
