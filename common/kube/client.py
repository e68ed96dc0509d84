"""A thin client of the Kubernetes API: bytes of answers and watch lines, and three ways to fail."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import aiohttp
import msgspec
from typing_extensions import override

from common.kube import credentials, objects, reflector

PATCHES: Final[Mapping[str, str]] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",  # JSON is YAML
}
Patch: TypeAlias = Literal["merge", "json", "strategic", "apply"]
MAX_ERROR_BYTES: Final = 64 << 10


class Failure(Exception):
    """A request did not bring what was asked for; the message is for people."""


class Unreachable(Failure):
    """There was no answer: refused, reset, timed out, not trusted."""


class Refused(Failure):
    """The API server said no: HTTP ``status``, and ``retry_after`` in seconds (0: unsaid)."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}" if message else f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class TooLong(Failure):
    """The answer exceeds our limit; ask for less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one answer may cost; times in seconds, sizes in bytes."""

    connect_timeout: float = 5.0
    request_timeout: float = 30.0
    silence: float = 30.0  # how long after its own timeout a watch may keep a dead connection
    max_page_bytes: int = 64 << 20  # 500 pods of 10 KB are 5 MB
    max_line_bytes: int = 8 << 20  # etcd keeps 1.5 MB an object; managedFields come on top


class Client:
    """Talks to one API server. Every call may raise :class:`Failure`."""

    __slots__ = ("_access", "_limits", "_session")

    def __init__(
        self, session: aiohttp.ClientSession, access: credentials.Access, limits: Limits
    ) -> None:
        self._session = session
        self._access = access
        self._limits = limits

    @override
    def __repr__(self) -> str:
        return f"<Client of {self._access.server}>"

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """Return the body of what is at *path*."""
        return await self._ask("GET", path, params)

    async def page(
        self, path: str, step: reflector.ListPage, selectors: Mapping[str, str] | None = None
    ) -> bytes:
        """Return one page of the collection at *path*, as fieldSelector and labelSelector say."""
        params = {"limit": str(step.limit), **(selectors or {})}
        if step.next_page:
            params["continue"] = step.next_page  # the token knows the version
        elif step.version:
            params["resourceVersion"] = step.version
        return await self._ask("GET", path, params)

    @asynccontextmanager
    async def watch(
        self, path: str, step: reflector.Watch, selectors: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch of the collection at *path*; yields its lines, one JSON event each."""
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(step.timeout),
            "resourceVersion": step.version,
            **(selectors or {}),
        }
        patience = aiohttp.ClientTimeout(
            sock_connect=self._limits.connect_timeout, sock_read=step.timeout + self._limits.silence
        )
        async with (
            self._open("GET", path, params, patience=patience) as response,
            aclosing(self._lines(response, path)) as lines,
        ):
            yield lines

    async def create(self, path: str, item: object) -> bytes:
        """Add *item*, which msgspec encodes, to the collection at *path*; return what it became."""
        return await self._ask("POST", path, None, body=msgspec.json.encode(item))

    async def replace(self, path: str, item: object) -> bytes:
        """Put *item* in the place of the object at *path*; return what it became."""
        return await self._ask("PUT", path, None, body=msgspec.json.encode(item))

    async def patch(
        self,
        path: str,
        change: object,
        *,
        kind: Patch = "merge",
        params: Mapping[str, str] | None = None,
    ) -> bytes:
        """Change the object at *path*; ``apply`` needs fieldManager among *params*."""
        body = msgspec.json.encode(change)
        return await self._ask("PATCH", path, params, body=body, content_type=PATCHES[kind])

    async def delete(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """Delete the object, or the collection, at *path*."""
        return await self._ask("DELETE", path, params)

    async def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        patience = aiohttp.ClientTimeout(
            total=self._limits.request_timeout, sock_connect=self._limits.connect_timeout
        )
        async with self._open(
            method, path, params, patience=patience, body=body, content_type=content_type
        ) as response:
            with _in_words():
                return await _read(response, self._limits.max_page_bytes, path)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        *,
        patience: aiohttp.ClientTimeout,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        # Compression would save bytes inside the cluster and cost more CPU than decoding does.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = content_type
        with _in_words():
            if self._access.renew is not None:
                await self._access.renew()
            if header := self._access.authorization():
                headers["Authorization"] = header
            response = await self._session.request(
                method,
                self._access.server + path,
                params=params,
                headers=headers,
                data=body,
                timeout=patience,
                ssl=self._access.tls or True,
                server_hostname=self._access.server_name or None,
                proxy=self._access.proxy or None,
                allow_redirects=False,  # a redirect would carry the token elsewhere
            )
        async with response:
            if response.status >= 300:
                with _in_words():
                    raise _refusal(response, await _read(response, MAX_ERROR_BYTES, path))
            yield response

    async def _lines(
        self, response: aiohttp.ClientResponse, path: str
    ) -> AsyncGenerator[bytes, None]:
        parts: list[bytes] = []  # of a line that has not ended
        held = 0
        chunks = response.content.iter_any()
        while True:
            with _in_words():
                chunk = await anext(chunks, b"")
            if not chunk:
                return  # an unfinished line is no event
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                yield b"".join((*parts, line))
                parts, held = [], 0
            parts.append(rest)
            held += len(rest)
            if held > self._limits.max_line_bytes:
                raise TooLong(
                    f"a watch event of {path} exceeds {self._limits.max_line_bytes} bytes"
                )


@asynccontextmanager
async def connecting(
    access: credentials.Access, limits: Limits | None = None
) -> AsyncIterator[Client]:
    """Own the connections to one API server; entering does not connect."""
    connector = aiohttp.TCPConnector(
        ssl=access.tls or True, keepalive_timeout=60.0, socket_factory=_kept_alive
    )
    # No cookies, no environment proxies: an API server uses neither, and surprises are costly.
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        yield Client(session, access, limits or Limits())


def _kept_alive(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make a socket that notices within a minute that the other side is gone.

    A watch is silent for minutes; without probes a lost node looks exactly like a quiet cluster.
    """
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # macOS lacks the first by that name
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn what aiohttp and the operating system raise into :class:`Unreachable`, in few words."""
    try:
        yield
    except TimeoutError as error:
        raise Unreachable("timed out") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise Unreachable(_of_system(error.certificate_error)) from error
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(_of_system(error.os_error)) from error
    except OSError as error:
        raise Unreachable(_of_system(error)) from error
    except (aiohttp.ClientError, asyncio.IncompleteReadError) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    except UnicodeError as error:  # a host with a label that is empty or too long
        raise Unreachable(f"not a host name: {error}") from error


def _of_system(error: Exception) -> str:
    """Say "connection refused", not "Connect call failed ('10.0.0.1', 443)"."""
    # Errors of TLS and of the resolver are OSErrors too, with numbers of their own.
    if isinstance(error, ssl.SSLError | socket.gaierror):
        return str(error.args[-1])
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number else str(error)


async def _read(response: aiohttp.ClientResponse, max_bytes: int, path: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            raise TooLong(f"the answer of {path} exceeds {max_bytes} bytes; ask for fewer items")
        parts.append(chunk)
    return b"".join(parts)


def _refusal(response: aiohttp.ClientResponse, body: bytes) -> Refused:
    status = objects.status_of(body)
    after = response.headers.get("Retry-After", "")
    return Refused(
        response.status,
        status.reason or response.reason or "refused",
        status.message,
        min(float(after), 300.0) if after.isascii() and after.isdigit() else 0.0,
    )
