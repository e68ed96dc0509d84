"""POST requests to one URL: what HTTP exporters have in common."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from common.config import shared
from common.exporters import answers, credentials, lookup, tls as certificates
from common.exporters.outcomes import Proofs, Retry
from common.wire import compression, errors

_MAX_ERROR = 64 << 10  # bytes of an error body that are read; a fraction of that is shown
_MAX_RESPONSE = 4 << 20  # bytes of any other body; OTLP's recommendation

# Seconds that connections serve, give or take a tenth: who keeps one sticks to one replica.
MAX_AGE: Final = 60.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the backend said."""

    status: int
    content_type: str
    retry_after: str | None
    body: bytes  # inflated; cut at a limit
    date: str | None = None  # when the backend said so, by its clock
    headers: Mapping[str, str] = field(default_factory=dict)  # names in any case

    @property
    def why(self) -> str:
        """The status and the error body in words."""
        said = answers.words(self.body, self.content_type)
        return f"HTTP {self.status}: {said}" if said else f"HTTP {self.status}"


@final
@dataclass(slots=True, eq=False)
class _Pool:
    """Connections of one generation, and how many requests are on them."""

    session: aiohttp.ClientSession
    context: ssl.SSLContext | None
    worn: float  # seconds on the loop's clock
    users: int = 0


@final
class Poster:
    """Posts bodies with the same headers to the same URL; made by `posting`."""

    def __init__(
        self,
        connect: Callable[[ssl.SSLContext | None], aiohttp.ClientSession],
        url: URL,
        *,
        proof: credentials.Proof,
        attempt_timeout: float,
        trusted: certificates.Certificates | None,
        server_name: str | None,
    ) -> None:
        self._connect, self._url = connect, url
        self._proof, self._timeout = proof, attempt_timeout
        self._trusted, self._server_name = trusted, server_name
        self._now = asyncio.get_running_loop().time
        self._pool: _Pool | None = None
        self._former: list[_Pool] = []  # with requests that are not through yet

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> Answer | Retry:
        """Make one attempt; no answer at all is worth another one.

        *headers* of this request alone come before those of all; their names are lower case. When
        the backend does not believe our token, and another can be had, it is made twice.
        """
        own = headers or {}
        return await credentials.proven(
            self._proof, lambda proved: self._attempt(body, own, proved), _unauthenticated
        )

    def proofs(self) -> Proofs:
        """Return how the proof and the certificates fare."""
        proofs = self._proof.proofs()
        return proofs if self._trusted is None else proofs.plus(self._trusted.proofs())

    async def close(self) -> None:
        """Close all connections."""
        for pool in (self._pool, *self._former):
            if pool is not None:
                await pool.session.close()

    async def _attempt(
        self, body: bytes, own: Mapping[str, str], proved: Mapping[str, str]
    ) -> Answer | Retry:
        pool, idle = self._take()
        try:
            if idle is not None:
                await idle.session.close()  # hangs up at once, waits for nobody
            async with pool.session.post(
                self._url,
                data=body,
                headers={**proved, **own},
                allow_redirects=False,
                server_hostname=self._server_name,
            ) as response:
                most = _MAX_RESPONSE if response.status < 300 else _MAX_ERROR
                said = await _read(response, most)
                if said:
                    said = credentials.blotted(said, credentials.secrets_of(proved))
                return Answer(
                    status=response.status,
                    content_type=response.headers.get("Content-Type", ""),
                    retry_after=response.headers.get("Retry-After"),
                    date=response.headers.get("Date"),
                    body=said,
                    headers=response.headers,
                )
        except TimeoutError:
            return Retry(f"no answer within {self._timeout:g} s; see timeout")
        except aiohttp.ClientResponseError as error:  # its text has the URL, query and all
            return Retry(answers.line(f"{type(error).__name__}: {error.message}"))
        except (aiohttp.ClientError, OSError, UnicodeError) as error:  # a host that is no name
            return Retry(answers.line(f"{type(error).__name__}: {error}"))
        finally:
            pool.users -= 1
            if not pool.users and pool in self._former:
                self._former.remove(pool)
                await pool.session.close()

    def _take(self) -> tuple[_Pool, _Pool | None]:
        """Return connections for a new request, not too old and of the right certificates.

        With them comes their predecessor, if it is to be closed.
        """
        now = self._now()
        context = None if self._trusted is None else self._trusted.context(now)
        last = self._pool
        if last is not None and last.context is context and now < last.worn:
            last.users += 1
            return last, None
        # A tenth more or less, lest all destinations and all gateways do it at once.
        age = MAX_AGE * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        self._pool = pool = _Pool(self._connect(context), context, now + age, users=1)
        if last is not None and last.users:
            self._former.append(last)
            return pool, None
        return pool, last


def _unauthenticated(answer: Answer | Retry) -> bool:
    return isinstance(answer, Answer) and answer.status == 401


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return up to *most* bytes of the body, inflated; nothing if they cannot be had.

    The status has decided already: a body that breaks off must not make us send a request again.
    """
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk[: most - len(body)]
            if len(body) >= most:
                response.close()  # what else comes is not worth waiting for
                break
    except (aiohttp.ClientError, OSError, TimeoutError):
        return b""
    encoding = response.headers.get("Content-Encoding", "")
    if not encoding:
        return bytes(body)
    try:
        return compression.inflate(bytes(body), encoding, most)
    except (errors.Malformed, errors.TooLarge):
        return b""


@asynccontextmanager
async def posting(
    url: str,
    *,
    headers: Mapping[str, str],
    proof: credentials.Proof,
    attempt_timeout: float,
    tls: shared.Tls,
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[Poster]:
    """Own the connections to *url*; *attempt_timeout* is in seconds.

    Names in *headers* are lower case; those of *proof*, which is asked at every request, win. A
    user in *url* is not sent: that is a matter of *proof*. *resolver* looks names up, by default
    the system does. Raises :class:`OSError` if a file of *tls* cannot be used.
    """
    loop = asyncio.get_running_loop()
    secure = url.startswith("https:")
    trusted = certificates.Certificates(tls, now=loop.time()) if secure else None

    names = resolver or lookup.Resolver(lookup.Lookup())

    def connect(context: ssl.SSLContext | None) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # delivery bounds the requests in flight
                keepalive_timeout=MAX_AGE,
                ssl=True if context is None else context,
                use_dns_cache=False,  # connections are rare, and a name that moved is followed
                resolver=names,
            ),
            # We ask for plain answers, and inflate others ourselves, within a limit.
            headers={"accept-encoding": "identity", **headers},
            timeout=aiohttp.ClientTimeout(total=attempt_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    poster = Poster(
        connect,
        URL(url).with_user(None),
        proof=proof,
        attempt_timeout=attempt_timeout,
        trusted=trusted,
        server_name=tls.server_name or None,
    )
    try:
        yield poster
    finally:
        await poster.close()
