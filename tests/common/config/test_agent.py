"""The agent's document refuses what cannot work."""

import pytest

from common.config.agent import Agent
from common.service import settings


def test_an_empty_document_has_defaults_that_work_in_a_cluster() -> None:
    agent = settings.load(
        "node: ${env:NODE_NAME}", Agent, environ={"NODE_NAME": "n1"}, read=lambda _: ""
    )
    assert (agent.node, agent.scraping.interval) == ("n1", 30.0)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("gateway: {endpoint: x}", "gateway.endpoint"),
        ("gateway: {compression: lz4}", "gateway.compression"),
        ("scraping: {interval: 0}", "scraping.interval"),
        ("scraping: {max_fetching_bytes: 1000}", "scraping.max_fetching_bytes"),
        ("static_targets: [{url: 'localhost:9100'}]", "static_targets[0].url"),
        ("kubernetes: {source: in-cluster}", "node"),
        ("admin: {metrics: x}", "admin.metrics"),
    ],
)
def test_a_mistake_is_named_by_its_key(text: str, key: str) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(text, Agent, environ={}, read=lambda _: "")
    assert [p.key for p in caught.value.problems] == [key]
