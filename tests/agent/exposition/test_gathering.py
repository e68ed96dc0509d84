"""Gathering: every sample is a part of a point, or counted as something else."""

import pytest

from agent.exposition import gathering, native, relabelling
from agent.exposition.model import Family, Format
from tests.agent.exposition import expositions


def gathered(
    samples: expositions.Samples,
    families: dict[bytes, Family],
    *,
    prefixes: tuple[bytes, ...] = (),
    without: tuple[tuple[bytes, bytes], ...] = (),
    added: tuple[tuple[bytes, bytes], ...] = (),
    honored: bool = False,
    **further,
) -> gathering.Gathered:
    return gathering.Gatherer(
        expositions.of(samples, families, **further),
        relabelling.Relabelled(added, honored=honored),
        prefixes=prefixes,
        without=without,
        reserved=(),
    ).gather()


def kept(found: gathering.Gathered) -> list[bytes]:
    return [shape.name for shape in found.drafts]


def test_created_timestamps_are_found_by_family_and_labels_and_hidden() -> None:
    found = gathered(
        [
            (b"c_total", {b"a": b"2"}),
            (b"c_created", {b"a": b"2"}),
            (b"c_created", {b"a": b"2", b"b": b""}),  # the same labels again
            (b"c_created", {b"a": b"3"}),  # of nothing
        ],
        {b"c": Family(b"counter")},
    )
    assert found.created == {b"c": {((b"a", b"2"),): 1, ((b"a", b"3"),): 3}}
    assert (found.hidden, found.duplicates, kept(found)) == (3, 0, [b"c_total"])


def test_a_gauge_histogram_is_counted_by_point() -> None:
    samples = [
        (b"g" + suffix, {b"le": b"1", b"a": a} if suffix == b"_bucket" else {b"a": a})
        for a in (b"1", b"2")
        for suffix in (b"_bucket", b"_gcount", b"_gsum")
    ]
    found = gathered(samples, {b"g": Family(b"gaugehistogram")})
    assert (len(found.unsupported), kept(found)) == (2, [])


@pytest.mark.parametrize("word", [b"info", b"gauge", b""])
def test_the_first_target_info_describes_the_target(word: bytes) -> None:
    families = {b"target": Family(b"info")} if word == b"info" else {b"target_info": Family(word)}
    found = gathered(
        [
            (b"target_info", {b"z": b"1", b"job": b"x", b"service": b"back", b"empty": b""}),
            (b"target_info", {b"z": b"2"}),
            (b"a", {}),
        ],
        families,
        added=((b"service", b"front"),),
    )
    assert found.info == ((b"exported_job", b"x"), (b"exported_service", b"back"), (b"z", b"1"))
    assert (found.duplicates, kept(found)) == (1, [b"a"])


def test_what_target_info_says_is_not_what_the_target_is() -> None:
    found = gathered(
        [(b"target_info", {b"job": b"x", b"instance": b"y", b"service": b"back"})],
        {},
        added=((b"service", b"front"), (b"zone", b"1")),
        honored=True,
    )
    assert found.info == ((b"service", b"back"),)


def test_names_without_a_prefix_that_is_wanted_are_left_out_and_counted() -> None:
    found = gathered(
        [(b"istio_a", {}), (b"envoy_b", {}), (b"go_c", {}), (b"istio_h_count", {})],
        {b"istio_h": Family(b"histogram")},
        prefixes=(b"istio_", b"envoy_"),
    )
    assert (kept(found), found.filtered) == ([b"istio_a", b"envoy_b", b"istio_h"], 1)


def test_series_with_an_unwanted_label_are_left_out_and_counted() -> None:
    found = gathered(
        [
            (b"a", {b"source": b"us"}),
            (b"a", {b"source": b"them"}),
            (b"b", {b"to": b"us", b"source": b"them"}),
            (b"c", {b"to": b"them"}),
        ],
        {},
        without=((b"source", b"us"), (b"to", b"us")),
    )
    assert (kept(found), found.filtered) == ([b"a", b"c"], 2)


def test_created_timestamps_are_hidden_not_chosen() -> None:
    found = gathered(
        [(b"c_total", {}), (b"c_created", {})], {b"c": Family(b"counter")}, prefixes=(b"x",)
    )
    assert (found.hidden, found.filtered) == (1, 1)


def test_native_histograms_are_told_from_other_samples_of_their_name() -> None:
    found = gathered(
        [(b"h", {}), (b"h", {}), (b"h", {b"a": b"1"})],
        {b"h": Family(b"histogram")},
        written=Format.PROTOBUF,
        natives={0: expositions.native(), 1: expositions.native()},
    )
    shapes = [(shape.type, shape.scaled) for shape in found.drafts]
    assert shapes == [(b"histogram", True), (b"unknown", False)]
    assert found.natives == {b"h": {()}}
    assert found.duplicates == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gauge": True}, native.Unsent.GAUGE),
        ({"fractional": True}, native.Unsent.FRACTIONAL),
        ({"schema": 9}, native.Unsent.SCHEMA),
        ({"schema": native.CUSTOM}, native.Unsent.SCHEMA),
    ],
)
def test_native_histograms_that_can_never_be_sent_are_counted_by_reason(changes, why) -> None:
    found = gathered(
        [(b"h", {})],
        {b"h": Family(b"histogram")},
        written=Format.PROTOBUF,
        natives={0: expositions.native(**changes)},
    )
    assert (kept(found), found.unsent, found.natives) == ([], {why: 1}, {})


def test_one_whose_numbers_are_wrong_this_time_stays_a_point() -> None:
    found = gathered(
        [(b"h", {})],
        {b"h": Family(b"histogram")},
        written=Format.PROTOBUF,
        natives={0: expositions.native(count=1)},
    )
    assert kept(found) == [b"h"]


def test_names_of_the_report_are_taken() -> None:
    relabelled = relabelling.Relabelled(())
    exposition = expositions.of([(b"up", {}), (b"up", {b"a": b"1"})], {})
    found = gathering.Gatherer(
        exposition, relabelled, prefixes=(), without=(), reserved=(b"up",)
    ).gather()
    assert found.duplicates == 1
    (draft,) = found.drafts.values()
    assert draft.singles == [(((b"a", b"1"),), 1)]
