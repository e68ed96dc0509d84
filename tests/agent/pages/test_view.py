"""A page shows what its parameters ask for, each entry with the decisions that led to it."""

import pytest

from agent.pages import view
from agent.targets import Decision, Skipped, Step
from common.service import health
from tests.agent.pages.scene import shown, target


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"state": "down"}, "state='down' is none of failing, pending, up, skipped"),
        ({"pod": "a/b"}, "unknown parameter 'pod'; there are state (failing,"),
        ({"<b>" + "x" * 200: ""}, "unknown parameter '<b>" + "x" * 97 + "'"),
    ],
)
def test_what_is_not_understood_is_refused_in_words(query, words: str) -> None:
    with pytest.raises(health.BadQuery) as refused:
        view.Asked.of(query)
    assert words in str(refused.value)


def test_of_several_decisions_about_a_pod_each_entry_has_its_own() -> None:
    one = target()
    taken = Skipped(subject="shop/a", why="its URL is taken", url=one.url, service="shop/s")
    odd = Skipped(subject="shop/a", why="port 'x' is none", service="shop/t")
    decisions = (
        Decision(subject="shop/a", uid="a", steps=(Step("own"),), targets=(one,)),
        Decision(
            subject="shop/a", uid="a", steps=(Step("s"),), service="shop/s", kind="service",
            targets=(target(kind="service"),),
        ),
        Decision(
            subject="shop/a", uid="a", steps=(Step("t"),), service="shop/t", kind="service",
            skipped=(odd,),
        ),
    )  # fmt: skip
    reasons = view.Reasons(decisions)
    assert reasons.of_target(one) == (Step("own"),)
    assert reasons.of_target(target(kind="service")) == (Step("s"),)
    assert reasons.of_target(target("shop/z")) == ()
    assert [found and found.steps for found in map(reasons.of_skipped, (taken, odd))] == [
        (Step("s"),),
        (Step("t"),),
    ]
    assert reasons.of_skipped(Skipped(subject="shop/a", why="other")) is None


def test_counts_are_of_the_subject_and_of_every_state() -> None:
    assert shown(subject="shop/e", state="up").counts == {
        "failing": 0,
        "pending": 0,
        "up": 0,
        "skipped": 1,
    }


def test_a_pod_that_is_scraped_is_not_among_those_that_nobody_asks_for() -> None:
    def unasked(name: str) -> Skipped:
        why = "annotation prometheus.io/scrape is absent"
        return Skipped(subject=name, why=why, asked=False)

    wrong = Skipped(subject="shop/a", why="port 'x' is none")
    skipped = (unasked("shop/a"), wrong, unasked("shop/z"))
    found = shown(skipped=skipped)
    assert found.skipped == (wrong, unasked("shop/z"))
    assert found.counts["skipped"] == 2
    # Whoever asks about that pod is told everything.
    assert shown(skipped=skipped, subject="shop/a").skipped == (wrong, unasked("shop/a"))
