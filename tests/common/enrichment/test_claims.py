"""Who has a key: what was seen precedes what is written, and doubt precedes a guess."""

from dataclasses import dataclass

import pytest

from common.enrichment import claims


@dataclass(frozen=True, eq=False)
class Pod:
    uid: str
    since: str


OLD, NEW, TWIN = Pod("old", "1"), Pod("new", "2"), Pod("twin", "2")


def claiming(
    *pods: Pod, seen: bool, departed: dict[str, float] | None = None
) -> claims.Claims[str, Pod]:
    subject: claims.Claims[str, Pod] = claims.Claims()
    for pod in pods:
        subject.hand_over(None, (), pod, ("x",), departed or {}, seen=seen)
    return subject


@pytest.mark.parametrize(
    ("order", "seen", "winner", "contested"),
    [
        ((OLD,), True, OLD, 0),
        ((OLD, NEW), True, NEW, 0),  # the one before has lost it for good
        ((NEW, OLD), True, None, 2),  # an older one takes it: whose is it?
        ((NEW, TWIN), True, TWIN, 0),
        ((OLD, NEW), False, NEW, 2),
        ((NEW, OLD), False, NEW, 2),
        ((NEW, TWIN), False, None, 2),
        ((NEW, TWIN, OLD), False, None, 3),
    ],
)
def test_who_of_the_living_has_it(
    order: tuple[Pod, ...],
    seen: bool,  # noqa: FBT001 - a table
    winner: Pod | None,
    contested: int,
) -> None:
    subject = claiming(*order, seen=seen)
    assert subject.winners.get("x") is winner
    assert len(subject.contested.get("x", {})) == contested


@pytest.mark.parametrize("seen", [True, False])
def test_the_living_take_it_from_the_deleted_for_good(seen: bool) -> None:  # noqa: FBT001 - a table
    departed = {"new": 1.0}
    subject = claiming(NEW, seen=True)
    subject.hand_over(None, (), OLD, ("x",), departed, seen=seen)
    assert subject.winners == {"x": OLD}
    subject.hand_over(OLD, ("x",), None, (), departed, seen=False)
    assert subject.winners == subject.contested == {}


def test_a_deleted_pod_that_nobody_knew_takes_nothing() -> None:
    subject = claiming(OLD, seen=True)
    subject.hand_over(None, (), NEW, ("x",), {"new": 1.0}, seen=True)
    assert subject.winners == {"x": OLD}


def test_what_is_kept_is_no_new_claim() -> None:
    subject = claiming(OLD, NEW, seen=True)
    relabelled = Pod("old", "1")
    subject.hand_over(OLD, ("x",), relabelled, ("x",), {}, seen=True)
    assert subject.winners == {"x": NEW}
    revised = Pod("new", "2")
    subject.hand_over(NEW, ("x",), revised, ("x",), {}, seen=True)
    assert subject.winners["x"] is revised


def test_doubt_ends_when_one_lets_go_departs_or_tells_another_start() -> None:
    subject = claiming(NEW, OLD, seen=True)
    subject.hand_over(NEW, ("x",), None, (), {}, seen=True)
    assert (subject.winners, subject.contested) == ({"x": OLD}, {})
    subject = claiming(NEW, OLD, seen=True)
    subject.reconsider("x", TWIN, {"twin": 1.0})
    assert subject.winners == {}, "it is nothing to the claimants that somebody else departs"
    subject.reconsider("x", NEW, {"new": 1.0})
    assert subject.winners == {"x": OLD}
    subject = claiming(NEW, TWIN, seen=False)
    restarted = Pod("twin", "3")
    subject.hand_over(TWIN, ("x",), restarted, ("x",), {}, seen=False)
    assert subject.winners == {"x": restarted}
