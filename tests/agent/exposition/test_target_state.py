"""A target between its scrapes: what is sent after each, and that nothing it exposes can harm."""

from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent.exposition import lines, metrics, model, report, target_state, translate
from agent.exposition.translate import Drop
from common.wire import otlp
from tests.fakes import metric_families as made

ORIGIN = metrics.Origin.of(job="j", instance="i", scope=("agent", "1"), attributes={}, labels={})
SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
BODY = b"a 1\nb 2\n"


def new(**limits: int) -> target_state.TargetState:
    return target_state.TargetState(ORIGIN, target_state.Terms(limits=model.Limits(**limits)))


def sent(outcome: target_state.Outcome) -> dict[str, float | None]:
    """Return the gauges of the payload; None for a stale one."""
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(outcome.payload)
    points = {}
    for frame in request.resource_metrics:
        for metric in frame.scope_metrics[0].metrics:
            for point in metric.gauge.data_points:
                points[metric.name] = None if point.flags else point.as_double
    assert otlp.count(outcome.payload) == outcome.points
    return points


def test_a_scrape_sends_the_samples_and_a_report() -> None:
    outcome = new().accept(BODY, NOW, 0.25)
    assert sent(outcome) == {
        "a": 1,
        "b": 2,
        "up": 1,
        "scrape_duration_seconds": 0.25,
        "scrape_samples_scraped": 2,
        "scrape_samples_post_metric_relabeling": 2,
        "scrape_series_added": 2,
    }
    assert (outcome.samples, outcome.stale, outcome.known, outcome.error) == (2, 0, False, "")


def test_the_second_scrape_of_the_same_series_takes_the_fast_path() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    assert state.held_bytes > 0
    outcome = state.accept(b"a 7\nb 8\n", NOW + SECOND, 0.1)
    assert outcome.known
    assert sent(outcome)["b"] == 8
    assert sent(outcome)["scrape_series_added"] == outcome.series_added == 0


def test_a_series_that_vanishes_is_marked_once() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    outcome = state.accept(b"b 2\nc 3\n", NOW + SECOND, 0.1)
    assert sent(outcome)["a"] is None
    assert (outcome.stale, outcome.series_added) == (1, 1)
    outcome = state.accept(b"b 2\nc 3\n", NOW + 2 * SECOND, 0.1)
    assert "a" not in sent(outcome)
    assert outcome.stale == 0


def test_a_missed_scrape_marks_everything_once_and_says_why() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    outcome = state.miss("connection refused", NOW + SECOND, 0.5)
    assert sent(outcome) == {
        "up": 0,
        "scrape_duration_seconds": 0.5,
        "scrape_samples_scraped": 0,
        "scrape_samples_post_metric_relabeling": 0,
        "scrape_series_added": 0,
        "a": None,
        "b": None,
    }
    assert outcome.error == "connection refused"
    assert state.miss("again", NOW + 2 * SECOND, 0.5).stale == 0
    back = state.accept(BODY, NOW + 3 * SECOND, 0.1)
    assert (back.series_added, back.stale, back.known) == (0, 0, True)
    assert sent(back)["up"] == 1


def test_a_broken_body_is_a_missed_scrape_with_the_line() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    outcome = state.accept(b"a 1\nb 2\r\n", NOW + SECOND, 0.1)
    assert "line 2, byte 6: not a number" in outcome.error
    assert sent(outcome)["up"] == 0
    assert outcome.stale == 2


def test_a_body_over_a_limit_is_a_missed_scrape_with_both_numbers() -> None:
    outcome = new(samples=1).accept(BODY, NOW, 0.1)
    assert "2 samples exceed the limit of 1" in outcome.error
    assert sent(outcome)["up"] == 0


def test_too_many_samples_are_reported_with_their_number_as_in_prometheus() -> None:
    outcome = new(samples=1).accept(BODY, NOW, 0.1)
    found = sent(outcome)
    assert outcome.samples == found["scrape_samples_scraped"] == 2
    assert found["scrape_samples_post_metric_relabeling"] == 2
    assert found["scrape_series_added"] == 0
    # What would have been kept of them, nobody has looked.
    terms = target_state.Terms(
        limits=model.Limits(samples=1), rules=translate.Rules(prefixes=(b"a",))
    )
    found = sent(target_state.TargetState(ORIGIN, terms).accept(BODY, NOW, 0.1))
    assert found["scrape_samples_scraped"] == 2
    assert found["scrape_samples_post_metric_relabeling"] == 0


def test_lines_have_a_limit_however_little_they_say() -> None:
    """Reading them all would keep everybody else waiting."""
    for body in (b"a 1\n" + b"\n" * 1020, b"# x\n" * 1020, b"a 1\n" * 1020):
        outcome = new(samples=2).accept(body, NOW, 0.1)
        assert outcome.too_large
        assert " lines exceed the limit of 1016, 8 for each of 2 samples" in outcome.error
    assert new(samples=2).accept(b"a 1\n" + b"\n" * 1015, NOW, 0.1).error == ""
    assert new(samples=0).accept(b"a 1\n" + b"\n" * 2000, NOW, 0.1).error == ""


def test_a_large_text_is_counted_before_it_takes_memory(monkeypatch) -> None:
    state = new(samples=1)
    state.accept(b"a 1\n", NOW, 0.1)
    monkeypatch.delattr(lines, "split")
    assert state.accept(b"\n" * (5 << 20), NOW, 0.1).too_large


def test_of_other_limits_nothing_is_counted() -> None:
    outcome = new(labels=1).accept(b'a{b="c",d="e"} 1\n', NOW, 0.1)
    assert outcome.too_large
    assert outcome.samples == sent(outcome)["scrape_samples_scraped"] == 0


def test_an_empty_body_is_up_and_marks_everything() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    outcome = state.accept(b"", NOW + SECOND, 0.1)
    assert sent(outcome)["up"] == 1
    assert outcome.stale == 2
    assert outcome.error == ""


def test_a_target_that_is_gone_takes_its_report_with_it() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    outcome = state.vanish(NOW + SECOND)
    assert outcome.stale == outcome.points == 7
    assert set(sent(outcome).values()) == {None}
    assert state.vanish(NOW + 2 * SECOND).payload == b""
    assert state.accept(BODY, NOW + 3 * SECOND, 0.1).series_added == 2


def test_a_histogram_that_ceases_to_make_sense_is_left_out_and_comes_back() -> None:
    body = b'# TYPE h histogram\nh_bucket{le="1"} %d\nh_bucket{le="+Inf"} 5\nh_count 5\nb 1\n'
    state = new()
    assert state.accept(body % 3, NOW, 0.1).dropped == {}
    broken = state.accept(body % 9, NOW + SECOND, 0.1)
    assert broken.dropped == {Drop.NOT_A_COUNT: 1}
    assert (broken.stale, broken.samples, broken.error) == (1, 4, "")
    still = state.accept(body % 8, NOW + 2 * SECOND, 0.1)
    assert (still.dropped, still.stale, still.known) == ({Drop.NOT_A_COUNT: 1}, 0, True)
    back = state.accept(body % 4, NOW + 3 * SECOND, 0.1)
    assert (back.dropped, back.series_added) == ({}, 3)


def test_losses_are_counted_by_reason() -> None:
    outcome = new().accept(b"# TYPE s summary\ns_sum 1\na 1\na 2\nt 1 0\n", NOW, 0.1)
    assert outcome.dropped == {Drop.NO_COUNT: 1, Drop.OUT_OF_BOUNDS: 1}
    assert outcome.duplicates == 1
    assert outcome.samples == 4


PIECES = st.lists(
    st.sampled_from(
        [
            b"a 1\n",
            b"a 2\n",
            b'a{x="1"} 1\n',
            b"b 1 1700000000000\n",
            b"# TYPE a counter\n",
            b"# TYPE h histogram\n",
            b'h_bucket{le="1"} 2\n',
            b'h_bucket{le="1"} 3\n',
            b'h_bucket{le="+Inf"} 2\n',
            b"h_count 2\n",
            b"h_sum 2\n",
            b"}",
        ]
    ),
    max_size=8,
).map(b"".join)


@settings(max_examples=150)
@given(st.lists(st.one_of(PIECES, st.none()), min_size=1, max_size=6))
def test_any_history_leaves_alive_exactly_what_the_last_scrape_had(bodies) -> None:
    state, alive = new(), set()
    for i, body in enumerate(bodies):
        time = NOW + i * SECOND
        fresh = new().accept(body or b"", time, 0.1)
        outcome = state.miss("x", time, 0.1) if body is None else state.accept(body, time, 0.1)
        assert otlp.count(outcome.payload) == outcome.points
        assert bool(outcome.error) == (body is None or bool(fresh.error))
        live, stale = series_of(outcome)
        assert not live & stale, "marked stale and sent at once"
        assert stale <= alive, "marked stale, but never sent"
        alive = (alive - stale) | live
        assert alive == live
        if not outcome.error:
            # What has a time of its own is not sent twice with the same one.
            again = fresh.points - outcome.points + outcome.stale
            assert again in {0, int(b" 1700000000000" in body)}
    gone = state.vanish(NOW + 99 * SECOND)
    assert series_of(gone)[1] == alive


def series_of(outcome: target_state.Outcome) -> tuple[set[str], set[str]]:
    """Return the series that Prometheus would see, those alive and those marked stale."""
    live: set[str] = set()
    stale: set[str] = set()
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(outcome.payload)
    for frame in request.resource_metrics:
        for metric in frame.scope_metrics[0].metrics:
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                if point.time_unix_nano == 1_700_000_000_000_000_000 and metric.name == "b":
                    continue  # has its own time, so staleness does not concern it
                labels = sorted((a.key, a.value.string_value) for a in point.attributes)
                names = [f"{metric.name}{labels}"]
                if kind == "histogram":
                    names = [f"{metric.name}_count{labels}"]
                    names += [f"{metric.name}_sum{labels}"] * point.HasField("sum")
                    bounds = [f"{b:g}" for b in point.explicit_bounds]
                    bounds += ["+Inf"] * (len(point.bucket_counts) > 0)
                    names += [f"{metric.name}_bucket{[('le', b)]}" for b in bounds]
                (stale if point.flags else live).update(names)
    return live, stale


def test_what_is_exposed_of_another_job_has_a_resource_of_its_own() -> None:
    # As the Pushgateway does, whose series are other programs'.
    body = b'a{job="push",x="1"} 1\na{job="push",instance="j:1"} 2\na{x="2"} 3\nb{job="push"} 4\n'
    terms = target_state.Terms(rules=translate.Rules(honor_labels=True))
    state = target_state.TargetState(ORIGIN, terms)
    first = state.accept(body, NOW, 0.1)
    assert owned(first) == {
        ("j", "i"): {"a": 1, **dict.fromkeys((name.decode() for name, _ in report.SERIES), 1)},
        ("push", "i"): {"a": 1, "b": 1},
        ("push", "j:1"): {"a": 1},
    }
    assert otlp.count(first.payload) == first.points
    assert owned(state.accept(body.replace(b" 4", b" 5"), NOW + SECOND, 0.1)) == owned(first)
    gone = state.accept(b'a{x="2"} 3\n', NOW + 2 * SECOND, 0.1)
    assert owned(gone, stale=True) == {("push", "i"): {"a": 1, "b": 1}, ("push", "j:1"): {"a": 1}}


def owned(
    outcome: target_state.Outcome, *, stale: bool = False
) -> dict[tuple[str, str], dict[str, int]]:
    """Return the numbers of points by job and instance of their resource, and by metric."""
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(outcome.payload)
    found: dict[tuple[str, str], dict[str, int]] = {}
    for frame in request.resource_metrics:
        told = {a.key: a.value.string_value for a in frame.resource.attributes}
        metrics = found.setdefault((told["service.name"], told["service.instance.id"]), {})
        for scope in frame.scope_metrics:
            for metric in scope.metrics:
                points = [p for p in metric.gauge.data_points if bool(p.flags) is stale]
                if points:
                    metrics[metric.name] = metrics.get(metric.name, 0) + len(points)
    return {owner: metrics for owner, metrics in found.items() if metrics}


def markers(outcome: target_state.Outcome) -> set[str]:
    return {name for name, value in sent(outcome).items() if value is None}


def resources(outcome: target_state.Outcome) -> list[dict[str, str]]:
    """Return the attributes of each resource in the payload."""
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(outcome.payload)
    return [
        {a.key: a.value.string_value for a in frame.resource.attributes}
        for frame in request.resource_metrics
    ]


def test_a_refused_scrape_marks_again_what_it_had_marked() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    assert markers(state.accept(b"b 2\n", NOW + SECOND, 0.1)) == {"a"}
    state.refused()
    again = state.accept(b"b 2\n", NOW + 2 * SECOND, 0.1)
    assert again.known
    assert markers(again) == {"a"}
    assert markers(state.accept(b"b 2\n", NOW + 3 * SECOND, 0.1)) == set()


def test_refused_again_and_again_it_marks_in_the_end_all_that_went_meanwhile() -> None:
    state = new()
    state.accept(b"a 1\nb 1\nc 1\n", NOW, 0.1)
    for i, body in enumerate((b"b 1\nc 1\n", b"c 1\n", b"c 1\nd 1\n"), 1):
        state.accept(body, NOW + i * SECOND, 0.1)
        state.refused()
    last = state.accept(b"c 1\n", NOW + 9 * SECOND, 0.1)
    assert markers(last) == {"a", "b"}, "d has never been sent"
    assert last.series_added == 0


def test_a_series_that_is_back_by_then_is_not_marked() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    state.accept(b"b 2\n", NOW + SECOND, 0.1)
    state.refused()
    assert markers(state.accept(BODY, NOW + 2 * SECOND, 0.1)) == set()


def test_a_refused_failure_is_marked_by_the_next_one() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    state.miss("x", NOW + SECOND, 0.1)
    state.refused()
    assert markers(state.miss("x", NOW + 2 * SECOND, 0.1)) == {"a", "b"}
    assert markers(state.miss("x", NOW + 3 * SECOND, 0.1)) == set()


def test_a_first_scrape_that_was_refused_leaves_nothing_to_mark() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    state.refused()
    again = state.accept(b"c 1\n", NOW + SECOND, 0.1)
    assert (markers(again), again.series_added) == (set(), 1)


def test_a_target_that_is_gone_takes_what_was_refused_with_it() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    state.accept(b"b 2\nc 3\n", NOW + SECOND, 0.1)
    state.refused()
    assert {"a", "b"} <= markers(state.vanish(NOW + 2 * SECOND))


def test_refused_markers_of_a_target_that_is_gone_come_again() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    gone = markers(state.vanish(NOW + SECOND))
    state.refused()
    assert markers(state.vanish(NOW + SECOND)) == gone
    state.refused()
    back = state.accept(b"b 2\n", NOW + 2 * SECOND, 0.1)
    assert (markers(back), back.series_added) == ({"a"}, 0)


def test_a_refused_sample_with_its_own_time_is_sent_the_next_time() -> None:
    state = new()
    timed = b"t 1 %d\n"
    state.accept(timed % (NOW // 1_000_000), NOW, 0.1)
    state.accept(timed % (NOW // 1_000_000 + 5), NOW + SECOND, 0.1)
    state.refused()
    again = state.accept(timed % (NOW // 1_000_000 + 5), NOW + 2 * SECOND, 0.1)
    assert "t" in sent(again)
    # The failure was refused, not the scrape before it.
    state.miss("x", NOW + 3 * SECOND, 0.1)
    state.refused()
    later = state.accept(timed % (NOW // 1_000_000 + 5), NOW + 4 * SECOND, 0.1)
    assert "t" not in sent(later)


def test_refusal_meets_a_body_without_times_behind_one_with() -> None:
    state = new()
    state.accept(b"t 1 1700000000000\n", NOW, 0.1)
    state.accept(b"t 1\n", NOW + SECOND, 0.1)
    state.refused()
    assert sent(state.accept(b"t 2 1700000000001\n", NOW + 2 * SECOND, 0.1))["t"] == 2


def test_older_samples_are_left_out_and_counted_with_what_else_is_lost() -> None:
    state = new()
    state.accept(b"t 1 1700000000005\nb 1\n", NOW, 0.1)
    older = state.accept(b"t 2 1700000000004\nb 1\n", NOW + SECOND, 0.1)
    assert older.dropped == {Drop.OUT_OF_ORDER: 1}
    assert older.known
    assert "t" not in sent(older)
    same = state.accept(b"t 2 1700000000005\nb 1\n", NOW + SECOND, 0.1)
    assert (same.dropped, "t" in sent(same)) == ({}, False)


INFO = b'target_info{host="%b"} 1\na 1\nb 2\n'


def test_what_a_target_says_of_itself_goes_into_its_resource() -> None:
    outcome = new().accept(INFO % b"one", NOW, 0.1)
    (resource,) = resources(outcome)
    assert resource == {"service.name": "j", "service.instance.id": "i", "host": "one"}
    assert "target_info" not in sent(outcome)
    assert (outcome.samples, outcome.kept) == (3, 3)


def test_a_resource_that_changes_marks_only_what_went_under_the_former_one() -> None:
    state = new()
    state.accept(INFO % b"one", NOW, 0.1)
    same_series = state.accept(INFO % b"two", NOW + SECOND, 0.1)
    assert [told["host"] for told in resources(same_series)] == ["two"]
    assert (same_series.stale, same_series.series_added) == (0, 0)
    less = state.accept(b'target_info{host="three"} 1\nb 2\n', NOW + 2 * SECOND, 0.1)
    assert [told["host"] for told in resources(less)] == ["three", "two"]
    assert markers(less) == {"a"}


def test_a_failure_speaks_of_the_target_as_it_was_known_last() -> None:
    state = new()
    before = state.miss("x", NOW, 0.1)
    assert "host" not in resources(before)[0]
    state.accept(INFO % b"one", NOW + SECOND, 0.1)
    failed = state.miss("x", NOW + 2 * SECOND, 0.1)
    assert [told["host"] for told in resources(failed)] == ["one", "one"]
    assert markers(failed) == {"a", "b"}
    again = state.miss("x", NOW + 3 * SECOND, 0.1)
    assert [told["host"] for told in resources(again)] == ["one"]
    gone = state.vanish(NOW + 4 * SECOND)
    assert [told["host"] for told in resources(gone)] == ["one"]


def test_a_target_that_says_no_more_of_itself_has_its_plain_resource() -> None:
    state = new()
    state.accept(INFO % b"one", NOW, 0.1)
    plain = state.accept(BODY, NOW + SECOND, 0.1)
    assert [told.get("host") for told in resources(plain)] == [None]
    assert plain.stale == 0


def test_a_target_may_change_its_format_and_keep_its_series() -> None:
    state = new()
    state.accept(BODY, NOW, 0.1)
    opened = state.accept(b"a 3\nb 4\n# EOF\n", NOW + SECOND, 0.1, model.Format.OPEN_METRICS)
    assert (opened.stale, opened.series_added, opened.known) == (0, 0, False)
    gauges = [
        made.family(name, made.GAUGE, made.metric(gauge=made.make("Gauge", value=5)))
        for name in ("a", "b")
    ]
    body = made.body(gauges)
    for known in (False, True):
        binary = state.accept(body, NOW + 2 * SECOND, 0.1, model.Format.PROTOBUF)
        assert (binary.stale, binary.series_added, binary.known) == (0, 0, known)
        assert sent(binary)["b"] == 5
    assert state.accept(BODY, NOW + 3 * SECOND, 0.1).stale == 0


def test_further_series_of_the_report_tell_what_a_scrape_may_cost() -> None:
    terms = target_state.Terms(extra=report.Terms(timeout=9.5, sample_limit=100))
    state = target_state.TargetState(ORIGIN, terms)
    found = sent(state.accept(BODY, NOW, 0.1))
    assert (found["scrape_timeout_seconds"], found["scrape_sample_limit"]) == (9.5, 100)
    assert found["scrape_body_size_bytes"] == len(BODY)
    missed = sent(state.miss("x", NOW + SECOND, 0.1, body_bytes=report.TOO_LARGE))
    assert missed["scrape_body_size_bytes"] == -1


def test_new_series_are_told_by_the_last_scrape_that_said_anything() -> None:
    state = new()
    bodies = (b"a 1\n", b"", b"a 1\nb 2\n", b"# nothing\n", b"a 1\n")
    times = range(NOW, NOW + len(bodies) * SECOND, SECOND)
    outcomes = [state.accept(body, at, 0.1) for body, at in zip(bodies, times, strict=True)]
    assert [each.series_added for each in outcomes] == [1, 0, 1, 0, 1]


def test_series_with_timestamps_are_new_like_any_other() -> None:
    state = new()
    bodies = (b"a 1\nt 1 5\n", b"a 1\n", b"a 1\nt 2 6\nu 1 6\n")
    times = range(NOW, NOW + len(bodies) * SECOND, SECOND)
    outcomes = [state.accept(body, at, 0.1) for body, at in zip(bodies, times, strict=True)]
    assert [(each.series_added, each.stale) for each in outcomes] == [(2, 0), (0, 0), (2, 0)]


def test_an_outcome_that_was_refused_made_no_series_old() -> None:
    state = new()
    assert state.accept(BODY, NOW, 0.1).series_added == 2
    state.refused()
    assert state.accept(BODY, NOW + SECOND, 0.1).series_added == 2


def test_another_type_is_another_type_however_alike_the_bodies_are() -> None:
    state = new()
    filling = b"".join(b"x%d 1\n" % i for i in range(50))
    state.accept(b"# HELP a It.\n# TYPE a counter\na 1\n" + filling, NOW, 0.1)
    state.accept(b"# HELP a It.\n# TYPE a counter\na 1\nb 1\n" + filling, NOW + SECOND, 0.1)
    for body, kind, words in (
        (b"# HELP a It.\n# TYPE a gauge\na 1\nb 1\n", "gauge", "It."),
        (b"# HELP a That.\n# TYPE a gauge\na 1\nb 1\n", "gauge", "That."),
        (b"# HELP a That.\n# TYPE a counter\na 1\n", "sum", "That."),
    ):
        outcome = state.accept(body + filling, NOW + 2 * SECOND, 0.1)
        request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(outcome.payload)
        metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
        assert (metric.WhichOneof("data"), metric.description) == (kind, words)


def test_a_series_never_goes_back_behind_its_samples_without_a_timestamp() -> None:
    state = new()
    at = NOW // 1_000_000  # milliseconds
    history = (
        (b"m 1\n", [None]),
        (b"m 2 %d\n" % (at - 5), []),  # older than the scrape before; it is marked stale now
        (b"m 3 %d\n" % (at + 500), []),  # older than that marker
        (b"m 4 %d\n" % (at + 2500), [at + 2500]),
        (b"m 5\n", [None]),
        (b"# gone\n", []),
        (b"m 6 %d\n" % (at + 4500), []),  # older than its marker
        (b"m 7 %d\n" % (at + 5500), [at + 5500]),
    )
    for step, (body, expected) in enumerate(history):
        outcome = state.accept(body, NOW + step * SECOND, 0.1)
        request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(outcome.payload)
        points = [
            point
            for frame in request.resource_metrics
            for metric in frame.scope_metrics[0].metrics
            if metric.name == "m"
            for point in metric.gauge.data_points
            if not point.flags
        ]
        times = [at + step * 1000 if time is None else time for time in expected]
        assert [point.time_unix_nano // 1_000_000 for point in points] == times, step
        assert outcome.dropped.get(Drop.OUT_OF_ORDER, 0) == int(
            not expected and b"gone" not in body
        )
