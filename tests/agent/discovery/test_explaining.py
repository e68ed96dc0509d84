"""Whoever asks why a pod is scraped, or not, is told every check, in order."""

import pytest

from agent.discovery import explaining, roster
from agent.discovery.policy import Policy
from agent.targets import Target
from tests.agent.discovery.candidates import (
    ISTIO,
    PROXY,
    RULES,
    SCOPE,
    asking,
    endpoint,
    istio,
    service,
    slice_of,
    workload,
)


def known(*pods, services=(), slices=(), rules: Policy = RULES, most: int = 10) -> roster.Roster:
    found = roster.Roster((), most, rules)
    found.replace_pods(pods)
    found.replace_services(services)
    found.replace_slices(slices)
    return found


def verdicts(candidate: explaining.Candidate) -> list[tuple[str, str]]:
    return [(step.verdict, step.text) for step in candidate.steps]


def test_a_pod_that_is_scraped_shows_every_check_and_a_slot_for_how_it_fares() -> None:
    found = explaining.explain("shop/p", known(workload(asking(port="8080,x"))))
    (own,) = found.candidates
    assert (found.known, own.kind, own.title) == (True, "pod", "the pod's own annotations")
    assert found.summary == "scraped by the agent on n1: 1 of 1 targets"
    assert verdicts(own)[:3] == [
        ("pass", 'annotation prometheus.io/scrape is "true"'),
        ("pass", "namespace shop is scraped"),
        ("pass", "on this node, n1"),
    ]
    assert verdicts(own)[-1][0] == "fail"
    assert own.remedy == "mend prometheus.io/port"
    assert own.scraped
    (slot,) = own.outcomes
    assert (slot.target.url, slot.why, slot.live) == ("http://10.0.0.1:8080/metrics", "", "")
    told = found.with_live(lambda target: f"{target.instance} is up")
    assert told.candidates[0].outcomes[0].live == "10.0.0.1:8080 is up"
    assert found.candidates[0].outcomes[0].live == ""


def test_everything_that_could_make_it_a_target_is_looked_at() -> None:
    everything = known(
        workload(more=(PROXY,)),
        services=(service(asking(), name="b"), service(asking(port="x"), name="a")),
        slices=tuple(slice_of(endpoint(), service=name) for name in ("b", "a", "silent")),
        rules=Policy(node="n1", workloads=SCOPE, sidecars=ISTIO, services=True),
    )
    found = explaining.explain("shop/p", everything)
    assert [(c.kind, c.title, c.scraped) for c in found.candidates] == [
        ("pod", "the pod's own annotations", False),
        ("service", "annotations of Service shop/a", False),
        ("service", "annotations of Service shop/b", True),
        ("service", "annotations of Service shop/silent", False),
        ("sidecar", "sidecar istio-proxy", True),
    ]
    assert found.candidates[3].remedy == ('annotate the Service with prometheus.io/scrape: "true"')
    assert found.summary == "scraped by the agent on n1: 2 of 2 targets"


def test_a_url_that_another_has_and_a_full_roster_are_outcomes() -> None:
    twice = known(workload(asking()), services=(service(asking()),), slices=(slice_of(),))
    _, second = explaining.explain("shop/p", twice).candidates
    (outcome,) = second.outcomes
    assert (outcome.why, second.scraped) == (
        "Service shop/web: its URL is scraped for shop/p already, by its own annotations",
        False,
    )
    full = known(workload(asking(), name="a"), workload(asking(), name="b", ip="10.0.0.2"), most=1)
    found = explaining.explain("shop/b", full)
    (own,) = found.candidates
    assert found.summary == ("not scraped: there are 1 targets already; raise scraping.max_targets")
    assert own.remedy == "raise scraping.max_targets"
    unasked: list[Target] = []
    assert found.with_live(lambda target: str(unasked.append(target))) == found
    assert unasked == []


UNKNOWN = (
    "unknown pod: none of this name is on n1; if it exists, it is on another node, "
    "ask that node's agent"
)


@pytest.mark.parametrize(
    ("rules", "elsewhere", "summary"),
    [
        (RULES, "node-b", "not on this node: it is on node-b, ask that node's agent"),
        (
            RULES,
            "",
            UNKNOWN,
        ),
        (
            RULES,
            "n1",
            UNKNOWN,
        ),
        (
            Policy(node="", workloads=SCOPE),
            "",
            "no pods are followed: node is empty, or inputs.prometheus and inputs.istio are off",
        ),
    ],
)
def test_a_pod_that_is_not_known_is_said_to_be_somewhere_else(rules, elsewhere, summary) -> None:
    found = explaining.explain("shop/p", known(rules=rules), elsewhere=elsewhere)
    assert (found.known, found.summary, found.candidates) == (False, summary, ())


def test_what_the_configuration_switched_off_is_said() -> None:
    pod = workload(asking(), more=(PROXY,))
    only_pods = Policy(node="n1", workloads=SCOPE)
    (_, services, sidecar) = explaining.explain("shop/p", known(pod, rules=only_pods)).candidates
    assert verdicts(services) == [("fail", "inputs.prometheus.services is false")]
    assert (sidecar.kind, sidecar.remedy) == ("sidecar", "set inputs.istio.enabled: true")
    no_pods = Policy(node="n1", workloads=None, sidecars=ISTIO)
    found = explaining.explain("shop/p", known(workload(asking()), rules=no_pods))
    assert [verdicts(candidate) for candidate in found.candidates] == [
        [("fail", "inputs.prometheus.enabled is false")]
    ]
    assert found.summary == ("not scraped: nobody asks for it, or what was asked for cannot be")


def test_what_the_api_server_does_not_tell_is_noted() -> None:
    troubles = {"endpointslices": "refused: 403"}
    found = explaining.explain("shop/p", known(rules=istio()), troubles=troubles)
    assert found.notes == ("endpointslices: refused: 403",)
