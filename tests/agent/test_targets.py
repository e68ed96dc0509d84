"""Every pod is either scraped or has a reason not to be."""

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
