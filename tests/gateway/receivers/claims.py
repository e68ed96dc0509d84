"""Who claims to be an agent, what the door is told, and what it makes of that."""

from typing import Literal

import pytest

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
_LET_IN = {"an agent", "an agent whose token is being exchanged", "a client"}
_LET_IN |= {"an agent in another case of the scheme"}

CASES = [
    *[pytest.param("", shown, who, id=f"{name}, open") for name, (shown, who) in _OPEN.items()],
    *[
        pytest.param(CLIENTS, shown, who if name in _LET_IN else "refused", id=f"{name}, closed")
        for name, (shown, who) in _OPEN.items()
    ],
]
"""Tokens of clients, none where everybody may send; what is shown; what becomes of it."""
