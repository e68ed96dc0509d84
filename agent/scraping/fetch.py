"""A lean HTTP/1.1 client for scrapes: one connection per target, kept between scrapes.

It spends a quarter of the CPU of a general client on the same body, and every failure comes back as
a value in words.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass, replace
from typing import final
from urllib.parse import urlsplit

from agent import urls
from agent.scraping import connection, negotiation, redirects, response
from agent.scraping.credentials import Profile, Ready
from agent.scraping.response import Cause, Failed, Fetched, Outcome
from agent.scraping.room import Room


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """How a target is asked; ``timeout`` in seconds covers everything from the name to the body."""

    url: str
    timeout: float
    max_bytes: int
    user_agent: str
    max_redirects: int = 0
    compression: bool = False
    """Whether the target may compress; what is compressed unasked is understood all the same."""
    protobuf: bool = False
    """Whether protobuf is what we would like best."""
    escaping: str = "allow-utf-8"
    """What the target shall make of names that are not of letters, digits and underscores."""
    fallback: bool = True
    """Whether an answer without a usable type is read as text."""

    def encode(self, url: str = "", authorization: str = "") -> bytes:
        """Return the bytes that go on the wire, for *url* if it is not the request's own."""
        parts = urlsplit(url or self.url)
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"User-Agent: {self.user_agent}",
            f"Accept: {negotiation.accept(protobuf=self.protobuf, escaping=self.escaping)}",
            f"Accept-Encoding: {negotiation.accept_encoding(compression=self.compression)}",
            f"X-Prometheus-Scrape-Timeout-Seconds: {self.timeout:g}",
        ]
        if authorization:
            lines.append(f"Authorization: {authorization}")
        return "\r\n".join((*lines, "", "")).encode("ascii")


class Client:
    """Asks one target, again and again, one request at a time. Close it in the end.

    *credentials* say how it is proven, and we to it; bodies take their share of *room*.
    """

    __slots__ = (
        "_address", "_bytes", "_connection", "_credentials", "_lease", "_ready", "_request",
        "_room", "_secure", "_way",
    )  # fmt: skip

    def __init__(self, request: Request, credentials: Profile, room: Room) -> None:
        parts = urlsplit(request.url)
        self._secure = parts.scheme == "https"
        self._address = (parts.hostname or "", urls.port(parts))
        self._request, self._credentials, self._room = request, credentials, room
        self._ready = Ready()
        self._bytes = request.encode()
        self._connection: connection.Connection | None = None
        self._lease = room.lease()
        self._way = self._new_way()

    def close(self) -> None:
        """Close the connection at once."""
        self._lease.release()
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def fetch(self) -> Outcome:
        """Ask once; every failure that the target or the network can cause is a value."""
        ready = self._credentials.ready(secure=self._secure)
        if isinstance(ready, Failed):
            self.close()
            return ready
        if ready is not self._ready:
            self._take(ready)
        if self._way.seen:
            self._way = self._new_way()
        return await self._ask(self._way)

    async def _ask(self, way: redirects.Way) -> Outcome:
        """Go *way* to its end."""
        request, answer = self._bytes, self._answer()
        try:
            async with asyncio.timeout(self._request.timeout):
                while True:
                    reused = self._connection is not None and self._connection.open
                    await (await self._connected()).exchange(request, answer, self._lease)
                    if reused and not answer.received:
                        # The server closed the idle connection while the request was on its way.
                        answer = self._answer()
                        await (await self._connected()).exchange(request, answer, self._lease)
                    if (found := _judged(answer.outcome(), way)) is not None:
                        return found
                    if not answer.reusable:
                        self.close()
                    request = self._request.encode(way.url, self._ready.authorization)
                    answer = self._answer()
        except TimeoutError:
            return self._too_late(answer)
        except OSError as error:
            return self._in_words(error)
        finally:
            self._lease.release()
            if not answer.reusable:
                self.close()

    def _new_way(self) -> redirects.Way:
        return redirects.Way(url=self._request.url, limit=self._request.max_redirects)

    def _answer(self) -> response.Response:
        return response.Response(self._request.max_bytes, fallback=self._request.fallback)

    def _take(self, ready: Ready) -> None:
        """Turn to what proves us, and the target, from now on."""
        if ready.tls is not self._ready.tls:
            # A connection lives as long as its target: it would never see the new certificates.
            self.close()
        if ready.authorization != self._ready.authorization:
            self._bytes = self._request.encode(authorization=ready.authorization)
        self._ready = ready

    async def _connected(self) -> connection.Connection:
        """Return the connection there is, or make one."""
        if self._connection is not None and self._connection.open:
            return self._connection
        self._connection = None
        host, port = self._address
        secure = self._ready.tls
        loop = asyncio.get_running_loop()
        _, self._connection = await loop.create_connection(
            lambda: connection.Connection(loop),
            host,
            port,
            ssl=secure,
            server_hostname=(self._credentials.server_name or host) if secure else None,
        )
        return self._connection

    def _too_late(self, answer: response.Response) -> Failed:
        """Say how far it came in the time it had."""
        limit = f"{self._request.timeout:g} s"
        if self._lease.waits:
            return Failed(
                cause=Cause.NO_ROOM,
                why=f"no room: for {limit} others' bodies held {self._lease.others} of "
                f"{self._room.size} bytes, and this one wants {answer.wanted}; raise "
                "scraping.max_fetching_bytes",
            )
        where = answer.progress if self._connection is not None else "still connecting"
        return Failed(
            cause=Cause.TIMEOUT, why=f"timeout: no complete answer within {limit} ({where})"
        )

    def _in_words(self, error: OSError) -> Failed:
        """Say why there is no connection."""
        host, port = self._address
        match error:
            case socket.gaierror():
                return Failed(
                    cause=Cause.DNS, why=f"dns: no address for {host!r}: {error.strerror}"
                )
            case ssl.SSLCertVerificationError():
                return Failed(cause=Cause.TLS, why=f"tls: {error.verify_message}")
            case ssl.SSLError():
                return Failed(cause=Cause.TLS, why=f"tls: {connection.reason(error)}")
            case ConnectionAbortedError() if self._secure:
                return Failed(cause=Cause.TLS, why=f"tls: the handshake was cut off: {error}")
            case _ if _is_refusal(error):
                return Failed(cause=Cause.REFUSED, why="connection refused")
            case _:
                why = f"cannot reach {host}:{port}: {connection.of_system(error)}"
                return Failed(cause=Cause.UNREACHABLE, why=why)


def _judged(found: Fetched | Failed | response.Moved, way: redirects.Way) -> Outcome | None:
    """Say what to return, or go on along *way* and say nothing."""
    match found:
        case Fetched():
            return replace(found, redirects=len(way.seen)) if way.seen else found
        case Failed():
            return found
        case response.Moved(location=location, status=status):
            why = way.follow(location)
            return Failed(cause=Cause.REDIRECT, why=f"{status}: {why}") if why else None


def _is_refusal(error: OSError) -> bool:
    """Tell a refusal; a name with several addresses gives an error without a number."""
    return isinstance(error, ConnectionRefusedError) or (
        error.errno is None and f"[Errno {errno.ECONNREFUSED}]" in str(error)
    )
