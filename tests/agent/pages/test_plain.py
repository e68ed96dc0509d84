"""/targets answers tools: what is scraped, what is not, and why."""

from agent.pages import plain
from tests.agent.pages.scene import plainly, shown


def test_states_reasons_and_decisions_come_worst_first() -> None:
    page = plainly(plain.page(shown()))
    assert page["node"] == "n1"
    assert page["inputs"] == {"discovery": "synced; 5 pods, 3 targets", "kubelet": "not yet"}
    assert page["counts"] == {"pending": 1, "up": 1, "failing": 1, "skipped": 2}
    assert [(t["subject"], t["state"], t["error"]) for t in page["active"]] == [
        ("shop/b", "failing", "line 2: no"),
        ("shop/c", "pending", ""),
        ("shop/a", "up", ""),
    ]
    failing, pending, up = page["active"]
    assert failing["decisions"] == ["one", "two"]
    assert failing["last_scrape"] == "2023-11-14T22:13:15.000Z"
    assert (failing["next_scrape_seconds"], failing["failures"]) == (2.5, 3)
    assert (failing["max_samples"], failing["max_body_bytes"]) == (50_000, 20_000_000)
    assert pending["last_scrape"] is None
    assert up["warnings"] == ["2 lines left out, the first: line 3"]
    assert page["skipped"] == [
        {
            "subject": "shop/e",
            "why": "no IP yet",
            "remedy": "wait",
            "asked": True,
            "url": "",
            "decisions": ["skipped: no IP yet"],
        },
        {
            "subject": "shop/d",
            "why": "annotation prometheus.io/scrape is absent",
            "remedy": "",
            "asked": False,
            "url": "",
            "decisions": [],
        },
    ]


def test_it_can_be_narrowed_and_still_counts_everything() -> None:
    def subjects(**query: str) -> tuple[list[str], list[str]]:
        page = plainly(plain.page(shown(**query)))
        return tuple([entry["subject"] for entry in page[kind]] for kind in ("active", "skipped"))

    assert subjects(state="failing") == (["shop/b"], [])
    assert subjects(state="skipped") == ([], ["shop/e", "shop/d"])
    assert subjects(subject="shop/a", json="") == (["shop/a"], [])
    assert plainly(plain.page(shown(state="up")))["counts"]["failing"] == 1
