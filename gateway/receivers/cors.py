"""Which web pages may send, told to browsers: the CORS protocol of the Fetch standard.

Source: https://fetch.spec.whatwg.org, sections 3.2.2 and 3.2.3. A browser enforces it, not we: a
page that is not allowed gets its answer without the headers that would let it see it.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from common.config import doors

Headers: TypeAlias = tuple[tuple[str, str], ...]

ALWAYS: Final = ("content-type", "content-encoding")
ANY: Final = "*"
ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
_VARY: Final = ("Vary", "Origin")


class Policy:
    """What pages of which origins may do; false if no page may do anything."""

    __slots__ = ("_any", "_headers", "_max_age", "_origins")

    def __init__(self, settings: doors.Cors) -> None:
        origins = [origin.lower() for origin in settings.allowed_origins]
        self._any = ANY in origins
        # A pattern is the texts between its stars: matched without backtracking, since whoever
        # sends an origin chooses how long it is.
        self._origins = tuple(tuple(each.split(ANY)) for each in origins if each != ANY)
        self._headers = {*ALWAYS, *(name.lower() for name in settings.allowed_headers)}
        self._max_age = int(settings.max_age)

    def __bool__(self) -> bool:
        """Whether any page may send."""
        return self._any or bool(self._origins)

    def answer(self, origin: str) -> Headers:
        """Return the headers of any answer to a page of *origin* ("" if it did not say).

        An origin that is named, by a pattern too, may send with credentials; one that is allowed
        because all are may not, or any page could borrow what a browser knows of its user.
        """
        if not self:
            return ()
        # _VARY also for one that is not allowed: caches must not give its answer to another.
        if origin and any(_matches(origin.lower(), pattern) for pattern in self._origins):
            return (_VARY, (ALLOW_ORIGIN, origin), ("Access-Control-Allow-Credentials", "true"))
        if origin and self._any:
            return (_VARY, (ALLOW_ORIGIN, origin))
        return (_VARY,)

    def preflight(self, origin: str, headers: str) -> Headers:
        """Return the headers of the answer to a page that asks whether it may POST.

        *headers* are the names it wants to set, as it wrote them; those allowed are told.
        """
        told = self.answer(origin)
        if len(told) < 2:
            return told
        wanted = dict.fromkeys(name.strip().lower() for name in headers.split(","))
        allowed = ", ".join(name for name in wanted if name in self._headers)
        if allowed:
            told += (("Access-Control-Allow-Headers", allowed),)
        return (
            *told,
            ("Access-Control-Allow-Methods", "POST"),
            ("Access-Control-Max-Age", str(self._max_age)),
        )


def _matches(origin: str, pattern: tuple[str, ...]) -> bool:
    """Say whether *origin* is the texts of *pattern* in order, with anything between them."""
    first, *middle = pattern
    if not middle:
        return origin == first
    last = middle.pop()
    at, end = len(first), len(origin) - len(last)
    if at > end or not (origin.startswith(first) and origin.endswith(last)):
        return False
    for text in middle:
        found = origin.find(text, at, end)
        if found < 0:
            return False
        at = found + len(text)
    return True
