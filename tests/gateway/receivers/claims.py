"""Who claims to be an agent, what the door is told, and what it makes of that."""

from typing import Literal

import pytest

from common.config import headers

Outcome = Literal["agent", "client", "refused"]
TOKENS = "agent-new\nagent-old"
CLIENTS = "client"

_OPEN: dict[str, tuple[str | None, Outcome]] = {
    "nobody": (None, "client"),
    "an agent": ("Bearer agent-new", "agent"),
    "an agent whose token is being exchanged": ("Bearer agent-old", "agent"),
    "an agent in another case of the scheme": ("bEARER agent-new", "agent"),
    "an agent with a token of yesterday": ("Bearer agent-older", "client"),
    "a token in another case": ("Bearer Agent-New", "client"),
    "a token and more": ("Bearer agent-new2", "client"),
    "a part of a token": ("Bearer agent", "client"),
    "both tokens at once": ("Bearer agent-new agent-old", "client"),
    "another scheme": ("Basic agent-new", "client"),
    "no scheme": ("agent-new", "client"),
    "no token": ("Bearer", "client"),
    "a client": ("Bearer client", "client"),
}
_CLAIMS: dict[str, tuple[str | None, Outcome]] = {
    name: (shown, who if who == "agent" else "refused") for name, (shown, who) in _OPEN.items()
}
_LET_IN = {"an agent", "an agent whose token is being exchanged", "a client"}
_LET_IN |= {"an agent in another case of the scheme"}

CASES = [
    *[
        pytest.param("", {"authorization": shown}, who, id=f"{name}, open")
        for name, (shown, who) in _OPEN.items()
    ],
    *[
        pytest.param(
            CLIENTS,
            {"authorization": shown},
            who if name in _LET_IN else "refused",
            id=f"{name}, closed",
        )
        for name, (shown, who) in _OPEN.items()
    ],
    *[
        pytest.param(
            clients,
            {"authorization": shown, headers.AGENT: "1"},
            who,
            id=f"{name}, as an agent, {'closed' if clients else 'open'}",
        )
        for name, (shown, who) in _CLAIMS.items()
        for clients in ("", CLIENTS)
    ],
]
"""Tokens of clients, none where everybody may send; headers, those with a value; what comes of it.
"""
