"""What the API server counts of itself."""

from agent.exposition import model, text
from localcluster import kinds, traffic
from localcluster.kinds import Catalogue

CATALOGUE = Catalogue(kinds.BUILT_IN)
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
NAME = b"apiserver_request_total"
LIMITS = model.Limits(samples=100, labels=10, label_name_bytes=100, label_value_bytes=100)


def line(*values: object) -> str:
    *labels, total = values
    keys = ("code", "group", "resource", "subresource", "verb", "version")
    inside = ",".join(f'{key}="{value}"' for key, value in zip(keys, labels, strict=True))
    return f"apiserver_request_total{{{inside}}} {total}"


def test_requests_are_counted_by_what_they_ask_and_what_comes_of_it() -> None:
    counts = traffic.Traffic()
    for method, path, query, status in (
        ("GET", "/api/v1/pods", {}, 200),
        ("GET", "/api/v1/pods", {}, 200),
        ("GET", "/api/v1/pods", {"watch": "true"}, 200),
        ("POST", DEPLOYMENTS, {}, 201),
        ("PUT", f"{DEPLOYMENTS}/web/status", {}, 409),
        ("GET", "/metrics", {}, 401),
    ):
        counts.count(CATALOGUE, method, path, query, status)
    assert counts.exposition().splitlines()[1:] == [
        "# TYPE apiserver_request_total counter",
        line("200", "", "pods", "", "LIST", "v1", 2),
        line("200", "", "pods", "", "WATCH", "v1", 1),
        line("201", "apps", "deployments", "", "POST", "v1", 1),
        line("401", "", "", "/metrics", "GET", "", 1),
        line("409", "apps", "deployments", "status", "PUT", "v1", 1),
    ]


def test_what_strangers_ask_makes_no_series_of_its_own() -> None:
    counts = traffic.Traffic()
    for number in range(100):
        counts.count(CATALOGUE, f"VERB{number}", f'/secret"{number}', {}, 404)
        counts.count(CATALOGUE, "GET", f"/api/v1/namespaces/n{number}/pods/p", {}, 404)
    assert list(text.parse(counts.exposition().encode(), LIMITS).families) == [NAME]
    assert len(counts.exposition().splitlines()) == 4
