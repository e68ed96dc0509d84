"""An agent is who shows a token of ours."""

import pytest

from gateway.receivers.trust import Trust, standing


@pytest.mark.parametrize("shown", ["Bearer one", "bearer two", b"Bearer two", "BEARER  two "])
def test_every_token_of_the_file_is_accepted(shown: str | bytes) -> None:
    assert Trust("one\n\ntwo\n").accepts(shown)


@pytest.mark.parametrize(
    "shown",
    ["Bearer three", "one", "Basic one", "Bearer ", "", None, "Bearer on\xe9", "Bearer \udcff"],
)
def test_nothing_else_is(shown: str | None) -> None:
    assert not Trust("one\ntwo").accepts(shown)


def test_without_tokens_nobody_is_trusted_not_even_with_an_empty_one() -> None:
    trust = Trust("\n \n")
    assert not trust
    assert not trust.accepts("Bearer ")


def test_tokens_are_exchanged() -> None:
    trust = Trust("old")
    trust.replace("new")
    assert (trust.accepts("Bearer old"), trust.accepts("Bearer new")) == (False, True)


STANDINGS = {
    "agent": ("a", "c", "Bearer a", "agent"),
    "agent where everybody may send": ("a", "", "Bearer a", "agent"),
    "client": ("a", "c", "Bearer c", "client"),
    "anybody": ("a", "", None, "client"),
    "nobody": ("a", "c", None, "stranger"),
    "another scheme": ("", "c", "Basic c", "stranger"),
    "in both files": ("x", "x", b"Bearer x", "agent"),
}


@pytest.mark.parametrize(("agents", "clients", "shown", "who"), STANDINGS.values(), ids=STANDINGS)
def test_whose_token_it_is_says_what_its_bearer_may(
    agents: str, clients: str, shown: str | bytes | None, who: str
) -> None:
    ours = Trust(agents)
    assert standing(ours, Trust(clients), shown) == who
    assert ours.mismatches == 0


@pytest.mark.parametrize("clients", ["", "c"])
def test_who_claims_to_be_an_agent_is_one_or_a_stranger(clients: str) -> None:
    agents, sending = Trust("a"), Trust(clients)
    assert standing(agents, sending, "Bearer a", True) == "agent"
    for shown in ("Bearer c", "Bearer old", "Basic a", "", None):
        assert standing(agents, sending, shown, True) == "stranger"
    assert agents.mismatches == (2 if not clients else 1), "an old token, and one of no client"


def test_where_no_agent_is_known_none_is_believed() -> None:
    assert standing(Trust(), Trust(), "Bearer a", True) == "stranger"
    assert standing(Trust(), Trust(), "Bearer a") == "client"


@pytest.mark.parametrize(("clients", "who"), [("", "client"), ("c", "stranger")])
def test_a_token_of_nobody_is_counted_for_an_agent_may_have_an_old_one(
    clients: str, who: str
) -> None:
    agents = Trust("a")
    assert standing(agents, Trust(clients), "Bearer old") == who
    assert standing(agents, Trust(clients), None) == who
    assert agents.mismatches == 1
