"""Who is an agent: whoever shows one of the tokens that the operator made."""

from __future__ import annotations

import hmac
from typing import Final, Literal, TypeAlias

SCHEME: Final = "bearer "

Standing: TypeAlias = Literal["agent", "client", "stranger"]
"""Whose word about its data is believed; who may send; who may not."""


class Trust:
    """The tokens of agents. The file may hold several, one a line, while they are exchanged."""

    __slots__ = ("mismatches", "tokens")

    def __init__(self, text: str = "") -> None:
        self.tokens: tuple[bytes, ...] = ()
        self.mismatches = 0  # tokens shown that are none of ours; an agent with an old one is here
        self.replace(text)

    def __bool__(self) -> bool:
        """Whether anybody can be trusted at all."""
        return bool(self.tokens)

    def replace(self, text: str) -> None:
        """From now on believe the tokens in *text*, and no others."""
        self.tokens = tuple(line.strip().encode() for line in text.splitlines() if line.strip())

    def accepts(self, authorization: str | bytes | None) -> bool:
        """Say whether the value of an ``authorization`` header is ``Bearer`` and a token of ours.

        Compared in constant time: how long it takes tells nothing about a token.
        """
        shown = _token(authorization)
        if shown is None:
            return False
        matches = [hmac.compare_digest(shown, token) for token in self.tokens]
        return any(matches)


def standing(
    agents: Trust,
    clients: Trust,
    authorization: str | bytes | None,
    claims: bool = False,  # noqa: FBT001, FBT002 - asked for every request
) -> Standing:
    """Say who shows *authorization*; without tokens of *clients* everybody may send.

    Agents may send, too: their token says more than a client's. Whoever *claims* to be one
    (`headers.AGENT`) is that, or a stranger: an agent with an old token keeps its data until it has
    a better one, while taken for a client's the data would reach those who did not ask for it.

    A token that is neither's is a mismatch of *agents*: one with an old token is seen by it.
    """
    if not authorization:  # most say nothing, where nothing is asked
        return "stranger" if clients.tokens or claims else "client"
    if agents.accepts(authorization):
        return "agent"
    if clients.accepts(authorization):
        return "stranger" if claims else "client"
    if agents and _token(authorization) is not None:
        agents.mismatches += 1
    return "stranger" if clients or claims else "client"


def _token(authorization: str | bytes | None) -> bytes | None:
    """Return the token in the value of an ``authorization`` header, if it is a bearer's."""
    if not authorization:
        return None
    if isinstance(authorization, bytes):
        authorization = authorization.decode("latin-1")
    if authorization[: len(SCHEME)].lower() != SCHEME:
        return None
    # Bytes of a header that are not UTF-8 arrive as surrogates, and are no token of ours.
    return authorization[len(SCHEME) :].strip().encode("utf-8", "surrogateescape")
