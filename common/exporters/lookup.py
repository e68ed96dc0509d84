"""Addresses of names: one that nobody answers for is in the way of no other."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import TypeAlias, final

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

_Where: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
Found: TypeAlias = list[tuple[int, int, int, str, _Where]]
"""Family, kind and number of the protocol, canonical name, and where: host and port first."""
_Key: TypeAlias = tuple[str, int, int, int]


@final
class Lookup:
    """Looks names up for one destination; made while its event loop runs.

    The system's resolver cannot be interrupted, and holds a thread for a minute where name servers
    are silent. Those of an event loop are few and everybody's: with uvloop two such lookups stop
    all others. So each has a thread of its own, which nobody waits for at the end; and there is one
    at a time for a name: who asks again, after a timeout of its own, waits for the same answer.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked: dict[_Key, asyncio.Future[Found | OSError]] = {}

    async def find(self, host: str, port: int, family: int = 0, flags: int = 0) -> Found:
        """Return the addresses of *host*, as :func:`socket.getaddrinfo` does for streams.

        Raises :class:`OSError` if there are none, and :class:`UnicodeError` for what is no name.
        Has no timeout of its own: cancelling gives up waiting.
        """
        with suppress(OSError):  # it is no address, so it is a name to be looked up
            return _addresses(host, port, family, flags | socket.AI_NUMERICHOST)
        key = host, port, family, flags
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = self._loop.create_future()
            threading.Thread(
                target=self._look, args=(key,), name=f"look up {host}", daemon=True
            ).start()
        found = await asyncio.shield(asked)
        if isinstance(found, Exception):
            raise found
        return found

    def _look(self, key: _Key) -> None:
        found: Found | OSError
        try:
            found = _addresses(*key)
        except OSError as error:
            found = error
        with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            self._loop.call_soon_threadsafe(self._tell, key, found)

    def _tell(self, key: _Key, found: Found | OSError) -> None:
        asked = self._asked.pop(key)
        if not asked.done():  # unless the loop ends
            asked.set_result(found)


@final
class Resolver(AbstractResolver):
    """What aiohttp asks for addresses."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; raises :class:`OSError` if there are none."""
        # Those of a kind that this machine has no address of are left out.
        found = await self._lookup.find(host, port, family, socket.AI_ADDRCONFIG)
        return [
            ResolveResult(
                hostname=host,
                host=_text(where),
                port=int(where[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, where in found
        ]

    @override
    async def close(self) -> None:
        """Do nothing: threads end when their lookup does."""


def _addresses(host: str, port: int, family: int, flags: int) -> Found:
    return [*socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags)]


def _text(where: _Where) -> str:
    """Return the address, with the interface that one of IPv6 may need."""
    scope = where[3] if len(where) == 4 else 0
    return f"{where[0]}%{scope}" if scope else str(where[0])
