"""What is shown and counted of a source."""

from agent.runtime import source
from agent.runtime.source import Health, Source
from agent.scraping.response import Cause


def test_only_changes_are_changes() -> None:
    found = Source("kubelet", health=Health.PENDING)
    assert found.succeeded(10, 0.5, 7, 100)
    assert not found.succeeded(20, 0.5, 8, 100)
    assert found.failed(30, 0.1, Cause.REFUSED, "connection refused")
    assert not found.failed(40, 0.1, Cause.REFUSED, "connection refused, in other words")
    assert found.failed(50, 0.1, Cause.TIMEOUT, "timed out")
    assert (found.health, found.error) == (Health.FAILING, "timed out")
    assert (found.last_time, found.last_success, found.points) == (50, 20, 0)
    assert found.succeeded(60, 0.25, 9, 100)
    assert (found.health, found.error, found.last_success) == (Health.UP, "", 60)


def test_the_page_has_what_is_known_and_the_outcomes_that_happened() -> None:
    found = Source("kubelet", url="https://n:10250/stats/summary", health=Health.PENDING)
    found.succeeded(10, 0.5, 7, 100)
    found.failed(30, 0.25, Cause.REFUSED, "connection refused")
    page = found.page()
    assert page["status"] == "https://n:10250/stats/summary fails: connection refused"
    assert (page["last_time_unix_nano"], page["last_success_unix_nano"]) == (30, 10)
    assert page["asked"] == {"up": 1, "refused": 1}
    assert (page["health"], page["duration_seconds"], page["points"]) == ("failing", 0.25, 0)


def test_every_outcome_is_counted() -> None:
    found = Source("kubelet", health=Health.PENDING)
    found.succeeded(10, 0.5, 7, 100)
    found.failed(30, 0.25, Cause.REFUSED, "connection refused")
    found.lost = 1
    told = {
        (reading.name, labels.get("outcome", "")): value
        for reading in source.readings(found)
        for labels, value in reading.samples
        if labels["source"] == "kubelet"
    }
    name = "headgate_agent_runtime_asked_total"
    assert (told[name, "up"], told[name, "refused"], told[name, "tls"]) == (1, 1, 0)
    assert told["headgate_agent_runtime_points_total", ""] == 7
    assert told["headgate_agent_runtime_seconds_total", ""] == 0.75
    assert told["headgate_agent_runtime_lost_total", ""] == 1
    assert told["headgate_agent_runtime_up", ""] == 0


def test_a_source_that_is_off_has_no_metrics() -> None:
    assert list(source.readings(Source("kubelet"))) == []


def test_it_says_in_words_how_it_does() -> None:
    found = Source("kubelet", url="https://worker-1:10250/stats/summary")
    assert found.status == "not used"
    found.health = Health.PENDING
    assert found.status == "https://worker-1:10250/stats/summary was not asked yet"
    found.succeeded(10, 0.5, 7, 100)
    assert found.status.endswith("answers; 7 points")
    found.missing = "shares of the node's capacity: 403"
    assert found.status.endswith("7 points; it lacks shares of the node's capacity: 403")
    found.failed(30, 0.1, Cause.REFUSED, "connection refused")
    assert found.status.endswith("fails: connection refused")
