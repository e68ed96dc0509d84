"""Agent and gateway beside the reference: the same targets, the same history, the same series.

Targets follow scripts: bodies that real exporters exposed a moment ago, in each format they have,
and made-up ones. A Prometheus scrapes them; so does the agent, whose gateway writes into another
Prometheus. What both hold is compared scrape by scrape, to the bit. Where they are meant to differ,
`differences` says how and why.
"""

import asyncio
import re

import pytest

from common.service import clock
from tests.fakes.remote_write_rules import STALE
from tests.flow import declared, differences, duel, exporters, histories, traces
from tests.flow.scripted import Step

pytestmark = [
    pytest.mark.wallclock,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.needs_prometheus,
    *exporters.MARKS,
]

EXPORTERS = [
    f"{exporter}_{kind}"
    for exporter in ("node", "process", "blackbox", "probe", "failed_probe", "redis")
    for kind in ("text", "protobuf")
]
MADE_UP = [*histories.made_up(0)]
REPORTS = {
    "up": "1 if the last scrape succeeded, 0 if not",
    "scrape_duration_seconds": "How long the last scrape took",
    "scrape_samples_scraped": "Samples that the target exposed",
    "scrape_samples_post_metric_relabeling": "Samples that remained after relabelling",
    "scrape_series_added": "Series that the scrape before did not have",
}


class Course:
    """What happened, and what is expected of it."""

    def __init__(self, story: dict[str, list[Step]], fought: duel.Duel) -> None:
        self.story, self.fought = story, fought
        rules = differences.Expected()
        self.expected = {t: rules.of(t, trace) for t, trace in fought.direct.items()}
        self.applied = rules.applied


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    folder = tmp_path_factory.mktemp("reference")

    async def run() -> Course:
        captures = await exporters.captured(folder)
        story = {
            name.replace(".", "_"): histories.of_exporter(those) for name, those in captures.items()
        }
        story |= histories.made_up(int(clock.unix_seconds() * 1000))
        return Course(story, await duel.fight(folder, story))

    return asyncio.run(run())


def test_every_exporter_is_there_in_every_format_it_has(course: Course) -> None:
    assert sorted(course.story) == sorted([*EXPORTERS, *MADE_UP])


@pytest.mark.parametrize("target", [*EXPORTERS, *MADE_UP, duel.DOWN])
def test_series_values_and_staleness_are_those_of_prometheus(course: Course, target: str) -> None:
    expected, found = course.expected[target].series, course.fought.through[target].series
    missing = [sorted(key) for key in expected.keys() - found.keys()]
    strange = [sorted(key) for key in found.keys() - expected.keys()]
    assert (missing, strange) == ([], [])
    different = {
        str(sorted(key)): (traces.shown(expected[key]), traces.shown(found[key]))
        for key in expected
        if expected[key] != found[key]
    }
    assert different == {}


@pytest.mark.parametrize("target", EXPORTERS)
def test_the_histories_of_exporters_are_eventful(course: Course, target: str) -> None:
    trace = course.fought.through[target]
    assert len(trace.report("up")) == histories.STEPS
    assert sorted(trace.report("up").values()).count(0) == 3
    markers = [s for s in trace.series.values() if list(s.values()).count(STALE) >= 4]
    assert len(markers) >= 5


@pytest.mark.parametrize("target", ["exemplary", "families", "openmetrics"])
def test_exemplars_are_those_of_prometheus(course: Course, target: str) -> None:
    expected, found = course.expected[target].exemplars, course.fought.through[target].exemplars
    assert found == expected
    assert bool(found) == (target != "openmetrics")


def test_native_histograms_are_those_of_prometheus(course: Course) -> None:
    found = course.fought.through["families"].histograms
    assert found == course.fought.direct["families"].histograms
    (native,) = found.values()
    assert len(native) == histories.STEPS - 1  # it is away once


def test_every_difference_is_there(course: Course) -> None:
    assert {rule for rule, changed in course.applied.items() if not changed} == set()


def test_metadata_is_what_targets_said_and_what_prometheus_has(course: Course) -> None:
    said: duel.Metadata = {}
    for target, steps in course.story.items():
        up = course.fought.through[target].report("up")
        for step, told in enumerate(steps):
            if up[step]:
                for family, what in declared.metadata(told):
                    said.setdefault(family, set()).add(what)
    for name in differences.UNSENT:
        del said[name]
    for name in differences.PARTED:
        said[name] = {("unknown", "", "")}
    # Some targets expose something of these names, too. A request has metadata by name alone, so
    # which of the two it has is a matter of who else is in it.
    found = dict(course.fought.through_metadata)
    for name, words in REPORTS.items():
        told = found.pop(name)
        assert told - said.pop(name, set()) == {("gauge", words, "")}
    assert found == said
    # Prometheus keeps the last, and none where nothing was said.
    for family, told in course.fought.direct_metadata.items():
        name = differences.FAMILIES.get(family, family)
        assert told <= found[name] if name else family not in found


def test_nothing_is_lost_and_every_request_keeps_the_rules(course: Course) -> None:
    assert course.fought.problems == []
    ledger = course.fought.ledger
    assert (ledger["dropped_by"], ledger["balance"]) == ({}, 0)
    counted = [key for key, n in course.fought.agent.items() if "_points_unsendable_" in key and n]
    assert sorted(re.findall(r'reason="(\w+)"', "".join(counted))) == [
        "gauge_histogram",
        "out_of_bounds",
        "out_of_order",
    ]
