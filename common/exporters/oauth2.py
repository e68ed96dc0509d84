"""A destination's token: asked for at its first use, shared, renewed in time, dropped when refused.

Source: RFC 6749 section 4.4, client credentials.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, final
from urllib.parse import urlsplit

from typing_extensions import override

from common.config import outputs
from common.exporters import answers, credentials, http_posting, tokens
from common.exporters.outcomes import Proofs, Retry
from common.exporters.tokens import Failed, Token

RENEW_AGAIN: Final = 5.0  # seconds after a renewal failed, while the token is still good
LEAST_LIFE: Final = 1.0  # seconds between two tokens that are dropped because they were refused

_LOG = logging.getLogger("headgate.exporters.oauth2")


@final
class Tokens(credentials.Proof):
    """The headers of an output, and a token in its authorization; made by `asking`.

    One request for a token is in flight at a time. Who needs its answer waits, and shares it. A
    token that is due for renewal and still good is used meanwhile.
    """

    def __init__(
        self,
        poster: http_posting.Poster,
        identity: _Identity,
        output: outputs.Output,
        *,
        unix_now: Callable[[], float],
    ) -> None:
        self._poster, self._identity, self._unix_now = poster, identity, unix_now
        self._now = asyncio.get_running_loop().time
        self._plain = credentials.headers_of(output)
        self._settings = settings_of(output)
        self._headers: Mapping[str, str] = self._plain
        self._token: Token | None = None
        self._in_form = False  # where the server wants to read who we are
        self._turn = asyncio.Lock()
        self._outcome = ""  # of the last request: why there was no token
        self._after: float | None = None
        self._dropped = float("-inf")  # when a token was refused
        self.requests = 0
        """Requests for a token that ended, well or not."""
        self.failures = 0
        """Of these, the ones that gave none."""

    @override
    async def headers(self) -> Mapping[str, str] | Retry:
        held = self._token
        if held is not None:
            now = self._now()
            if now < held.renew_at or (now < held.ends_at and self._turn.locked()):
                return self._headers
        before = self.requests
        async with self._turn:
            if self.requests == before:
                await self._ask()
        held = self._token
        if held is not None and (not self._outcome or self._now() < held.ends_at):
            return self._headers
        why = self._outcome or "the token was refused while others waited for it"
        return Retry(f"no token from {self._where}: {why}", self._after)

    @override
    def refused(self, headers: Mapping[str, str]) -> bool:
        """Drop the token of *headers*, unless that is done; say whether to ask for others."""
        if self._token is None or headers is not self._headers:
            return True
        now = self._now()
        if now - self._dropped < LEAST_LIFE:
            return False  # who does not believe one fresh token will not believe the next
        self._dropped, self._token = now, None
        return True

    @override
    def renew(self, output: outputs.Output) -> None:
        """Use the secrets of *output*; a token got with the former ones serves until it is new."""
        self._plain = credentials.headers_of(output)
        settings = settings_of(output)
        held = self._token
        if settings != self._settings and held is not None:
            held = self._token = replace(held, renew_at=float("-inf"))
        self._settings = settings
        if held is not None:
            self._wear(held)

    @override
    def proofs(self) -> Proofs:
        own = Proofs(tokens=self.requests - self.failures, token_failures=self.failures)
        return own.plus(self._poster.proofs())

    @property
    def _where(self) -> str:
        return urlsplit(self._settings.token_url).netloc

    async def _ask(self) -> None:
        settings, asked = self._settings, self._now()
        found = await self._request(settings, asked, in_form=self._in_form)
        if isinstance(found, Failed) and found.elsewhere:
            other = await self._request(settings, asked, in_form=not self._in_form)
            if isinstance(other, Token):
                self._in_form = not self._in_form
                found = other
        self.requests += 1
        if isinstance(found, Failed):
            self.failures += 1
            self._outcome, self._after = found.why, found.after
            held, now = self._token, self._now()
            if held is not None and now < held.ends_at:
                self._token = replace(held, renew_at=min(held.ends_at, now + RENEW_AGAIN))
                _LOG.warning(
                    "token could not be renewed, the present one is used until it ends",
                    extra={"endpoint": self._where, "error": found.why},
                )
            return
        self._outcome, self._after = "", None
        if settings != self._settings:  # the secret changed while we waited
            found = replace(found, renew_at=float("-inf"))
        self._token = found
        self._wear(found)

    async def _request(
        self, settings: outputs.OAuth2, asked: float, *, in_form: bool
    ) -> Token | Failed:
        self._identity.headers = (
            {} if in_form else {"authorization": tokens.authorization(settings)}
        )
        answer = await self._poster.post(tokens.body(settings, in_form=in_form))
        if isinstance(answer, Retry):
            return Failed(why=tokens.without(answer.why, settings), after=answer.after)
        return tokens.read(
            answer.status,
            answer.body,
            settings,
            asked=asked,
            after=answers.retry_after(answer.retry_after, self._unix_now(), answer.date),
        )

    def _wear(self, token: Token) -> None:
        self._headers = {**self._plain, "authorization": f"Bearer {token.value}"}


@final
class _Identity:
    """Who we are to the token endpoint, at the request that is being made."""

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}


def settings_of(output: outputs.Output) -> outputs.OAuth2:
    """Return the section of *output*, which must have one."""
    section = output.otlp or output.remote_write
    if section is None or section.auth.oauth2 is None:
        raise RuntimeError("BUG: tokens for an output without oauth2")
    return section.auth.oauth2


@asynccontextmanager
async def asking(
    output: outputs.Output, *, user_agent: str, unix_now: Callable[[], float]
) -> AsyncIterator[Tokens]:
    """Own the connections to the token endpoint of *output*; nothing is asked before it is needed.

    *unix_now* answers seconds since the Unix epoch, for dates in Retry-After. Raises
    :class:`OSError` if a file of its ``tls`` cannot be used.
    """
    settings, identity = settings_of(output), _Identity()
    async with http_posting.posting(
        settings.token_url,
        headers={
            "user-agent": user_agent,
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        },
        proof=credentials.Asked(lambda: identity.headers),
        attempt_timeout=settings.timeout,
        tls=settings.tls,
    ) as poster:
        yield Tokens(poster, identity, output, unix_now=unix_now)
