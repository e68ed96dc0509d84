"""The stand-in for a sidecar writes what a scraper can read, and every series once."""

from agent.exposition import model, text
from localcluster.workloads import sidecar

LIMITS = model.Limits(samples=1000, labels=20, label_name_bytes=100, label_value_bytes=200)
WEB = sidecar.labels("frontend", "web", "shop")


def test_what_it_writes_is_an_exposition_with_istios_names_and_envoys() -> None:
    other = sidecar.labels("cart", "web", "shop")
    written = sidecar.exposition([(WEB, 3), (other, 5)])
    found = text.parse(written.encode(), LIMITS)
    names = {name.decode() for name in found.families}
    assert names == {
        *sidecar.COUNTERS, *sidecar.HISTOGRAMS, "istio_build",
        "envoy_cluster_upstream_rq_total", "envoy_server_live",
    }  # fmt: skip
    assert 'envoy_cluster_upstream_rq_total{envoy_cluster_name="inbound|8080||"} 8' in written
    assert len(set(written.splitlines())) == len([x for x in written.splitlines() if x]) + 1


def test_principals_are_those_of_a_mesh() -> None:
    assert WEB["source_principal"] == "spiffe://cluster.local/ns/shop/sa/frontend"
    assert (WEB["source_workload"], WEB["destination_workload"]) == ("frontend", "web")
