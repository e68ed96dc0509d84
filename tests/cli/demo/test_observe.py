"""The agents' pages become one table."""

from typing import Any

from cli.demo import observe


def active(subject: str, state: str = "up") -> dict[str, Any]:
    return {"state": state, "subject": subject, "url": f"http://{subject}", "error": ""}


def skipped(subject: str, *, asked: bool = False) -> dict[str, Any]:
    return {"subject": subject, "url": "", "why": "no annotation", "asked": asked}


def test_failing_targets_come_first_and_what_is_not_scraped_last() -> None:
    one = {"active": [active("a/up")], "skipped": [skipped("a/idle")]}
    other = {"active": [active("b/failing", "failing")], "skipped": []}
    assert [(t.state, t.workload) for t in observe.merge([one, other])] == [
        ("failing", "b/failing"), ("up", "a/up"), ("skipped", "a/idle"),
    ]  # fmt: skip


def test_who_is_scraped_is_skipped_only_for_what_it_asked_for_besides() -> None:
    page = {
        "active": [active("a/web"), active("a/cart")],
        "skipped": [skipped("a/web"), skipped("a/cart", asked=True)],
    }
    assert [(t.state, t.workload) for t in observe.merge([page])] == [
        ("up", "a/cart"), ("up", "a/web"), ("skipped", "a/cart"),
    ]  # fmt: skip
