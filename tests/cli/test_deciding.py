"""Without an agent a pod is decided about as one with default settings would."""

from cli import deciding
from common.kube import objects
from tests.agent.discovery import candidates


def services(**notes: str) -> tuple[objects.Service, ...]:
    meta = objects.Metadata(name="web", namespace="shop", annotations=candidates.asking(**notes))
    return (objects.Service(metadata=meta),)


def slices() -> tuple[objects.EndpointSlice, ...]:
    meta = objects.Metadata(
        name="web-x", namespace="shop", labels={"kubernetes.io/service-name": "web"}
    )
    return (
        objects.EndpointSlice(
            metadata=meta,
            address_type="IPv4",
            endpoints=(candidates.endpoint(),),
            ports=(objects.EndpointPort(port=8080, protocol="TCP"),),
        ),
    )


def test_a_wrong_port_is_named_with_the_one_that_listens() -> None:
    pod = candidates.pod(candidates.asking(port="9999"))
    page = deciding.decide(pod, (), (), ("no agent runs on n1",))
    assert (page.known, page.scraped) == (True, True)
    assert page.summary == "would be scraped by an agent on n1: 1 of 1 targets"
    (own,) = page.candidates
    assert own.targets[0].live == (
        "would be scraped; note prometheus.io/port=9999 but the container listens on 8080"
    )
    assert page.notes == ("no agent runs on n1",)


def test_what_is_refused_is_refused_and_says_how_to_mend_it() -> None:
    page = deciding.decide(candidates.pod(), (), (), ())
    assert page.summary.startswith("not scraped: ")
    assert page.candidates[0].steps[-1].text == "annotation prometheus.io/scrape is absent"
    assert not page.scraped


def test_services_of_the_namespace_count() -> None:
    page = deciding.decide(candidates.pod(), services(port="8080"), slices(), ())
    own, served = page.candidates
    assert (own.scraped, served.scraped) == (False, True)
    assert served.title == "annotations of Service shop/web"
    assert served.targets[0].live == "would be scraped"
    twice = deciding.decide(
        candidates.pod(candidates.asking(port="8080")), services(port="8080"), slices(), ()
    )
    assert "already, by its own annotations" in twice.candidates[1].targets[0].why
