"""Answers to 2.0 mean what the specification says; what a backend knows is remembered."""

import pytest

from common.exporters import remote_write_versions as versions
from common.exporters.http_posting import Answer
from common.exporters.outcomes import Delivered, Refused, Retry, TooBig
from common.exporters.remote_write_versions import FORGET_AFTER, OtherVersion, Spoken
from common.wire.remote_write_v2 import Counts
from tests.fakes.remote_write_v2 import written

NOW = 1_790_000_000.0
SENT = Counts(samples=10, histograms=2, exemplars=3)


def judged(status: int, headers: dict[str, str], points: int = 6, sent: Counts = SENT):
    answer = Answer(
        status=status, content_type="text/plain", retry_after="7", body=b"", headers=headers
    )
    return versions.verdict_v2(answer, NOW, points=points, counts=sent)


def test_success_with_everything_written_is_delivered() -> None:
    assert judged(204, written(10, 2, 3)) == Delivered()
    assert judged(200, written(99, 2, 3)) == Delivered()  # more than was sent is no loss


def test_exemplars_that_were_not_written_are_no_points() -> None:
    assert judged(204, written(10, 2, 0)) == Delivered()


@pytest.mark.parametrize(
    ("samples", "histograms", "rejected"), [(9, 2, 1), (10, 0, 2), (7, 1, 4), (1, 0, 6)]
)
def test_what_was_not_written_is_rejected_a_point_for_each(samples, histograms, rejected) -> None:
    found = judged(200, written(samples, histograms))
    assert isinstance(found, Delivered)
    assert found.rejected == rejected
    assert f"{samples} of 10 samples, {histograms} of 2 histograms" in found.message


def test_a_kind_that_is_not_named_counts_as_none() -> None:
    found = judged(200, {"X-Prometheus-Remote-Write-Samples-Written": "10"})
    assert isinstance(found, Delivered)
    assert found.rejected == 2
    assert judged(200, {"X-Prometheus-Remote-Write-Exemplars-Written": "3"}) == Refused(
        "HTTP 200; written: 0 of 10 samples, 0 of 2 histograms"
    )


def test_success_with_nothing_written_is_no_success() -> None:
    found = judged(204, written(0, 0, 3))
    assert found == Refused("HTTP 204; written: 0 of 10 samples, 0 of 2 histograms")


@pytest.mark.parametrize("count", ["", "-1", "ten", "1.5", "٣"])
def test_a_count_that_is_none_counts_as_nothing(count) -> None:
    found = judged(200, {**written(10, 2), "X-Prometheus-Remote-Write-Histograms-Written": count})
    assert isinstance(found, Delivered)
    assert found.rejected == 2


@pytest.mark.parametrize("status", [200, 202, 204])
def test_success_without_a_word_of_what_was_written_means_the_other_version(status) -> None:
    assert isinstance(judged(status, {"date": "today"}), OtherVersion)


@pytest.mark.parametrize("status", [200, 204])
def test_success_with_any_of_the_headers_never_means_the_other_version(status) -> None:
    for name, count in [*written(10, 2).items(), *written(0).items()]:
        assert not isinstance(judged(status, {name: count}), OtherVersion)


def test_415_means_the_other_version_whatever_else_it_says() -> None:
    assert isinstance(judged(415, {}), OtherVersion)
    assert isinstance(judged(415, written(0)), OtherVersion)


def test_400_is_final_and_tells_the_remedy_if_nothing_shows_that_2_0_is_known() -> None:
    found = judged(400, {})
    assert isinstance(found, Refused)
    assert 'set protocol: "1.0"' in found.why
    found = judged(400, written(0))
    assert isinstance(found, Refused)
    assert "protocol" not in found.why


def test_a_partial_write_is_final_and_its_counts_are_believed() -> None:
    found = judged(400, written(9, 2))
    assert isinstance(found, Delivered)
    assert (found.rejected, found.message[:8]) == (1, "HTTP 400")
    found = judged(400, written(10, 2))
    assert isinstance(found, Delivered)
    assert found.rejected == 0


def test_all_else_is_sorted_as_for_1_0() -> None:
    for status in range(300, 600):
        answer = Answer(status=status, content_type="", retry_after="7", body=b"")
        if status not in {400, 415}:
            assert judged(status, {}) == versions.verdict_v1(answer, NOW)
    assert judged(500, written(5)) == Retry("HTTP 500", 7.0)
    assert judged(429, written(5)) == Retry("HTTP 429", 7.0)
    assert judged(413, written(5)) == TooBig("HTTP 413")
    assert isinstance(judged(302, written(5)), Refused)


def test_nothing_sent_needs_no_word() -> None:
    assert judged(204, {}, sent=Counts(samples=0, histograms=0, exemplars=0)) == Delivered()


def test_a_backend_that_does_not_know_2_0_is_asked_again_after_a_while() -> None:
    spoken = Spoken()
    assert spoken.is_v2(5.0)
    assert spoken.refuse(5.0)
    assert not spoken.is_v2(5.0 + FORGET_AFTER - 1)
    assert spoken.is_v2(5.0 + FORGET_AFTER)


def test_only_changes_are_news() -> None:
    spoken = Spoken()
    assert not spoken.take()
    assert [spoken.refuse(at) for at in (0.0, 1.0, FORGET_AFTER + 1.0)] == [True, False, False]
    assert [spoken.take() for _ in range(2)] == [True, False]
    assert spoken.is_v2(0.0)
    assert spoken.refuse(9.0)
