"""Checks: points whose numbers make no sense in OTLP are found, the others are left alone."""

import pytest

from agent.exposition import checks, model, series, text, translate
from agent.exposition.translate import Drop
from tests.agent.exposition import expositions

NOW = 1_700_000_000_000


def faults(body: bytes) -> dict[int, Drop]:
    exposition = text.parse(body, model.Limits())
    found = translate.translate(exposition, translate.Rules())
    readings = series.Readings(values=exposition.values, times=exposition.times)
    return checks.Checks.of(found, exposition.times).find(readings, NOW)


def histogram(*buckets: str, count: str = "3", inf: str | None = "3") -> bytes:
    lines = ["# TYPE h histogram", *(f'h_bucket{{le="{i}"}} {b}' for i, b in enumerate(buckets))]
    if inf is not None:
        lines.append(f'h_bucket{{le="+Inf"}} {inf}')
    return "\n".join([*lines, "h_sum NaN", f"h_count {count}", "fine 1"]).encode()


@pytest.mark.parametrize(
    "body",
    [
        histogram(),
        histogram("0", "0", "3"),
        histogram("1", "2", count="2", inf=None),
        histogram("1", inf="3", count="5"),
        histogram("18014398509481984", inf="18014398509481984", count="18014398509481984"),
        b'# TYPE s summary\ns{quantile="0.5"} NaN\ns_sum -1\ns_count 0\n',
        b"a NaN\nb -Inf\nc 1 1700000600000\n",
    ],
)
def test_sound_points_pass(body: bytes) -> None:
    assert faults(body) == {}


@pytest.mark.parametrize(
    "body",
    [
        histogram("2", "1"),
        histogram("4", inf="3"),
        histogram("3", count="2", inf=None),
        histogram("-1"),
        histogram("0.5"),
        histogram("NaN"),
        histogram(inf="+Inf"),
        histogram(count="2.5"),
        histogram(count="NaN"),
        histogram(count="18446744073709551616"),
        b"# TYPE s summary\ns_count -1\n",
    ],
)
def test_what_is_no_count_or_not_cumulative_is_found_and_nothing_else(body: bytes) -> None:
    assert faults(body) == {0: Drop.NOT_A_COUNT}


@pytest.mark.parametrize("stamp", [0, NOW + 600_001, 2**63 - 1])
def test_timestamps_of_zero_or_far_ahead_are_out_of_bounds(stamp: int) -> None:
    assert faults(b"a 1\nb 2 %d\n" % stamp) == {1: Drop.OUT_OF_BOUNDS}


@pytest.mark.parametrize("stamps", [("", " 1000"), (" 1000", ""), (" 1000", " 2000")])
def test_samples_of_one_point_must_share_their_time(stamps: tuple[str, str]) -> None:
    body = f"# TYPE h histogram\nh_sum 1{stamps[0]}\nh_count 1{stamps[1]}\n"
    assert faults(body.encode()) == {0: Drop.MIXED_TIMES}


def of_natives(*natives: model.Native, times: list[int] | None = None) -> model.Exposition:
    samples = [(b"a", {}), *((b"h", {b"n": b"%d" % i}) for i in range(len(natives)))]
    return expositions.of(
        samples,
        {b"h": model.Family(b"histogram")},
        written=model.Format.PROTOBUF,
        values=[-1.5] * len(samples),
        times=times or [],
        natives=dict(enumerate(natives, 1)),
    )


def test_a_native_histogram_is_checked_for_its_time_and_not_as_a_classic_one() -> None:
    exposition = of_natives(expositions.native(), times=[model.UNTIMED, 0])
    found = translate.translate(exposition, translate.Rules())
    readings = series.Readings(values=exposition.values, times=exposition.times)
    checked = checks.Checks.of(found, exposition.times)
    assert checked.find(readings, NOW) == {1: Drop.OUT_OF_BOUNDS}


def test_info_and_stateset_may_have_any_value() -> None:
    exposition = expositions.of(
        [(b"a_info", {}), (b"b", {b"b": b"on"})],
        {b"a": model.Family(b"info"), b"b": model.Family(b"stateset")},
        values=[-1.5, 7.0],
    )
    found = translate.translate(exposition, translate.Rules())
    readings = series.Readings(values=exposition.values, times=exposition.times)
    assert checks.Checks.of(found, exposition.times).find(readings, NOW) == {}
