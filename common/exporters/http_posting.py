"""POST requests to one URL: what HTTP exporters have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import final

import aiohttp
from yarl import URL

from common.config import shared
from common.exporters import answers, tls as certificates
from common.exporters.outcomes import Retry
from common.wire import compression, errors

_MAX_ERROR = 64 << 10  # bytes of an error body that are read; a fraction of that is shown
_MAX_RESPONSE = 4 << 20  # bytes of any other body; OTLP's recommendation
_KEEPALIVE = 90.0  # seconds an idle connection is kept


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the backend said."""

    status: int
    content_type: str
    retry_after: str | None
    body: bytes  # inflated; cut at a limit
    date: str | None = None  # when the backend said so, by its clock

    @property
    def why(self) -> str:
        """The status and the error body in words."""
        said = answers.words(self.body, self.content_type)
        return f"HTTP {self.status}: {said}" if said else f"HTTP {self.status}"


@final
class Poster:
    """Posts bodies with the same headers to the same URL."""

    def __init__(self, session: aiohttp.ClientSession, url: URL, server_name: str | None) -> None:
        self._session, self._url, self._server_name = session, url, server_name

    async def post(self, body: bytes) -> Answer | Retry:
        """Make one attempt; no answer at all is worth another one."""
        try:
            async with self._session.post(
                self._url, data=body, allow_redirects=False, server_hostname=self._server_name
            ) as response:
                most = _MAX_RESPONSE if response.status < 300 else _MAX_ERROR
                return Answer(
                    status=response.status,
                    content_type=response.headers.get("Content-Type", ""),
                    retry_after=response.headers.get("Retry-After"),
                    date=response.headers.get("Date"),
                    body=await _read(response, most),
                )
        except TimeoutError:
            return Retry(f"no answer within {self._session.timeout.total} s; see timeout")
        except aiohttp.ClientResponseError as error:  # its text has the URL, query and all
            return Retry(answers.line(f"{type(error).__name__}: {error.message}"))
        except (aiohttp.ClientError, OSError, UnicodeError) as error:  # a host that is no name
            return Retry(answers.line(f"{type(error).__name__}: {error}"))


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
    url: str, *, headers: Mapping[str, str], attempt_timeout: float, tls: shared.Tls
) -> AsyncIterator[Poster]:
    """Own the connections to *url*; *attempt_timeout* is in seconds.

    Names in *headers* are lower case. A user and password in *url* are sent as basic authorization.
    Raises :class:`OSError` if a file of *tls* cannot be used.
    """
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,  # delivery bounds the requests in flight
            keepalive_timeout=_KEEPALIVE,
            ssl=certificates.context(tls) if url.startswith("https:") else True,
        ),
        # We ask for plain answers, and inflate others ourselves, within a limit.
        headers={"accept-encoding": "identity", **headers},
        timeout=aiohttp.ClientTimeout(total=attempt_timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    ) as session:
        yield Poster(session, URL(url), tls.server_name or None)
