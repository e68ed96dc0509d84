"""Every pod is either scraped or has a reason not to be."""

from dataclasses import replace

from agent import targets
from common.config import agent as config
from common.service import settings


def document(text: str) -> config.Agent:
    return settings.load(text, config.Agent, environ={}, read=lambda _: "")


def test_static_targets_name_their_job_and_keep_path_and_query() -> None:
    plain, secure = targets.static(
        document(
            """
            scraping: {interval: 20, timeout: 15}
            static_targets:
            - {url: "http://db:9100"}
            - {url: "https://[fd00::1]/m?x=1", job: node, interval: 5,
               attributes: {team: a}}
            """
        )
    )
    assert (plain.url, plain.job, plain.interval) == ("http://db:9100/metrics", "db:9100", 20.0)
    assert plain.timeout == 15.0
    assert plain.attributes == (("kyma.input.name", "prometheus"),)
    assert secure.url == "https://[fd00::1]:443/m?x=1"
    assert (secure.job, secure.instance, secure.timeout) == ("node", "[fd00::1]:443", 5.0)
    assert secure.attributes == (("team", "a"), ("kyma.input.name", "prometheus"))


def test_a_static_host_outside_ascii_is_asked_by_the_name_that_dns_knows() -> None:
    document = config.Agent(
        static_targets=(config.StaticTarget(url="http://b\u00fccher.example:9100/metrics"),)
    )
    (target,) = targets.static(document)
    assert target.url == "http://xn--bcher-kva.example:9100/metrics"
    assert target.instance == "xn--bcher-kva.example:9100"


def test_a_static_target_keeps_its_own_choices_and_else_those_of_all() -> None:
    plain, chosen = targets.static(
        document(
            """
            scraping: {honor_labels: true, honor_timestamps: false}
            static_targets:
            - {url: "http://db:9100"}
            - {url: "http://db:9101", labels: {zone: b, area: a}, honor_labels: false,
               honor_timestamps: true, on_error: drop_line}
            """
        )
    )
    assert (plain.labels, plain.drop_lines, plain.credentials) == ((), False, "static:0")
    assert (plain.honor_labels, plain.honor_timestamps) == (True, False)
    assert chosen.labels == (("area", "a"), ("zone", "b"))
    assert (chosen.drop_lines, chosen.credentials) == (True, "static:1")
    assert (chosen.honor_labels, chosen.honor_timestamps) == (False, True)


def test_the_series_are_the_same_at_another_pace_or_with_other_credentials() -> None:
    (one,) = targets.static(document("static_targets: [{url: 'http://db:9100'}]"))
    assert one.same_series(replace(one, interval=1.0, timeout=0.5, credentials="prometheus"))
    assert not one.same_series(replace(one, labels=(("a", "b"),)))
    assert not one.same_series(replace(one, attributes=(("k8s.pod.uid", "1"),)))
