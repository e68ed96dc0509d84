"""What Prometheus' client of Go exposes in its protobuf format is what it says it observed."""

import base64
import json
import math
import subprocess

import pytest

from agent.exposition import delimited, model, native, text
from tests import toolbox

pytestmark = [
    pytest.mark.wallclock,
    pytest.mark.slow,
    pytest.mark.needs_go,
    pytest.mark.timeout(toolbox.SECONDS + 120),
]


@pytest.fixture(scope="module")
def told():
    run = subprocess.run(toolbox.go_exposer(), capture_output=True, check=True, timeout=60)
    found = json.loads(run.stdout)
    found["bodies"] = [base64.b64decode(body) for body in found["bodies"]]
    found["text"] = base64.b64decode(found["text"])
    return found


@pytest.fixture(scope="module")
def scrapes(told) -> list[model.Exposition]:
    reader = delimited.Reader(model.Limits())
    return [reader.read(body) for body in told["bodies"]]


def sample(found: model.Exposition, name: str, **labels: str) -> int:
    wanted = {n.encode(): v.encode() for n, v in labels.items()}
    (at,) = [
        i
        for i, key in enumerate(zip(found.names, found.labels, strict=True))
        if (key[0], dict(key[1])) == (name.encode(), wanted)
    ]
    return at


def number(found: model.Exposition, name: str, **labels: str) -> float:
    return float(found.values[sample(found, name, **labels)])


def test_it_is_the_protobuf_format(told) -> None:
    assert told["content_type"].startswith("application/vnd.google.protobuf")


def test_everything_of_the_text_is_there_with_the_same_number(told, scrapes) -> None:
    def by_series(found: model.Exposition):
        # That client writes le="1" in its text.
        steps = (b"le", b"quantile")
        behind = len(found.names) - found.uncounted
        return {
            (name, tuple(sorted((n, float(v) if n in steps else v) for n, v in labels))): value
            for i, (name, labels, value) in enumerate(
                zip(found.names, found.labels, found.values.tolist(), strict=True)
            )
            if i < behind and i not in found.natives
        }

    of_text = text.parse(told["text"], model.Limits())
    assert by_series(scrapes[-1]) == by_series(of_text)
    for name, family in scrapes[-1].families.items():
        described = of_text.families[name]
        assert family.help == described.help
        assert family.type == described.type.replace(b"untyped", b"unknown")


def test_counters_have_their_exemplars_and_start_times(told, scrapes) -> None:
    for shop, value in told["orders"].items():
        assert number(scrapes[-1], "orders_total", shop=shop) == value
    with_exemplar = sample(scrapes[-1], "orders_total", shop="ä")
    exemplar = scrapes[-1].exemplars[with_exemplar]
    assert (exemplar.labels, exemplar.value) == (((b"trace_id", b"abc"),), 2)
    assert exemplar.time > 1_700_000_000_000
    assert sample(scrapes[-1], "orders_total", shop="b") not in scrapes[-1].exemplars
    starts = [number(found, "orders_total_created", shop="b") for found in scrapes]
    assert starts[0] == starts[1]
    # The exemplar's time is in whole milliseconds, the start is not.
    assert int(starts[0] * 1000) <= exemplar.time < (starts[0] + 60) * 1000


def test_explicit_timestamps_are_kept(scrapes) -> None:
    found = scrapes[-1]
    assert found.times[sample(found, "timed")] == 1_700_000_000_123
    assert (found.times != model.UNTIMED).sum() == 1


@pytest.mark.parametrize("name", ["classic_seconds", "both_seconds"])
def test_classic_buckets_hold_what_was_observed(told, scrapes, name: str) -> None:
    found, observed = scrapes[-1], told["observed"]
    bounds = {"classic_seconds": ["0.1", "1.0", "1e+06"], "both_seconds": ["0.5", "2.0"]}[name]
    for bound in [*bounds, "+Inf"]:
        at = sample(found, f"{name}_bucket", le=bound)
        assert found.values[at] == sum(value <= float(bound) for value in observed)
        assert (at in found.classic_of_native) == (name == "both_seconds")
    assert found.exemplars[sample(found, f"{name}_bucket", le="+Inf")].value == 1e9
    assert number(found, f"{name}_sum") == pytest.approx(sum(observed))
    assert number(found, f"{name}_count") == len(observed)


@pytest.mark.parametrize(("name", "threshold"), [("native_seconds", 0.001), ("both_seconds", 0)])
def test_native_buckets_hold_what_was_observed(told, scrapes, name: str, threshold: float) -> None:
    observed = told["observed"]
    if name == "both_seconds":
        threshold = 2.0**-128  # that client's own
    for found, seen in zip(scrapes, (observed[:7], observed), strict=True):
        histogram = found.natives[sample(found, name)]
        assert histogram.zero_threshold == threshold
        made = native.exponential(histogram)
        assert isinstance(made, native.Exponential)
        assert (made.count, made.zero_count) == (
            len(seen),
            sum(abs(value) <= threshold for value in seen),
        )
        assert made.sum == pytest.approx(sum(seen))
        for sign, offset, counts in (
            (1, made.positive_offset, made.positive),
            (-1, made.negative_offset, made.negative),
        ):
            expected: dict[int, int] = {}
            for value in seen:
                if sign * value > threshold:
                    # OTLP: bucket i holds what is above base^i, up to base^(i + 1).
                    index = math.ceil(math.log2(abs(value)) * 2.0**made.scale) - 1
                    expected[index] = expected.get(index, 0) + 1
            assert {offset + i: n for i, n in enumerate(counts) if n} == expected


def test_native_exemplars_have_a_time(scrapes) -> None:
    found = scrapes[-1]
    exemplars = found.natives[sample(found, "native_seconds")].exemplars
    assert exemplars
    assert all(each.time > 1_700_000_000_000 for each in exemplars)
    assert {each.labels for each in exemplars} == {((b"trace_id", b"abc"),)}


def test_series_that_stayed_are_known_again(scrapes) -> None:
    assert scrapes[1].names is scrapes[0].names
    assert model.same_series(*scrapes)
