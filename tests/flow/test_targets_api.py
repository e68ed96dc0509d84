"""The same targets, asked of a real Prometheus and of an agent: the same keys and types."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import processes
from tests.agent.exposer import exposing, page
from tests.fakes import backends
from tests.flow import programs

pytestmark = [
    pytest.mark.wallclock,
    pytest.mark.slow,
    pytest.mark.timeout(60),
    pytest.mark.needs_prometheus,
]
GOOD, BROKEN = page(b"# TYPE a gauge\na 1\n"), page(b"a 1\nb two\n")


def shape(value: Any) -> Any:
    """Reduce a document to its keys and the types of its values; lists to their first element."""
    match value:
        case dict():
            return {key: shape(each) for key, each in value.items()}
        case list():
            return [shape(each) for each in value[:1]]
        case bool() | str() | None:
            return type(value).__name__
        case _:
            return "number"


def lacking(theirs: Any, ours: Any, at: str = "$") -> list[str]:
    """Say what *theirs* has and *ours* has not, or otherwise."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            problem
            for key, value in theirs.items()
            for problem in (
                lacking(value, ours[key], f"{at}.{key}") if key in ours else [f"{at}.{key}"]
            )
        ]
    if isinstance(theirs, list) and isinstance(ours, list):
        return [
            problem
            for one, other in zip(theirs, ours, strict=True)
            for problem in lacking(one, other, f"{at}[]")
        ]
    return [] if theirs == ours else [f"{at}: {theirs} there, {ours} here"]


async def settled(url: str, count: int) -> list[dict[str, Any]]:
    async def known() -> Any:
        found = (await processes.get(f"{url}/api/v1/targets"))["data"]["activeTargets"]
        scraped = [target for target in found if target["health"] != "unknown"]
        return scraped if len(scraped) == count else None

    return await programs.until(known, f"{count} targets were scraped")


async def test_what_prometheus_says_of_targets_an_agent_says_too(tmp_path: Path) -> None:
    async with (
        backends.otlp_grpc() as gateway,
        exposing(GOOD) as good,
        exposing(BROKEN) as broken,
    ):
        hosts = [url.removeprefix("http://").partition("/")[0] for url in (good.url, broken.url)]
        config = [
            {
                "job_name": "them",
                "scrape_interval": "1s",
                "scrape_timeout": "500ms",
                "params": {"q": ["v"]},
                "static_configs": [{"targets": [*hosts, "drop.invalid:1"]}],
                "relabel_configs": [
                    {"source_labels": ["__address__"], "regex": "drop.*", "action": "drop"}
                ],
            }
        ]
        document = {
            "gateway": {"endpoint": gateway.url},
            "scraping": {"interval": 1.0, "timeout": 0.5, "max_targets": 2},
            "static_targets": [
                *({"url": f"http://{host}/metrics?q=v", "job": "them"} for host in hosts),
                {"url": "http://drop.invalid:1/metrics?q=v", "job": "them"},
            ],
        }
        async with (
            programs.prometheus(tmp_path, config) as theirs,
            programs.agent(tmp_path, document) as ours,
        ):
            await settled(theirs.url, 2)
            await settled(ours, 2)
            answers = {}
            for query in ("targets", "targets?state=active", "targets?state=dropped",
                          "targets?scrapePool=none", "scrape_pools"):  # fmt: skip
                answers[query] = [
                    await processes.get(f"{url}/api/v1/{query}") for url in (theirs.url, ours)
                ]
    for query, (there, here) in answers.items():
        assert lacking(shape(there), shape(here)) == [], query
    there, here = answers["targets"]
    by_health = [
        {target["health"]: target for target in said["data"]["activeTargets"]}
        for said in (there, here)
    ]
    assert set(by_health[0]) == set(by_health[1]) == {"up", "down"}
    for health in ("up", "down"):
        one, other = (found[health] for found in by_health)
        varying = {"lastError", "lastScrape", "lastScrapeDuration", "globalUrl"}
        assert {k: v for k, v in one.items() if k not in varying} == {
            k: v for k, v in other.items() if k not in varying
        }
        assert bool(one["lastError"]) == bool(other["lastError"]) == (health == "down")
    assert len(there["data"]["droppedTargets"]) == len(here["data"]["droppedTargets"]) == 1
    assert json.dumps(answers["scrape_pools"][0]["data"]["scrapePools"]) == '["them"]'
    assert "them" in answers["scrape_pools"][1]["data"]["scrapePools"]
