"""Where a redirect may lead: another path of the same server, never another server.

A target chooses the place, and the agent would go there with its credentials and from within the
cluster's network; so a target that says "elsewhere" is a failure whose words name the place.
Sources: RFC 9110, 10.2.2 and 15.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, final
from urllib.parse import urljoin, urlsplit

STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_SHOWN: Final = 200  # characters of a place in messages
_PORTS: Final = {"http": 80, "https": 443}


@final
@dataclass(slots=True, kw_only=True)
class Way:
    """The redirects of one scrape, from *url* on."""

    url: str
    limit: int
    seen: list[str] = field(default_factory=list)

    def follow(self, location: str) -> str:
        """Go on to *location*, or return why not: "" means that ``url`` is where to ask next."""
        if not self.limit:
            return f"redirects are not followed; let the target be {_shown(location)}"
        there = _resolved(self.url, location)
        if not there:
            return f"it redirects to {_shown(location)!r}, which is no URL"
        self.seen.append(self.url)
        if _origin(there) != _origin(self.url):
            return (
                f"it redirects to {_shown(there)}, but only redirects to the target's own scheme, "
                "host and port are followed; let the target be that, if it is meant"
            )
        if there in self.seen:
            circle = [*self.seen[self.seen.index(there) :], there]
            return f"it redirects in a circle: {' -> '.join(map(_path, circle))}"
        if len(self.seen) > self.limit:
            return (
                f"it redirects more than {self.limit} times, at last to {_shown(there)}; let the "
                "target be that, or raise scraping.max_redirects"
            )
        self.url = there
        return ""


def _resolved(url: str, location: str) -> str:
    """Return where *location* is as seen from *url*, or "" if that is no URL to be asked."""
    try:
        there = urljoin(url, location).partition("#")[0]
        _origin(there)
    except ValueError:
        return ""
    return there if there.isascii() and there.isprintable() and " " not in there else ""


def _origin(url: str) -> tuple[str, str, int, bool]:
    parts = urlsplit(url)
    port = parts.port if parts.port is not None else _PORTS.get(parts.scheme, 0)
    # A user name would make the target choose what the agent proves itself with.
    return parts.scheme, parts.hostname or "", port, "@" in parts.netloc


def _path(url: str) -> str:
    parts = urlsplit(url)
    return _shown(f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}")


def _shown(place: str) -> str:
    text = place if len(place) <= _SHOWN else f"{place[:_SHOWN]}..."
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
