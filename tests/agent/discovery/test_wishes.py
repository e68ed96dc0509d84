"""What annotations wish for is read once, for Pods and Services alike."""

import pytest

from agent.discovery import wishes
from agent.discovery.annotations import Notes, Port
from agent.discovery.policy import Policy
from agent.targets import Skipped, Step
from tests.agent.discovery.candidates import MESH, RULES, SCOPE, workload

PORT = Port(number=8080, container="app")


def wish(**notes: str) -> wishes.Wish:
    return wishes.read(Notes(values=notes), SCOPE)


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        (Notes(values={}), "annotation prometheus.io/scrape is absent"),
        (
            Notes(values={"scrape": "1"}),
            "annotation prometheus.io/scrape is '1', expected true",
        ),
        (
            Notes(values={"scrape": "true"}, excess=5000),
            "prometheus.io annotations have 5000 characters, the limit is 4096",
        ),
    ],
)
def test_who_does_not_ask_properly_is_not_admitted(notes: Notes, why: str) -> None:
    _, refusal = wishes.admitted(notes, "shop", SCOPE, "the Service")
    assert refusal is not None
    assert (refusal.text, refusal.verdict) == (why, "fail")
    assert refusal.remedy


def test_who_asks_is_admitted_with_the_checks_that_were_passed() -> None:
    passed, refusal = wishes.admitted(Notes(values={"scrape": "true"}), "shop", SCOPE, "it")
    assert (list(map(str, passed)), refusal) == (
        ['annotation prometheus.io/scrape is "true"', "namespace shop is scraped"],
        None,
    )


def test_what_is_not_said_is_as_configured() -> None:
    assert wish() == wishes.Wish(
        scheme=None,
        where="/metrics",
        interval=30.0,
        timeout=10.0,
        drop_lines=False,
        container="",
        port=None,
        steps=(),
    )


def test_everything_that_is_said_is_read() -> None:
    said = wish(
        scheme="https", path="/s", param_a="b", interval="5", timeout="9", container="c", port="1"
    )
    assert (said.scheme, said.where, said.container, said.port) == ("https", "/s?a=b", "c", "1")
    assert (said.interval, said.timeout) == (5.0, 5.0)  # never longer than the interval


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        ({"scheme": "HTTPS"}, "scheme annotation 'HTTPS' is neither http nor https"),
        ({"path": "x" * 2048}, "path and parameters have 2049 bytes, the limit is 2048"),
    ],
)
def test_what_cannot_be_asked_is_wrong_as_a_whole(notes, why: str) -> None:
    refusal = wish(**notes).wrong
    assert refusal is not None and refusal.text == why
    assert wish(path="x" * 2047).wrong is None


def test_a_wish_becomes_a_target_with_everything_it_asked_for() -> None:
    rules = Policy(node="n1", workloads=SCOPE, honor_labels=True, honor_timestamps=False)
    made = wishes.target(
        wish(on_error="drop_line"),
        wishes.Reach(scheme="https", credentials="mesh"),
        rules,
        kind="service",
        job="j",
        subject="s",
        host="fd00::1",
        port=PORT,
        attributes=(("a", "b"),),
        labels=(("service", "web"),),
    )
    assert (made.url, made.instance) == ("https://[fd00::1]:8080/metrics", "[fd00::1]:8080")
    assert (made.drop_lines, made.honor_labels, made.honor_timestamps) == (True, True, False)
    assert (made.credentials, made.kind, made.labels) == ("mesh", "service", (("service", "web"),))
    assert str(wishes.scraped(made, PORT)).endswith("every 30 s with the certificates of the mesh")


def test_an_endpoint_without_a_pod_is_asked_without_the_mesh() -> None:
    assert wishes.reach(wish(), None, PORT, RULES) == wishes.Reach(scheme="http", credentials="")
    refusal = wishes.reach(wish(), workload(labels=MESH), PORT, RULES)
    assert isinstance(refusal, Step) and refusal.verdict == "fail"


def test_the_same_reason_is_given_once_and_names_the_service() -> None:
    wrong = Step("odd", "fail", "mend it")
    decision = wishes.decided(
        "shop/p", "u", [Step("fine")], wrong=(wrong, wrong), kind="service", service="shop/web"
    )
    assert decision.steps == (Step("fine"), wrong)
    assert decision.skipped == (
        Skipped(subject="shop/p", why="Service shop/web: odd", remedy="mend it"),
    )
