"""What Prometheus' HTTP API would answer about the same targets."""

from agent import targets
from agent.discovery import roster
from agent.pages import prometheus
from agent.scraping.state import Health, State
from tests.agent.discovery.candidates import (
    RULES,
    asking,
    endpoint,
    service,
    slice_of,
    workload,
)
from tests.agent.pages.scene import SKIPPED, STATES, nothing_known, plainly, state


def told(states=STATES, skipped=SKIPPED, known=None, **query: str):
    page = prometheus.targets_page(states, skipped, known or nothing_known(), query)
    assert page["status"] == "success"
    return plainly(page)["data"]


def test_active_targets_have_the_fields_that_tools_read() -> None:
    failing, pending, up = told()["activeTargets"]
    assert failing == {
        "discoveredLabels": {
            "__address__": "10.0.0.1:80",
            "__scheme__": "http",
            "__metrics_path__": "/b",
            "__scrape_interval__": "30s",
            "__scrape_timeout__": "10s",
            "__param_format": "p",
            "job": "app-pods",
        },
        "labels": {"instance": "10.0.0.1:80", "job": "app-pods"},
        "scrapePool": "app-pods",
        "scrapeUrl": "http://10.0.0.1:80/b?format=p",
        "globalUrl": "http://10.0.0.1:80/b?format=p",
        "lastError": "line 2: no",
        "lastScrape": "2023-11-14T22:13:15.000Z",
        "lastScrapeDuration": 0.25,
        "health": "down",
        "scrapeInterval": "30s",
        "scrapeTimeout": "10s",
    }
    assert (up["health"], pending["health"]) == ("up", "unknown")
    assert pending["lastScrape"] == prometheus.NEVER


def discovered() -> tuple[roster.Roster, list[State], tuple[targets.Skipped, ...]]:
    known = roster.Roster((), 10, RULES)
    known.replace_pods([
        workload(asking(port="8080", path="/m")),
        workload(asking(port="x"), name="q", ip="10.0.0.2"),
        workload(asking(port="8080"), name="twin"),
    ])  # fmt: skip
    known.replace_services([service(asking(port="8080"))])
    known.replace_slices([slice_of(endpoint(), endpoint("10.0.0.2", pod="q"))])
    chosen, skipped = known.select()
    return known, [State(target, health=Health.UP) for target in chosen.values()], skipped


POD = {
    "__meta_kubernetes_namespace": "shop",
    "__meta_kubernetes_pod_name": "p",
    "__meta_kubernetes_pod_ip": "10.0.0.1",
    "__meta_kubernetes_pod_uid": "uid-p",
    "__meta_kubernetes_pod_node_name": "n1",
    "__meta_kubernetes_pod_phase": "Running",
    "__meta_kubernetes_pod_container_name": "app",
    "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "true",
    "__meta_kubernetes_pod_annotationpresent_prometheus_io_scrape": "true",
    "__meta_kubernetes_pod_annotation_prometheus_io_path": "/m",
}


def test_discovered_labels_are_those_of_prometheus_own_discovery() -> None:
    known, states, skipped = discovered()
    active = {t["scrapeUrl"]: t for t in told(states, skipped, known)["activeTargets"]}
    pod = active["http://10.0.0.1:8080/m"]["discoveredLabels"]
    assert pod.items() >= POD.items()
    assert not [name for name in pod if "service" in name]
    behind = active["http://10.0.0.2:8080/metrics"]
    assert behind["scrapePool"] == "app-services"
    assert behind["labels"] == {
        "instance": "10.0.0.2:8080", "job": "app-services", "service": "web",
    }  # fmt: skip
    assert (
        behind["discoveredLabels"].items()
        >= {
            "__meta_kubernetes_service_name": "web",
            "__meta_kubernetes_service_annotation_prometheus_io_port": "8080",
            "__meta_kubernetes_service_annotationpresent_prometheus_io_port": "true",
            "__meta_kubernetes_pod_name": "q",
        }.items()
    )


def test_dropped_targets_say_why_under_names_of_our_own() -> None:
    known, states, skipped = discovered()
    dropped = told(states, skipped, known)["droppedTargets"]
    odd = next(t for t in dropped if t["discoveredLabels"]["__headgate_subject"] == "shop/q")
    assert odd["scrapePool"] == odd["discoveredLabels"]["job"] == "app-pods"
    assert (
        odd["discoveredLabels"].items()
        >= {
            "__meta_kubernetes_pod_name": "q",
            "__meta_kubernetes_pod_annotation_prometheus_io_port": "x",
            "__headgate_remedy": "mend prometheus.io/port",
        }.items()
    )
    assert odd["discoveredLabels"]["__address__"] == "10.0.0.2"
    assert "port annotation 'x'" in odd["discoveredLabels"]["__headgate_why"]
    late = next(t["discoveredLabels"] for t in dropped if "already" in str(t))
    assert late["__address__"] == "10.0.0.1:8080"
    assert late["__metrics_path__"] == "/metrics"


def test_pools_are_jobs_and_count_what_was_dropped() -> None:
    known, states, skipped = discovered()
    data = told(states, skipped, known)
    assert data["droppedTargetCounts"] == {"app-pods": 1, "app-services": 1}
    assert plainly(prometheus.pools_page(states)) == {
        "status": "success",
        "data": {"scrapePools": ["app-pods", "app-services"]},
    }
    assert plainly(prometheus.pools_page(()))["data"] == {"scrapePools": ["app-pods"]}


def test_it_can_be_narrowed() -> None:
    known, states, skipped = discovered()

    def lengths(**query: str) -> tuple[int, int]:
        data = told(states, skipped, known, **query)
        return len(data["activeTargets"]), len(data["droppedTargets"])

    assert lengths() == lengths(state="any") == lengths(state="") == (3, 2)
    assert lengths(state="active") == (3, 0)
    assert lengths(state="dropped") == (0, 2)
    assert lengths(scrapePool="other") == (0, 0)
    assert lengths(scrapePool="app-services", state="any") == (1, 1)
    assert lengths(state="Active") == (3, 0)
    assert lengths(state="up") == (0, 0)


def test_static_targets_have_no_kubernetes() -> None:
    one = state("configuration", Health.UP)
    one.target = targets.Target(
        url="https://h:1/m?a=", job="mine", instance="h:1", subject="configuration",
        attributes=(("k8s.namespace.name", "invented"),), interval=90.0, timeout=0.5, kind="static",
    )  # fmt: skip
    skipped = (targets.Skipped(subject="configuration", why="no room", url="https://h:1/m?a="),)
    data = told([one], skipped, roster.Roster((one.target,), 1, RULES))
    (active,) = data["activeTargets"]
    labels = {
        "__address__": "h:1",
        "__scheme__": "https",
        "__metrics_path__": "/m",
        "__param_a": "",
        "__scrape_interval__": "1m30s",
        "__scrape_timeout__": "500ms",
        "job": "mine",
    }
    assert active["discoveredLabels"] == labels
    (dropped,) = data["droppedTargets"]
    assert dropped["discoveredLabels"].items() > labels.items()
    assert data["droppedTargetCounts"] == {"app-pods": 0, "mine": 1}
    (unknown,) = told([one], skipped)["droppedTargets"]
    assert unknown["scrapePool"] == "configuration"
