"""Requests for tokens and what is answered to them: OAuth 2.0 client credentials.

Sources: RFC 6749 sections 2.3.1 (who we are), 4.4 (the grant), 5.1 and 5.2 (answers); RFC 6750.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import quote_plus, urlencode

import msgspec

from common.config import outputs
from common.exporters import answers, credentials

MARGIN: Final = 60.0  # seconds before its end that a token is renewed, at most
_SHARE: Final = 0.2  # of its life, for tokens that live shorter than five minutes
_FOREVER: Final = 10 * 365 * 86400.0  # seconds; more is not believed
_MAX_TOKEN: Final = 16 << 10  # bytes; servers take no headers much longer than that
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_UNKNOWN_US: Final = frozenset({"invalid_client", "unauthorized_client"})
_PERHAPS_UNKNOWN: Final = frozenset({"invalid_client", "invalid_request"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token, and when it is to be renewed; in seconds on the clock of who asked."""

    value: str
    renew_at: float
    ends_at: float  # infinity if the server did not say


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """No token, and why; *elsewhere* if saying who we are in another place may help."""

    why: str
    after: float | None = None  # seconds that the server asked to wait
    elsewhere: bool = False


class _Said(msgspec.Struct):
    """Of a JSON answer, what is known; a success has a token, a failure an error."""

    access_token: str | None = None
    token_type: str | None = None
    expires_in: float | str | None = None
    error: str | None = None
    error_description: str | None = None


def body(settings: outputs.OAuth2, *, in_form: bool) -> bytes:
    """Return the form that asks for a token; with who we are, if that goes *in_form*."""
    fields = {"grant_type": "client_credentials"}
    if settings.scopes:
        fields["scope"] = " ".join(settings.scopes)
    if in_form:
        fields |= {"client_id": settings.client_id, "client_secret": settings.client_secret}
    return urlencode({**settings.params, **fields}).encode()


def authorization(settings: outputs.OAuth2) -> str:
    """Return who we are as the header that the standard recommends: both parts form-encoded."""
    return credentials.basic(quote_plus(settings.client_id), quote_plus(settings.client_secret))


def read(
    status: int, said: bytes, settings: outputs.OAuth2, *, asked: float, after: float | None = None
) -> Token | Failed:
    """Return what a token endpoint's answer means to a request that was made at *asked*.

    *after* are the seconds of its Retry-After. Words of the server are repeated without secrets.
    """
    try:
        found = msgspec.json.decode(said, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = _Said()
        if 200 <= status < 300:
            # What it is may be a token, so nothing of it is shown.
            return Failed(why=f"HTTP {status} with {len(said)} bytes that are no token response")
    if 200 <= status < 300 and not found.error:
        return _token(found, asked)
    words = [found.error, found.error_description] if found.error else [_text(said)]
    clean = [answers.line(without(word, settings)) for word in words if word]
    why = ": ".join([f"HTTP {status}", *clean])
    if found.error in _UNKNOWN_US:
        why += "; check client_id and client_secret"
    elif 300 <= status < 400:
        why += "; redirects are not followed, change token_url"
    return Failed(why=why, after=after, elsewhere=status == 401 or found.error in _PERHAPS_UNKNOWN)


def without(text: str, settings: outputs.OAuth2) -> str:
    """Return *text* without the secrets that a request for a token has."""
    secret = settings.client_secret
    _, _, code = authorization(settings).partition(" ")
    found = {secret, quote_plus(secret), code, *_long(settings.params.values())} - {""}
    return credentials.blotted(text.encode(errors="replace"), found).decode()


def _long(values: Iterable[str]) -> Iterable[str]:
    return (form for value in values if len(value) >= 8 for form in (value, quote_plus(value)))


def _text(said: bytes) -> str:
    return said.decode("utf-8", "replace")


def _token(found: _Said, asked: float) -> Token | Failed:
    kind, value = found.token_type or "Bearer", found.access_token or ""
    if kind.lower() != "bearer":
        kind = answers.line(kind[:40])
        return Failed(why=f"the token is of type {kind!r}; only Bearer is known")
    if not _TOKEN.fullmatch(value) or len(value) > _MAX_TOKEN:
        size = len(value)
        return Failed(
            why=f"an access_token of {size} characters; expected 1 to {_MAX_TOKEN}, printable"
        )
    life = _life(found.expires_in)
    if life is None:
        return Token(value=value, renew_at=float("inf"), ends_at=float("inf"))
    ends = asked + life
    return Token(value=value, renew_at=ends - min(MARGIN, _SHARE * life), ends_at=ends)


def _life(said: float | str | None) -> float | None:
    """Return the seconds of ``expires_in``, which some servers send as a text."""
    if said is None:
        return None
    try:
        return min(_FOREVER, max(0.0, float(said)))
    except ValueError:
        return None
