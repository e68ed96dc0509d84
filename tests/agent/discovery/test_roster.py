"""All targets together: each URL once, within the limit, and the rest explained."""

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from agent import targets
from agent.discovery import roster
from agent.discovery.services import Service, Slice
from agent.discovery.workloads import Workload
from tests.agent.discovery.candidates import (
    PROXY,
    RULES,
    asking,
    endpoint,
    istio,
    service,
    slice_of,
    workload,
)

STATIC = "http://static/metrics"


def target(url: str, subject: str) -> targets.Target:
    return targets.Target(
        url=url, job="j", instance="i", subject=subject, attributes=(), interval=1, timeout=1
    )


def empty(*fixed: targets.Target, most: int = 100) -> roster.Roster:
    return roster.Roster(fixed, most, RULES)


def known(
    *pods: Workload, services: tuple[Service, ...] = (), slices: tuple[Slice, ...] = (), **k: int
) -> roster.Roster:
    found = empty(**k)
    found.replace_pods(pods)
    found.replace_services(services)
    found.replace_slices(slices)
    return found


def urls(found: roster.Roster) -> list[tuple[str, str, str]]:
    chosen, _ = found.select()
    return [(t.url, t.subject, dict(t.labels).get("service", "")) for t in chosen.values()]


def reasons(found: roster.Roster) -> list[tuple[str, str]]:
    return [(entry.subject, entry.why) for entry in found.select()[1]]


def test_a_url_is_scraped_once_and_the_second_pod_is_told_so() -> None:
    found = known(
        workload(asking(), name="a"), workload(asking(port="8080,9090"), name="b")
    )  # one address: the first was deleted, and nobody has said so yet
    assert urls(found) == [
        ("http://10.0.0.1:8080/metrics", "shop/a", ""),
        ("http://10.0.0.1:9090/metrics", "shop/b", ""),
    ]
    assert reasons(found) == [("shop/b", "its URL is scraped for shop/a already")]


def test_two_pods_on_the_hosts_network_are_told_why_they_collide() -> None:
    found = known(*(workload(asking(), name=name, host_network=True) for name in "ab"))
    assert reasons(found) == [
        (
            "shop/b",
            (
                "its URL is scraped for shop/a already; both are on the host's network, where a "
                "port is one pod's only"
            ),
        )
    ]


def test_beyond_the_limit_targets_are_skipped_and_those_that_run_stay() -> None:
    found = empty(target(STATIC, "configuration"), most=2)
    found.put_pod(workload(asking(), name="a", ip="10.0.0.1"))
    found.put_pod(workload(asking(), name="b", ip="10.0.0.2"))
    found.put_pod(workload(asking(port="9"), name="a", ip="10.0.0.1"))  # keeps its place
    assert [url for url, _, _ in urls(found)] == [STATIC, "http://10.0.0.1:9/metrics"]
    assert reasons(found) == [("shop/b", "there are 2 targets already; raise scraping.max_targets")]


def test_a_pod_that_is_gone_leaves_room() -> None:
    found = empty(most=1)
    found.put_pod(workload(asking(), name="a"))
    found.put_pod(workload(asking(), name="b", ip="10.0.0.2"))
    assert found.remove_pod(workload(asking(), name="a"))
    assert not found.remove_pod(workload(name="never seen"))
    assert [subject for _, subject, _ in urls(found)] == ["shop/b"]
    found.replace_pods([])
    assert found.select() == ({}, ())


def test_what_decides_nothing_changes_nothing() -> None:
    found = known(workload(asking()), services=(service(asking()),), slices=(slice_of(endpoint()),))
    assert not found.put_pod(workload(asking()))
    assert not found.put_service(service(asking()))
    assert not found.put_service(service(name="silent"))
    assert not found.put_slice(slice_of(endpoint(), endpoint("10.9.9.9", pod="q", node="n2")))
    assert not found.put_slice(slice_of(endpoint(node="n2"), name="foreign"))
    (kept,) = found.slices.values()
    assert kept.elsewhere == 1


def test_pods_come_before_services_and_services_in_the_order_of_their_names() -> None:
    pods = workload(asking(), name="p"), workload(name="q", ip="10.0.0.2")
    found = known(
        *pods,
        services=(service(asking(), name="b"), service(asking(), name="a")),
        slices=tuple(
            slice_of(endpoint(), endpoint("10.0.0.2", pod="q"), service=name) for name in "ba"
        ),
    )
    assert urls(found) == [
        ("http://10.0.0.1:8080/metrics", "shop/p", ""),
        ("http://10.0.0.2:8080/metrics", "shop/q", "a"),
    ]
    assert reasons(found) == [
        ("shop/q", "annotation prometheus.io/scrape is absent"),
        ("shop/p", "Service shop/a: its URL is scraped for shop/p already, by its own annotations"),
        ("shop/p", "Service shop/b: its URL is scraped for shop/p already, by its own annotations"),
        ("shop/q", "Service shop/b: its URL is scraped for shop/q already, by Service a"),
    ]
    _, skipped = found.select()
    assert [entry.service for entry in skipped] == ["", "shop/a", "shop/b", "shop/b"]


@pytest.mark.parametrize("order", ["psl", "pls", "spl", "slp", "lps", "lsp"])
def test_it_does_not_matter_who_comes_first(order: str) -> None:
    found = empty()
    for which in order:
        match which:
            case "p":
                found.put_pod(workload())
            case "s":
                found.put_service(service(asking()))
            case _:
                found.put_slice(slice_of(endpoint()))
    assert urls(found) == [("http://10.0.0.1:8080/metrics", "shop/p", "web")]


def test_services_follow_what_happens_to_them_their_slices_and_their_pods() -> None:
    found = known(workload(), services=(service(asking()),), slices=(slice_of(endpoint()),))
    assert urls(found)[0][0] == "http://10.0.0.1:8080/metrics"
    assert found.put_service(service(asking(port="9")))
    assert urls(found)[0][0] == "http://10.0.0.1:9/metrics"
    assert found.put_service(service())  # no longer asks
    assert urls(found) == []
    assert found.services == {}
    found.put_service(service(asking()))
    assert found.put_slice(slice_of(endpoint(), ports=(("", 7),)))
    assert urls(found)[0][0] == "http://10.0.0.1:7/metrics"
    assert found.put_slice(slice_of(endpoint(node="n2")))  # moved away
    assert (urls(found), found.slices) == ([], {})
    found.put_slice(slice_of(endpoint()))
    assert found.put_pod(workload(phase="Failed"))
    assert urls(found) == []
    found.put_pod(workload())
    assert len(urls(found)) == 1
    assert found.remove_pod(workload())
    assert urls(found) == []
    found.put_pod(workload())
    assert found.remove_slice(slice_of(endpoint()))
    assert not found.remove_slice(slice_of(endpoint()))
    assert urls(found) == []
    found.put_slice(slice_of(endpoint()))
    assert found.remove_service(service(asking()))
    assert not found.remove_service(service(asking()))
    assert urls(found) == []


def test_a_slice_may_be_given_to_another_service() -> None:
    found = known(
        workload(),
        services=(service(asking(), name="a"), service(asking(), name="b")),
        slices=(slice_of(endpoint(), service="a", name="x"),),
    )
    assert urls(found)[0][2] == "a"
    found.put_slice(slice_of(endpoint(), service="b", name="x"))
    assert [name for _, _, name in urls(found)] == ["b"]


def test_a_pod_that_came_again_under_its_name_is_told_apart_by_uid() -> None:
    found = known(
        workload(), services=(service(asking()),), slices=(slice_of(endpoint(uid="new")),)
    )
    assert reasons(found)[-1] == ("shop/p", "Service shop/web: the pod behind it is not known")
    found.put_slice(slice_of(endpoint(uid="")))
    assert len(urls(found)) == 1


def test_sidecars_come_and_go_with_their_pods() -> None:
    found = roster.Roster((), 10, istio())
    found.put_pod(workload(more=(PROXY,)))
    assert urls(found) == [("http://10.0.0.1:15090/stats/prometheus", "shop/p", "")]
    found.put_pod(workload())  # a test's liberty: containers of a pod never change
    assert urls(found) == []
    found.put_pod(workload(more=(PROXY,)))
    found.remove_pod(workload(more=(PROXY,)))
    assert urls(found) == []


def test_nobody_speaks_for_pods_of_another_namespace() -> None:
    found = known(
        workload(),
        services=(service(asking(), namespace="evil"),),
        slices=(slice_of(endpoint("192.0.2.1"), namespace="evil"),),
    )
    assert urls(found) == []
    assert reasons(found)[-1] == ("evil/p", "Service evil/web: the pod behind it is not known")


def test_services_that_ask_for_too_much_together_are_told_so_and_wait_for_room() -> None:
    ports = ",".join(map(str, range(1, 65)))
    names = [f"s{number}" for number in range(4)]
    found = known(
        workload(),
        services=tuple(service(asking(port=ports), name=name) for name in names),
        slices=tuple(slice_of(endpoint(), service=name) for name in names),
        most=10,
    )
    why = "Services ask for 100 targets already, 10 times scraping.max_targets"
    assert [entry for entry in reasons(found) if entry[1] == why] == [
        ("Service shop/s2", why),
        ("Service shop/s3", why),
    ]
    assert sum(len(decision.targets) for decision in found.decisions) == 128
    found.remove_service(service(name="s0"))
    assert [entry[0] for entry in reasons(found) if entry[1] == why] == ["Service shop/s3"]
    found.put_service(service(asking(port="1"), name="s1"))
    assert [entry[0] for entry in reasons(found) if entry[1] == why] == []
    assert sum(len(decision.targets) for decision in found.decisions) == 64 + 1 + 64
    for name in names:
        found.remove_service(service(name=name))
    assert urls(found) == []
    assert [entry[0] for entry in reasons(found)] == ["shop/p"]


def test_more_services_than_anybody_needs_are_not_kept(monkeypatch) -> None:
    monkeypatch.setattr(roster, "MAX_SERVICES", 2)
    found = known(services=tuple(service(asking(), name=name) for name in "abc"))
    assert (sorted(found.services), found.refused) == (["shop/a", "shop/b"], 1)
    assert not found.put_service(service(asking(), name="d"))
    assert found.put_service(service(asking(port="1"), name="a"))
    assert (sorted(found.services), found.refused) == (["shop/a", "shop/b"], 2)
    assert [target.url for target in found.select()[0].values()] == []


NAMES = st.sampled_from("ab")
PODS = st.builds(
    lambda name, phase, asks: workload(
        asking() if asks else None, name=name, ip=f"10.0.0.{ord(name)}", phase=phase
    ),
    NAMES,
    st.sampled_from(["Running", "Failed"]),
    st.booleans(),
)
SERVICES = st.builds(
    lambda name, port: service(asking(port=port) if port else None, name=name),
    NAMES,
    st.sampled_from(["", "8080", "9"]),
)
SLICES = st.builds(
    lambda name, of, pods: slice_of(
        endpoint(node="n2"),
        *(endpoint(f"10.0.0.{ord(pod)}", pod=pod) for pod in pods),
        name=name,
        service=of,
    ),
    NAMES,
    NAMES,
    st.sets(NAMES).map(sorted),
)


@given(st.lists(st.tuples(st.booleans(), PODS | SERVICES | SLICES), max_size=20))
@hypothesis_settings(max_examples=300)
def test_step_by_step_it_comes_to_what_a_fresh_list_would(
    events: list[tuple[bool, Workload | Service | Slice]],
) -> None:
    found = empty()
    for stays, item in events:
        match item:
            case Workload():
                (found.put_pod if stays else found.remove_pod)(item)
            case Service():
                (found.put_service if stays else found.remove_service)(item)
            case Slice():
                (found.put_slice if stays else found.remove_slice)(item)
    fresh = known(
        *found.pods.values(),
        services=tuple(found.services.values()),
        slices=tuple(found.slices.values()),
    )
    assert found.select() == fresh.select()
    assert list(found.decisions) == list(fresh.decisions)
