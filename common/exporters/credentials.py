"""How a request proves who sends it: the user's headers, and an authorization that may change.

Sources: RFC 7617 (basic authentication), RFC 6750 (bearer tokens).
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, Protocol, TypeVar, final
from urllib.parse import unquote, urlsplit

from typing_extensions import override

from common.config import outputs
from common.exporters.outcomes import Proofs, Retry

_Answer = TypeVar("_Answer")

# What is shorter is no secret worth the name, and would blot out half of every message.
_LEAST_SECRET: Final = 8


class Proof(Protocol):
    """What proves us to one backend; asked at every request, repetitions included."""

    async def headers(self) -> Mapping[str, str] | Retry:
        """Return the user's headers and the authorization, names in lower case.

        The mapping must not be changed. May wait for a token, within its own timeout; without one
        the request has to wait, too.
        """
        ...

    def refused(self, headers: Mapping[str, str], /) -> bool:  # noqa: ARG002 - of who can ask again
        """Note that the backend did not believe *headers*; say whether to ask for others."""
        return False

    @property
    def patient(self) -> bool:
        """Whether not being believed may pass by itself, so that the request is to be repeated."""
        return False

    def renew(self, output: outputs.Output, /) -> None:  # noqa: ARG002 - of who has settings
        """Use the secrets of *output* from the next request on."""
        return

    def proofs(self) -> Proofs:
        """Return how it fares with tokens, and with certificates of who gives them."""
        return Proofs()


@final
class Asked(Proof):
    """Headers that somebody else keeps current, on both sides, and not at the same moment."""

    def __init__(self, ask: Callable[[], Mapping[str, str]]) -> None:
        self._ask = ask
        self._refused = 0

    @property
    @override
    def patient(self) -> bool:
        return True

    @override
    async def headers(self) -> Mapping[str, str]:
        return self._ask()

    @override
    def refused(self, headers: Mapping[str, str], /) -> bool:
        self._refused += 1
        return self._ask() != headers

    @override
    def proofs(self) -> Proofs:
        return Proofs(refusals=self._refused)


@final
class Given(Proof):
    """Headers, user name and password, or token, as the settings give them."""

    def __init__(self, output: outputs.Output) -> None:
        self._headers = headers_of(output)

    @override
    async def headers(self) -> Mapping[str, str]:
        return self._headers

    @override
    def renew(self, output: outputs.Output) -> None:
        self._headers = headers_of(output)


def headers_of(output: outputs.Output) -> dict[str, str]:
    """Return what every request to *output* has, but for a token that has to be asked for.

    The settings must have passed their checks, so that there is one authorization at most.
    """
    if output.otlp is not None:
        section: outputs.OtlpOutput | outputs.RemoteWriteOutput = output.otlp
        url = output.otlp.endpoint
    elif output.remote_write is not None:
        section, url = output.remote_write, output.remote_write.url
    else:
        raise RuntimeError("BUG: an output without a destination passed the settings' checks")
    headers = {name.lower(): value for name, value in section.headers.items()}
    auth, parts = section.auth, urlsplit(url)
    if auth.basic is not None:
        headers["authorization"] = basic(auth.basic.username, auth.basic.password)
    elif auth.bearer_token:
        headers["authorization"] = f"Bearer {auth.bearer_token}"
    elif parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        headers["authorization"] = basic(user, password)
    return headers


def basic(user: str, password: str) -> str:
    """Return the authorization of *user* by *password*, in UTF-8 as every server of today reads."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


async def proven(
    proof: Proof,
    attempt: Callable[[Mapping[str, str]], Awaitable[_Answer]],
    unauthenticated: Callable[[_Answer], bool],
) -> _Answer | Retry:
    """Make one *attempt* with the headers of *proof*, and a second if others can be had.

    The second is made when the answer is *unauthenticated*; what it gives is final.
    """
    headers = await proof.headers()
    if isinstance(headers, Retry):
        return headers
    answer = await attempt(headers)
    if not (unauthenticated(answer) and proof.refused(headers)):
        return answer
    headers = await proof.headers()
    return headers if isinstance(headers, Retry) else await attempt(headers)


def secrets_of(headers: Mapping[str, str]) -> frozenset[str]:
    """Return what of *headers* may be in no message: values, tokens, names with passwords."""
    found: set[str] = set()
    for name, value in headers.items():
        found.add(value)
        if name == "authorization":
            scheme, _, rest = value.partition(" ")
            found.add(rest)
            if scheme.lower() == "basic":
                with suppress(ValueError):  # a user wrote it, and it may be anything
                    plain = base64.b64decode(rest).decode()
                    found |= {plain, plain.partition(":")[2]}
    return frozenset(secret for secret in found if len(secret) >= _LEAST_SECRET)


def blotted(said: bytes, secrets: Iterable[str]) -> bytes:
    """Return what a server *said* without *secrets*: some repeat what they were sent.

    The length stays, and with it whatever protobuf stands around.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        raw = secret.encode()
        if raw in said:
            said = said.replace(raw, b"*" * len(raw))
    return said
