"""What only a scrape shows of a sender of remote write 2.0: start times, order, native histograms.

The cases of the public library suite whose fixtures are exposed in OpenMetrics and protobuf. An
agent scrapes them, a gateway writes to a strict receiver; all of it runs once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest

from common.service import clock
from tests.conformance.scrape import exposed
from tests.fakes import remote_write_v2
from tests.fakes.remote_write_rules import Series
from tests.fakes.remote_write_v2 import Write
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(60)]

JOBS = ("samples", "sorted", "native")
INTERVAL = 1.0
MS = 1000


@dataclass(slots=True)
class Run:
    """What a strict receiver got."""

    began: float = 0.0  # seconds since 1970
    writes: list[Write] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def first(self, job: str) -> Sequence[Series]:
        """Return the series of *job* in the first request that has any."""
        found = ([s for s in write.series if s.get("job") == job] for write in self.writes)
        return next(series for series in found if series)

    def series(self, job: str, name: str) -> Series:
        """Return the one series of that name in the first request of *job*."""
        (found,) = [series for series in self.first(job) if series.name == name]
        return found


async def scraped(folder: Path) -> Run:
    run = Run(began=clock.unix_seconds())
    async with exposed.exposing() as url, remote_write_v2.receiving() as receiver:
        write = {
            "url": receiver.url,
            "protocol": "2.0",
            "naming": "plain",
            "scope_labels": False,
            "target_info": False,
        }
        pipeline = {
            "name": "p",
            "output": {"remote_write": write},
            "batch": {"linger": 0.05},
        }
        async with programs.gateway(folder, {"pipelines": [pipeline]}) as gateway:
            document = {
                "gateway": {"endpoint": gateway.grpc, "batch": {"linger": 0.05}},
                "scraping": {
                    "interval": INTERVAL,
                    "timeout": INTERVAL,
                    "native_histograms": True,
                },
                "static_targets": [{"url": f"{url}/{job}", "job": job} for job in JOBS],
            }
            async with programs.agent(folder, document):

                async def all_twice() -> bool:
                    jobs = [{s.get("job") for s in write.series} for write in receiver.taken]
                    return all(sum(job in found for found in jobs) >= 2 for job in JOBS)

                await programs.until(all_twice, "every target was scraped and written twice")
        run.writes, run.problems = receiver.taken, receiver.problems
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return asyncio.run(scraped(tmp_path_factory.mktemp("scrape")))


def test_every_request_keeps_every_rule(run: Run) -> None:
    """MUST: see the strict receiver."""
    assert run.problems == []


def test_the_first_request_has_all_series_with_a_sample_each(run: Run) -> None:
    """MUST: more than six series, one sample each, not from before the test began."""
    found = run.first("samples")
    assert len(found) > 6
    assert {len(series.samples) for series in found} == {1}
    assert min(sample.ms for series in found for sample in series.samples) >= run.began * MS
    assert {series.get("instance").partition(":")[0] for series in found} == {"127.0.0.1"}


@pytest.mark.parametrize(
    "name",
    ["test_counter_total", "test_gauge", "test_histogram_sum", "test_summary_sum", "test_summary"],
)
def test_values_are_as_exposed(run: Run, name: str) -> None:
    """MUST: 101.13."""
    (sample,) = run.series("samples", name).samples
    assert sample.value == exposed.VALUE


@pytest.mark.parametrize(
    "name",
    ["test_counter_total", "test_histogram_count", "test_histogram_sum", "test_summary_count"],
)
def test_start_times_are_the_created_timestamps(run: Run, name: str) -> None:
    """SHOULD: the start timestamp is the ``_created`` one, and not after the sample."""
    (sample,) = run.series("samples", name).samples
    assert sample.start == exposed.BEGAN * MS
    assert sample.start <= sample.ms


def test_what_says_nothing_of_a_start_has_none(run: Run) -> None:
    """SHOULD: 0 where there is none."""
    for name in ("test_gauge", "test_build_info"):
        (sample,) = run.series("samples", name).samples
        assert sample.start == 0


def test_created_timestamps_are_no_series(run: Run) -> None:
    """They are start times, and nothing else."""
    assert [s.name for write in run.writes for s in write.series if "created" in s.name] == []


def test_samples_of_one_series_are_sorted_and_together(run: Run) -> None:
    """MUST: three samples with timestamps of their own, in order, in the first request."""
    samples = run.series("sorted", "test_sorted_total").samples
    assert [sample.value for sample in samples] == [1, 2, 3]
    assert [b.ms - a.ms for a, b in pairwise(samples)] == [exposed.APART * MS] * 2


def buckets(spans: Sequence[Any], deltas: Sequence[int]) -> dict[int, int]:
    """Return the counts of all buckets that are not empty, by index."""
    indices: list[int] = []
    for span in spans:
        first = (indices[-1] + 1 if indices else 0) + span.offset
        indices += range(first, first + span.length)
    return {i: n for i, n in zip(indices, accumulate(deltas), strict=True) if n}


def test_a_native_histogram_is_whole(run: Run) -> None:
    """MUST: count, sum, schema, zero bucket, buckets; no samples beside it. SHOULD: its start."""
    found = run.series("native", "test_native")
    assert found.samples == ()
    (histogram,) = found.histograms
    assert (histogram.count_int, histogram.sum, histogram.schema) == (12, exposed.VALUE, 1)
    assert (histogram.zero_count_int, histogram.zero_threshold) == (2, 1e-128)
    assert buckets(histogram.positive_spans, histogram.positive_deltas) == {-1: 2, 0: 3, 3: 2}
    assert buckets(histogram.negative_spans, histogram.negative_deltas) == {1: 3}
    assert histogram.timestamp >= run.began * MS
    names = [series.name for series in run.first("native")]
    assert [name for name in names if name.startswith("test_")] == ["test_native"]
