"""The rules for senders of remote write 1.0, each a case: the product as a whole is the sender.

Written from the specification's sentences and from what the public compliance suites check, not
from their code: the 19 cases of the original 1.0 suite, and of the later one those that are not
about 2.0. Each case names its rule and says whether a sender MUST or SHOULD keep it.

An agent scrapes targets of ours every second, a gateway writes to one receiver for each kind of
answer. All of that runs once; the cases look at what came.
"""

import asyncio
import re
from itertools import pairwise

import pytest

from tests.conformance.remote_write import product, targets
from tests.conformance.remote_write.product import Run
from tests.fakes import remote_write_v1
from tests.fakes.remote_write_rules import STALE, bits, double
from tests.fakes.remote_write_v1 import Write

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(90)]

EVERY = [*product.SCRIPTS, "ordering", "late"]
MS = 1000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return asyncio.run(product.run(tmp_path_factory.mktemp("sender")))


def values(samples: list[tuple[int, int]]) -> list[float]:
    return [double(of) for _, of in samples]


# Protocol: MUST, every request, whatever was answered to the one before.


@pytest.mark.parametrize("pipeline", EVERY)
def test_every_request_keeps_every_rule_of_the_protocol(run: Run, pipeline: str) -> None:
    """MUST: POST, headers, snappy's block format, labels, order; see the strict receiver."""
    assert [problem for write in run.writes(pipeline) for problem in write.problems] == []


def test_headers(run: Run) -> None:
    """MUST: Content-Encoding, Content-Type and version exactly so (case Headers)."""
    for write in run.writes("plain"):
        assert write.headers["content-encoding"] == "snappy"
        assert write.headers["content-type"] == "application/x-protobuf"
        assert write.headers["x-prometheus-remote-write-version"] == "0.1.0"


def test_user_agent(run: Run) -> None:
    """MUST: the sender says who it is, as name/version."""
    assert run.writes("plain")
    for write in run.writes("plain"):
        assert re.fullmatch(r"headgate[a-z-]*/\S+", write.headers["user-agent"])


def test_post_only(run: Run) -> None:
    """MUST: no other method, not even to see whether there is somebody."""
    assert {w.method for pipeline in EVERY for w in run.writes(pipeline)} == {"POST"}


# Samples.


def test_counter(run: Run) -> None:
    """MUST: every value, in the order of scrapes (case Counter)."""
    found = values(run.series("counter_total"))
    assert found == [*range(len(found))]
    assert len(found) >= product.SCRAPES - 1


def test_gauge(run: Run) -> None:
    """MUST (case Gauge)."""
    found = values(run.series("gauge"))
    assert found == [*range(len(found))]


def test_histogram(run: Run) -> None:
    """MUST: ``le`` as it was exposed, ``_sum`` and ``_count`` (case Histogram)."""
    n = values(run.series("counter_total"))
    for le, factor in (("1", 1), ("2", 2), ("+Inf", 3)):
        assert values(run.series("histogram_bucket", le=le)) == [factor * each for each in n]
    assert values(run.series("histogram_sum")) == [each + 0.25 for each in n]
    assert values(run.series("histogram_count")) == [3 * each for each in n]
    assert len(run.samples("histogram_bucket")) == 3


def test_summary(run: Run) -> None:
    """MUST: quantiles, ``_sum`` and ``_count`` (case Summary)."""
    n = values(run.series("counter_total"))
    assert values(run.series("summary", quantile="0.5")) == [0.25 for _ in n]
    assert values(run.series("summary", quantile="0.99")) == n
    assert values(run.series("summary_sum")) == [each + 0.5 for each in n]
    assert values(run.series("summary_count")) == n
    assert len(run.samples("summary")) == 2


def test_values(run: Run) -> None:
    """MUST: zero, negative, NaN, the infinities, the largest and the smallest, bit by bit."""
    for which, text in targets.SPECIALS.items():
        found = {of for _, of in run.series("special", which=which)}
        if which == "nan":
            (one,) = found
            assert one != STALE
            assert str(double(one)) == "nan"
        else:
            assert found == {bits(float(text))}, which


def test_timestamp(run: Run) -> None:
    """MUST: a timestamp that was exposed is kept (case Timestamp)."""
    found = [at for at, _ in run.series("timed")]
    assert found == run.target.stamps[: len(found)]
    assert len(found) >= product.SCRAPES - 1


def test_samples_of_one_scrape_are_sorted(run: Run) -> None:
    """MUST: several samples of a series come in the order of time, and together."""
    (found,) = [s for w in run.taken() for s in w.series if s.get("__name__") == "sorted_total"]
    assert [*found.samples] == [(at, bits(float(n))) for n, at in enumerate(run.target.sorted)]
    assert run.series("sorted_total") == [*found.samples]


def test_timestamps_are_recent_milliseconds(run: Run) -> None:
    """MUST be milliseconds, SHOULD be those of the scrape, the same for all its samples."""
    times = [at for at, _ in run.series("gauge")]
    asked = [stamp + targets.BEFORE for stamp in run.target.stamps]  # when it was scraped
    late = [when - at for at, when in zip(times, asked, strict=False)]
    # The times of scrapes may be moved a bit, to where they were meant to be.
    assert all(-MS // 20 <= each < MS for each in late), late
    assert times == [at for at, _ in run.series("counter_total")]


def test_staleness_of_a_series(run: Run) -> None:
    """MUST: a marker when a series is gone from the scrape, once (case Staleness)."""
    found = run.series("going")
    assert [of for _, of in found] == [bits(1.0)] * targets.GOING + [STALE]
    assert found[-1][0] in {at for at, _ in run.series("gauge")}


def test_staleness_of_a_target(run: Run) -> None:
    """MUST: markers for all series of a target that cannot be scraped any more."""
    found = run.series("vanishing", "vanishing")
    assert [of for _, of in found] == [bits(1.0)] * targets.GOING + [STALE]


# Labels.


def test_sorted_labels(run: Run) -> None:
    """MUST: by name, as bytes are (case SortedLabels)."""
    names = {
        tuple(name for name, _ in series.labels)
        for write in run.taken()
        for series in write.series
        if series.get("__name__") == "sorting"
    }
    assert names == {("Z", "__name__", "_a", "aaa", "bar", "foo", "instance", "job")}


def test_repeated_labels(run: Run) -> None:
    """MUST: no sample with a label twice; the scrape fails as a whole (case RepeatedLabels)."""
    assert run.samples("repeated", "repeated") == []
    assert set(values(run.series("up", "repeated"))) == {0.0}


def test_empty_labels(run: Run) -> None:
    """MUST: a label without a value is no label; its sample is kept (case EmptyLabels)."""
    keys = {s.key for w in run.taken() for s in w.series if s.get("__name__") == "emptied"}
    (key,) = keys
    assert {name for name, _ in key} == {"__name__", "instance", "job", "kept"}


def test_name_label(run: Run) -> None:
    """MUST: nothing without ``__name__`` is sent (case NameLabel)."""
    sent = {s.get("__name__") for w in run.taken() for s in w.series if s.get("job") == "nameless"}
    assert sent == {
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    }
    assert set(values(run.series("up", "nameless"))) == {0.0}


def test_reserved_labels(run: Run) -> None:
    """SHOULD: no label of ours but ``__name__`` begins as those do that are reserved."""
    names = {name for write in run.taken() for series in write.series for name, _ in series.labels}
    assert {name for name in names if name.startswith("__")} == {"__name__"}


def test_job_label(run: Run) -> None:
    """SHOULD: the job under which a target is scraped (case JobLabel)."""
    jobs = {series.get("job") for write in run.taken() for series in write.series}
    assert jobs == {*targets.PAGES, "down"}


def test_instance_label(run: Run) -> None:
    """SHOULD: host and port of the target (case InstanceLabel)."""
    found = {s.get("instance") for w in run.taken() for s in w.series if s.get("job") == "test"}
    assert found == {run.target.address}


def test_honor_labels(run: Run) -> None:
    """SHOULD: exposed ``job`` and ``instance`` make room (case HonorLabels).

    What there is is Prometheus' default, ``honor_labels: false``; there is no setting for the other
    way yet.
    """
    (found,) = run.samples("honoured", exported_job="mine", exported_instance="my-instance")
    assert set(values(found)) == {1.0}


def test_unicode_and_escapes(run: Run) -> None:
    """MUST: a label's value is any UTF-8."""
    assert len(run.samples("text", value=targets.MEANT)) == 1


def test_long_names_and_values(run: Run) -> None:
    """SHOULD: a value of 10 kB, a name of 500 characters."""
    assert len(run.samples("long", value=targets.LONG)) == 1
    assert len(run.samples(targets.LONG_NAME)) == 1


def test_colons(run: Run) -> None:
    """MUST: colons stay in names of metrics."""
    assert len(run.samples("with:colons:rate5m")) == 1


# Targets.


def test_up(run: Run) -> None:
    """SHOULD: 1 for what was scraped (case Up)."""
    assert set(values(run.series("up"))) == {1.0}
    assert set(values(run.series("up", "empty"))) == {1.0}


@pytest.mark.parametrize("job", ["invalid", "down"])
def test_invalid(run: Run, job: str) -> None:
    """SHOULD: up is 0 for what is no exposition, and for nobody (case Invalid)."""
    assert set(values(run.series("up", job))) == {0.0}
    assert run.samples("good", job) == []


def test_metadata(run: Run) -> None:
    """SHOULD: type and help of every family, the same each time."""
    told: dict[str, set[tuple[str, str, str]]] = {}
    for write in run.taken():
        for family, about in write.metadata.items():
            told.setdefault(family, set()).add(about)
    assert told["counter_total"] == {("counter", targets.HELP_MEANT, "")}
    assert told["gauge"] == {("gauge", targets.HELP_MEANT, "")}
    assert told["histogram"] == {("histogram", targets.HELP_MEANT, "")}
    assert told["summary"] == {("summary", targets.HELP_MEANT, "")}
    assert told["sorting"] == {("unknown", "", "")}


def test_batching(run: Run) -> None:
    """RECOMMENDED: several series in a request, not one each."""
    assert max(len(write.series) for write in run.taken()) > len(targets.SPECIALS)


# Order.


@pytest.mark.parametrize("pipeline", EVERY)
def test_ordering(run: Run, pipeline: str) -> None:
    """MUST: samples of a series in the order of time, however slow the answers (case Ordering)."""
    for labels, samples in remote_write_v1.samples(run.taken(pipeline)).items():
        times = [at for at, _ in samples]
        assert times == sorted(set(times)), sorted(labels)


@pytest.mark.parametrize("pipeline", EVERY)
def test_no_two_requests_in_flight_share_a_series(run: Run, pipeline: str) -> None:
    """MUST: parallel requests are for different series only."""
    hung = [w for w in run.writes(pipeline) if w.status == 0 and pipeline == "hangs"]
    assert product.overlaps(w for w in run.writes(pipeline) if w not in hung) == []


def test_all_series_of_a_slow_receiver_arrive(run: Run) -> None:
    """MUST: of 1000 series and answers after up to 5 s not a sample is missing (case Ordering)."""
    arrived = remote_write_v1.samples(run.taken("ordering"))
    assert len(arrived) == targets.ORDERED
    shortest = min(map(len, arrived.values()))
    for samples in arrived.values():
        assert values(samples)[:shortest] == [*range(shortest)]
    assert shortest > len(product.DELAYS)


# Answers.


@pytest.mark.parametrize("status", product.RETRY)
def test_retries_of_5xx(run: Run, status: int) -> None:
    """MUST for 500 and 503, SHOULD for others: the same request again (case Retries500)."""
    assert_tried_again(run, f"fails-{status}", status, 2)


@pytest.mark.parametrize("status", product.NO_RETRY)
def test_no_retries_of_4xx(run: Run, status: int) -> None:
    """MUST NOT: what was refused is not sent again; what comes later is (case Retries400)."""
    refused, others = first(run, f"refuses-{status}", status)
    seen = {(s.key, sample) for s in refused.series for sample in s.samples}
    again = {(s.key, sample) for w in others for s in w.series for sample in s.samples}
    assert seen.isdisjoint(again)
    assert again
    ledger = run.ledgers[f"refuses-{status}"]
    assert ledger["dropped_by"].keys() == {"refused"}
    assert 0 < ledger["dropped"] <= len(seen)  # a point may be several samples


def test_no_retry_of_413(run: Run) -> None:
    """SHOULD NOT: a request that is too large is not sent again; its halves are."""
    refused, others = first(run, "too-large", 413)
    assert refused.body not in {write.body for write in others}
    seen = {(s.key, sample) for s in refused.series for sample in s.samples}
    again = {(s.key, sample) for w in others for s in w.series for sample in s.samples}
    assert seen <= again
    nothing_is_missing(run, "too-large")


def test_backoff(run: Run) -> None:
    """MUST wait before a repetition, SHOULD wait twice as long each time, here ±50 %."""
    # Every answer of 500 may be for another request, where several are in flight.
    body = run.writes("backoff")[0].body
    attempts = [write for write in run.writes("backoff") if write.body == body]
    assert len(attempts) >= 3
    for n, (before, after) in enumerate(pairwise(attempts)):
        gap = after.arrived - before.answered
        meant = product.INITIAL * 2**n
        assert 0.5 * meant <= gap <= 1.5 * meant + 1.0, f"{gap} s before repetition {n + 1}"


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(run: Run, status: int) -> None:
    """MAY be tried again; Retry-After is honoured."""
    ((before, after),) = assert_tried_again(run, f"busy-{status}", status, 1)
    assert after.arrived - before.answered >= product.AFTER


@pytest.mark.parametrize("pipeline", ["plain", "status-200"])
def test_2xx_is_final(run: Run, pipeline: str) -> None:
    """MUST: 200 and 204 alike; what the body says is ignored."""
    bodies = [write.body for write in run.writes(pipeline)]
    assert len(set(bodies)) == len(bodies)
    nothing_is_missing(run, pipeline)


@pytest.mark.parametrize("pipeline", ["verbose-500", "empty-500", "status-999"])
def test_odd_answers_are_tried_again(run: Run, pipeline: str) -> None:
    """SHOULD: a megabyte of words, none, and a status that is none, are errors like others."""
    status = 999 if pipeline == "status-999" else 500
    assert_tried_again(run, pipeline, status, 1)


def test_a_megabyte_of_error_is_logged_in_part(run: Run) -> None:
    """SHOULD: the words of a refusal are logged, within reason."""
    assert "no, never" in run.log
    assert len(run.log) < len(product.MEGABYTE) // 4
    assert run.ledgers["verbose-400"]["dropped_by"].keys() == {"refused"}


@pytest.mark.parametrize("pipeline", ["breaks", "garbage", "hangs"])
def test_no_answer_is_tried_again(run: Run, pipeline: str) -> None:
    """MUST: a connection that is closed, or answers nothing that is HTTP, or nothing in time."""
    assert_tried_again(run, pipeline, 0, 2 if pipeline == "breaks" else 1)


def test_the_status_decides(run: Run) -> None:
    """MUST: 2xx is final even if the rest of the answer never comes."""
    broken, others = first(run, "breaks-body", 200)
    assert broken.body not in {write.body for write in others}
    nothing_is_missing(run, "breaks-body")


def test_a_hanging_receiver_is_given_up(run: Run) -> None:
    """SHOULD: an attempt ends at the timeout, not earlier."""
    ((before, after),) = assert_tried_again(run, "hangs", 0, 1)
    # The receiver, on a busy machine, sees a request some time after it was sent.
    assert after.arrived - before.arrived >= product.ATTEMPT_TIMEOUT / 2


def test_connection_refused(run: Run) -> None:
    """MUST: what could not be sent waits until somebody listens."""
    nothing_is_missing(run, "late")
    assert run.series("gauge")[0] in remote_write_v1.samples(run.taken("late"))[gauge(run)]


def test_redirects_are_not_followed(run: Run) -> None:
    """SHOULD: a redirect is not 2xx; it is refused, and what comes later is sent again here."""
    redirected, others = first(run, "redirects", 307)
    assert redirected.body not in {write.body for write in others}
    assert run.ledgers["redirects"]["dropped_by"].keys() == {"refused"}


def test_a_host_that_does_not_exist_harms_nobody(run: Run) -> None:
    """MUST NOT crash; both programs ended with exit code 0, or there would be no run to look at."""
    ledger = run.ledgers["no-such-host"]
    assert ledger["delivered"] == 0
    assert ledger["dropped_by"].keys() == {"too_old"}


def test_the_ledgers_balance(run: Run) -> None:
    """Every point is delivered, filtered, dropped with a reason, or held."""
    assert {name: ledger["balance"] for name, ledger in run.ledgers.items()} == dict.fromkeys(
        run.ledgers, 0
    )
    lossy = {name for name, ledger in run.ledgers.items() if ledger["dropped"]}
    refusing = {f"refuses-{status}" for status in product.NO_RETRY}
    assert lossy == {*refusing, "verbose-400", "redirects", "no-such-host"}


def gauge(run: Run) -> remote_write_v1.Labels:
    pairs = {"__name__": "gauge", "job": "test", "instance": run.target.address}
    return frozenset(pairs.items())


def first(run: Run, pipeline: str, status: int) -> tuple[Write, list[Write]]:
    """Return the one request that was answered so, and all others."""
    writes = run.writes(pipeline)
    (found,) = [write for write in writes if write.status == status]
    return found, [write for write in writes if write is not found]


def assert_tried_again(
    run: Run, pipeline: str, status: int, times: int
) -> list[tuple[Write, Write]]:
    """Return each request that was answered so, with its repetition: the same bytes."""
    writes = run.writes(pipeline)
    failed = [write for write in writes if write.status == status]
    assert len(failed) == times
    pairs = [
        (write, next(w for w in writes[writes.index(write) + 1 :] if w.body == write.body))
        for write in failed
    ]
    nothing_is_missing(run, pipeline)
    return pairs


def nothing_is_missing(run: Run, pipeline: str) -> None:
    """Check that a receiver took every sample that the plain one took, but for the latest."""
    plain = remote_write_v1.samples(run.taken())[gauge(run)]
    found = remote_write_v1.samples(run.taken(pipeline))[gauge(run)]
    assert len(found) >= 3
    assert found == plain[: len(found)]
