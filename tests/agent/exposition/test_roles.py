"""Roles: the type of the family and the suffix of the name decide, by the rules of the format."""

import pytest

from agent.exposition import roles
from agent.exposition.model import Family, Format
from agent.exposition.roles import Part, Role

FAMILIES = {
    word: Family(word)
    for word in (
        b"counter", b"gauge", b"histogram", b"gaugehistogram", b"summary", b"info", b"stateset",
        b"unknown", b"untyped",
    )
}  # fmt: skip
EVERY = tuple(Format)
BEYOND_TEXT = (Format.OPEN_METRICS, Format.PROTOBUF)


def part(name: bytes, written: Format) -> Part:
    return roles.role(name, FAMILIES, written).part


@pytest.mark.parametrize("written", EVERY)
@pytest.mark.parametrize(
    ("name", "found"),
    [
        (b"counter", Role(Part.NUMBER, b"counter", b"counter", b"counter")),
        (b"counter_total", Role(Part.NUMBER, b"counter_total", b"counter", b"counter")),
        (b"gauge", Role(Part.NUMBER, b"gauge", b"gauge", b"gauge")),
        (b"gauge_total", Role(Part.NUMBER, b"gauge_total", b"gauge_total", b"unknown")),
        (b"unknown", Role(Part.NUMBER, b"unknown", b"unknown", b"unknown")),
        (b"untyped", Role(Part.NUMBER, b"untyped", b"untyped", b"unknown")),
        (b"other", Role(Part.NUMBER, b"other", b"other", b"unknown")),
        (b"histogram_bucket", Role(Part.STEP, b"histogram", b"histogram", b"histogram")),
        (b"histogram_sum", Role(Part.SUM, b"histogram", b"histogram", b"histogram")),
        (b"histogram_count", Role(Part.COUNT, b"histogram", b"histogram", b"histogram")),
        (b"summary", Role(Part.STEP, b"summary", b"summary", b"summary")),
        (b"summary_sum", Role(Part.SUM, b"summary", b"summary", b"summary")),
        (b"summary_count", Role(Part.COUNT, b"summary", b"summary", b"summary")),
        (b"summary_bucket", Role(Part.NUMBER, b"summary_bucket", b"summary_bucket", b"unknown")),
    ],
)
def test_what_all_formats_have_means_the_same_in_all(
    written: Format, name: bytes, found: Role
) -> None:
    assert roles.role(name, FAMILIES, written) == found


@pytest.mark.parametrize("name", [b"counter_created", b"histogram_created", b"summary_created"])
def test_created_is_a_timestamp_of_what_counts_and_a_series_in_text(name: bytes) -> None:
    family = name.removesuffix(b"_created")
    for written in BEYOND_TEXT:
        found = roles.role(name, FAMILIES, written)
        assert found == Role(Part.CREATED, family, family, family)
    assert part(name, Format.TEXT) is Part.NUMBER


@pytest.mark.parametrize("name", [b"gauge_created", b"info_created", b"other_created", b"created"])
def test_created_of_what_does_not_count_is_a_series(name: bytes) -> None:
    assert all(part(name, written) is Part.NUMBER for written in EVERY)


def test_a_type_for_the_very_name_beats_the_suffix() -> None:
    families = {**FAMILIES, b"counter_created": Family(b"gauge")}
    found = roles.role(b"counter_created", families, Format.OPEN_METRICS)
    assert found == Role(Part.NUMBER, b"counter_created", b"counter_created", b"gauge")


def test_info_has_a_suffix_and_stateset_has_none() -> None:
    for written in BEYOND_TEXT:
        assert roles.role(b"info_info", FAMILIES, written) == Role(
            Part.NUMBER, b"info_info", b"info", b"info"
        )
        assert roles.role(b"stateset", FAMILIES, written).type == b"stateset"
    assert roles.role(b"info_info", FAMILIES, Format.TEXT).type == b"unknown"


@pytest.mark.parametrize("suffix", [b"_bucket", b"_gcount", b"_gsum", b"_count", b"_sum", b""])
def test_nothing_of_a_gauge_histogram_is_supported(suffix: bytes) -> None:
    assert part(b"gaugehistogram" + suffix, Format.PROTOBUF) is Part.UNSUPPORTED


def test_the_very_name_of_a_histogram_may_be_a_native_one_in_protobuf_only() -> None:
    assert part(b"histogram", Format.PROTOBUF) is Part.NATIVE
    for written in (Format.TEXT, Format.OPEN_METRICS):
        assert roles.role(b"histogram", FAMILIES, written).type == b"unknown"


@pytest.mark.parametrize(
    ("families", "found"),
    [
        ({b"target": Family(b"info")}, Part.TARGET),
        ({b"target_info": Family(b"gauge")}, Part.TARGET),
        ({}, Part.TARGET),
        ({b"target_info": Family(b"summary")}, Part.STEP),
    ],
)
def test_target_info_describes_the_target_unless_it_is_no_number(families, found: Part) -> None:
    assert roles.role(b"target_info", families, Format.OPEN_METRICS).part is found
