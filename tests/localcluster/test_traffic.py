"""What the API server counts of itself."""

from agent.exposition import model, text
from localcluster import kinds, traffic
from localcluster.kinds import Catalogue

CATALOGUE = Catalogue(kinds.BUILT_IN)
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LIMITS = model.Limits(samples=100, labels=10, label_name_bytes=100, label_value_bytes=100)


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
    name = "apiserver_request_total"
    assert counts.exposition().splitlines()[1:] == [
        f"# TYPE {name} counter",
        f'{name}{{code="200",group="",resource="pods",subresource="",verb="LIST",version="v1"}} 2',
        f'{name}{{code="200",group="",resource="pods",subresource="",verb="WATCH",version="v1"}} 1',
        f'{name}{{code="201",group="apps",resource="deployments",subresource="",verb="POST",'
        'version="v1"} 1',
        f'{name}{{code="401",group="",resource="",subresource="/metrics",verb="GET",version=""}} 1',
        f'{name}{{code="409",group="apps",resource="deployments",subresource="status",verb="PUT",'
        'version="v1"} 1',
    ]


def test_what_strangers_ask_makes_no_series_of_its_own() -> None:
    counts = traffic.Traffic()
    for number in range(100):
        counts.count(CATALOGUE, f"VERB{number}", f'/secret"{number}', {}, 404)
        counts.count(CATALOGUE, "GET", f"/api/v1/namespaces/n{number}/pods/p", {}, 404)
    (family,) = text.parse(counts.exposition().encode(), LIMITS).families
    assert len(counts.exposition().splitlines()) == 4
    assert family.name == "apiserver_request_total"
