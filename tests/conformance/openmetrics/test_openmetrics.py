"""OpenMetrics 1.0, rule by rule: our own examples, and those of the specification's authors."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from agent.exposition import model, openmetrics
from common.wire import errors
from tests import toolbox
from tests.conformance.openmetrics import cases, rules
from tests.fakes import openmetrics_bodies

LIMITS = model.Limits()


@pytest.fixture(scope="session")
def corpus() -> Path:
    return toolbox.openmetrics_corpus()


def flat(examples: dict[str, list[bytes]]) -> list[object]:
    return [
        pytest.param(rule, body, id=f"{rule}-{i}")
        for rule, bodies in examples.items()
        for i, body in enumerate(bodies)
    ]


@pytest.mark.parametrize(("rule", "body"), flat(cases.KEPT))
def test_what_keeps_all_rules_is_taken(rule: str, body: bytes) -> None:
    openmetrics.parse(body, LIMITS)
    assert rules.broken(body) == set(), rule


@pytest.mark.parametrize(("rule", "body"), flat(cases.REFUSED))
def test_what_prometheus_refuses_is_refused(rule: str, body: bytes) -> None:
    with pytest.raises(errors.Malformed, match=r"line \d+, byte \d+: "):
        openmetrics.parse(body, LIMITS)
    assert openmetrics.parse(body, LIMITS, drop_lines=True).skipped, rule


@pytest.mark.parametrize(("rule", "body"), flat(cases.TAKEN))
def test_what_prometheus_does_not_look_at_is_taken(rule: str, body: bytes) -> None:
    openmetrics.parse(body, LIMITS)
    assert rule in rules.broken(body)


@settings(max_examples=100)
@given(openmetrics_bodies.bodies())
def test_the_rules_themselves_ask_for_nothing_more(body: bytes) -> None:
    assert rules.broken(body) == set()


@pytest.mark.needs_openmetrics
def test_the_corpus_of_the_specification_is_taken_and_refused_by_rule(corpus: Path) -> None:
    wrong = {}
    verdicts = []
    for case in sorted(corpus.glob("*/test.json")):
        said = json.loads(case.read_text())
        body = (case.parent / said["file"]).read_bytes()
        verdicts.append(said["shouldParse"])
        try:
            openmetrics.parse(body, LIMITS)
        except errors.Malformed as refused:
            if said["shouldParse"]:
                wrong[case.parent.name] = str(refused)
            continue
        broken = rules.broken(body)
        if said["shouldParse"] == bool(broken):
            wrong[case.parent.name] = f"taken, and breaks {broken or 'no rule that we leave alone'}"
    assert wrong == {}
    assert (verdicts.count(True), verdicts.count(False)) > (30, 150)
