"""What 2.0 says is what the draft said, and nothing it must not say."""

from typing import Any

import pytest
from google.protobuf import message
from hypothesis import given, settings, strategies as st

from bench.references import remote_write_v2 as reference
from common.wire import errors, otlp, protobuf, remote_write_series, remote_write_v2
from common.wire.remote_write import Converter, Naming, Options
from common.wire.remote_write_v2 import Counts, Encoder
from tests.common.wire import test_remote_write as plain
from tests.conformance.remote_write import sender
from tests.fakes import remote_write_rules as rules, remote_write_schema as schema
from tests.fakes.remote_write_v2 import V1, V2, read_v1, read_v2

DRAFT = schema.messages("draft", schema.DRAFT)
NOW = 1_700_000_000_000
START = 1_600_000_000_000

texts = st.text(st.characters(codec="utf-8"), max_size=200)
names = st.sampled_from(["A", "__name__", "job", "le", "z"])
stamps = st.one_of(st.sampled_from([0, 1, NOW, NOW + 1, START]), st.integers(-(2**63), 2**63 - 1))
values = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, float("inf"), float("-inf"), 1e-300]))
suffixes = st.sampled_from(["", "_bucket", "_sum", "_count", "_total"])
families = st.sampled_from(["requests", "latency", "requests_total", ""])


def label(name: str, value: str) -> bytes:
    return remote_write_series.label(name, value)


def sample(value: bytes = bytes(8), ms: int = NOW, start: int | None = None) -> bytes:
    made = b"\x09" + value + remote_write_series.stamp(ms)
    return protobuf.framed(2, made if start is None else made + sender.spelt(start))


def series(*parts: bytes) -> bytes:
    return protobuf.framed(1, b"".join(parts))


@st.composite
def labels(draw: st.DrawFn) -> list[tuple[str, str]]:
    called = draw(families) + draw(suffixes)
    found = draw(st.dictionaries(names, texts, max_size=4)) | {"__name__": called}
    return sorted(found.items())


@st.composite
def usual(draw: st.DrawFn) -> bytes:
    """Draw a series as nearly all are: labels and one sample, as conversions write it."""
    start = draw(st.one_of(st.none(), st.sampled_from([0, START])))
    value = draw(st.binary(min_size=8, max_size=8))
    return series(*[label(*pair) for pair in draw(labels())], sample(value, NOW, start))


@st.composite
def unusual(draw: st.DrawFn) -> bytes:
    """Draw a series of anything, in the spelling of protobuf's own encoder."""
    made = DRAFT["TimeSeries"]()
    for name, value in draw(labels()):
        made.labels.add(name=name, value=value)
    for value, at, start in draw(st.lists(st.tuples(values, stamps, stamps), max_size=3)):
        made.samples.add(value=value, timestamp=at, start_timestamp=start)
    for value, at in draw(st.lists(st.tuples(values, stamps), max_size=2)):
        exemplar = made.exemplars.add(value=value, timestamp=at)
        for name, text in draw(st.lists(st.tuples(texts, texts), max_size=3)):
            exemplar.labels.add(name=name, value=text)
    for at, start in draw(st.lists(st.tuples(stamps, stamps), max_size=2)):
        histogram = made.histograms.add(timestamp=at, start_timestamp=start, sum=1.5, schema=-2)
        histogram.count_int = 3
        histogram.positive_spans.add(offset=-1, length=2)
        histogram.positive_deltas.extend([1, 1])
    return protobuf.framed(1, made.SerializeToString())


@st.composite
def described(draw: st.DrawFn) -> bytes:
    return remote_write_series.metadata(
        draw(st.integers(0, 7)), draw(families), draw(texts), draw(st.sampled_from(["", "s"]))
    )


drafts = st.lists(st.one_of(usual(), usual(), unusual(), described()), max_size=12).map(b"".join)


def encoded(draft: bytes) -> Any:
    return V2["Request"].FromString(Encoder(1 << 20).encode(draft).body)


def comparable(found: list[rules.Series]) -> list[tuple[Any, ...]]:
    """Return series as values; messages of two schemas are not equal to one another."""
    return [
        (
            one.labels,
            one.samples,
            [histogram.SerializeToString(deterministic=True) for histogram in one.histograms],
            one.exemplars,
            one.metadata if one.metadata != rules.Metadata(kind=0, help="", unit="") else None,
        )
        for one in found
    ]


@settings(deadline=None, max_examples=80)
@given(draft=drafts)
def test_what_is_encoded_reads_as_the_draft_and_obeys_the_rules(draft) -> None:
    encoder = Encoder(1 << 20)
    for _ in range(2):  # what is new, and what is known
        made = encoder.encode(draft)
        request = V2["Request"].FromString(made.body)
        wanted = read_v1(DRAFT["WriteRequest"].FromString(draft))
        assert schema.strangers(request) == []
        assert comparable(read_v2(request)) == comparable(wanted)
        assert [*rules.of_symbols(request)] == []
        assert made.counts == Counts(
            samples=sum(len(one.samples) for one in wanted),
            histograms=sum(len(one.histograms) for one in wanted),
            exemplars=sum(len(one.exemplars) for one in wanted),
        )


@settings(deadline=None, max_examples=50)
@given(draft=drafts)
def test_the_reference_encodes_the_same(draft) -> None:
    ours, obvious = encoded(draft), V2["Request"].FromString(reference.encode(draft))
    assert comparable(read_v2(ours)) == comparable(read_v2(obvious))


@settings(deadline=None, max_examples=40)
@given(plain.requests(), st.sampled_from(list(Naming)))
def test_whatever_is_converted_can_be_told_in_both_versions(request, naming) -> None:
    encoder = Encoder(1 << 20)
    drafting, bare = (
        Converter(Options(naming=naming, start_times=started), 1 << 20) for started in (True, False)
    )
    body = otlp.Encoded(request.SerializeToString())
    for _ in range(3):  # what is new, learnt, and known
        draft = plain.joined(drafting.convert(body, NOW))
        wanted = plain.joined(bare.convert(body, NOW))
        found = read_v2(V2["Request"].FromString(encoder.encode(draft).body))
        # Several requests are joined here, and each is in order, so order is no matter now.
        said = [why for one in found for why in rules.of_series(one, utf8=True)]
        assert [why for why in said if not why.startswith(("timestamps", "histogram"))] == []
        assert plain.decoded(encoder.downgrade(draft)) == plain.decoded(wanted)
        assert plain.exemplars(encoder.downgrade(draft)) == plain.exemplars(wanted)


@settings(deadline=None, max_examples=50)
@given(draft=drafts)
def test_a_downgrade_is_the_draft_without_start_times(draft) -> None:
    wanted = DRAFT["WriteRequest"].FromString(draft)
    for one in wanted.timeseries:
        for started in (*one.samples, *one.histograms):
            started.ClearField("start_timestamp")
    for encoder in (Encoder(1 << 20), Encoder(0)):
        found = V1["WriteRequest"].FromString(encoder.downgrade(draft))
        assert schema.strangers(found) == []
        assert found.SerializeToString() == wanted.SerializeToString()


@pytest.mark.parametrize(
    ("at", "start"), [(-1, 128), (0, START), (1, 2**40), (2**62, 2**20), (NOW, 0)]
)
def test_a_downgrade_cuts_samples_of_any_shape_where_their_start_is(at, start) -> None:
    made = DRAFT["WriteRequest"]()
    one = made.timeseries.add()
    one.labels.add(name="__name__", value="a")
    one.samples.add(value=1.5, timestamp=at, start_timestamp=start)
    found = V1["WriteRequest"].FromString(Encoder(1 << 20).downgrade(made.SerializeToString()))
    assert schema.strangers(found) == []
    assert [(sample.value, sample.timestamp) for sample in found.timeseries[0].samples] == [
        (1.5, at)
    ]


@settings(deadline=None, max_examples=100)
@given(draft=drafts, data=st.data())
def test_what_is_no_draft_is_malformed_and_nothing_else(draft, data) -> None:
    broken = bytearray(draft)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(broken)))
        broken[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    encoder = Encoder(1 << 20)
    encoder.encode(draft)  # so that there is something to be taken for
    for work in (encoder.encode, encoder.downgrade):
        try:
            made = work(bytes(broken))
        except errors.Malformed:
            continue
        try:
            wanted = DRAFT["WriteRequest"].FromString(bytes(broken))
        except message.DecodeError:
            continue  # the inside of samples, histograms and texts is not looked at
        if work == encoder.encode:
            found = read_v2(V2["Request"].FromString(made.body))
            assert comparable(found) == comparable(read_v1(wanted))


def test_a_name_that_goes_on_in_the_sample_is_no_name() -> None:
    # The length of the first label reaches into what would be the sample behind it.
    pair = protobuf.framed(1, b"__name__") + protobuf.framed(2, b"a")
    rest = b"\x12\x17\x09" + bytes(22)
    draft = protobuf.framed(1, b"\x0a" + protobuf.varint(len(pair) + len(rest)) + pair + rest)
    (one,) = read_v2(encoded(draft))
    assert comparable([one]) == comparable(read_v1(DRAFT["WriteRequest"].FromString(draft)))
    assert (one.name, one.samples) == ("\x09" + "\x00" * 22, ())


def test_labels_that_end_like_a_sample_are_not_taken_for_one() -> None:
    # An exemplar may end in any bytes, for its labels are the sender's.
    text = b"\x12\x17\x09" + bytes(22)
    trap = protobuf.framed(3, protobuf.framed(1, protobuf.framed(1, text)))
    draft = series(label("__name__", "a"), sample(start=START), trap)
    (one,) = read_v2(encoded(draft))
    assert [(s.ms, s.start) for s in one.samples] == [(NOW, START)]
    assert len(one.exemplars) == 1


def test_a_start_of_0_is_none_and_takes_no_bytes() -> None:
    body = Encoder(1 << 20).encode(series(label("__name__", "a"), sample(start=0))).body
    assert b"\x18" not in body
    (one,) = read_v2(V2["Request"].FromString(body))
    assert [(s.ms, s.start) for s in one.samples] == [(NOW, 0)]


def test_samples_without_start_times_are_taken_as_they_are() -> None:
    (one,) = read_v2(encoded(series(label("__name__", "a"), sample())))
    assert [(s.ms, s.start) for s in one.samples] == [(NOW, 0)]


@pytest.mark.parametrize(
    ("called", "kind", "has"),
    [
        ("latency_bucket", 3, True),
        ("latency_sum", 5, True),
        ("latency_count", 3, True),
        ("latency", 5, True),
        ("latency_count", 1, False),
        ("latency_total", 1, False),
        ("latency_bucket_sum", 3, False),
    ],
)
def test_series_have_the_metadata_of_their_family(called, kind, has) -> None:
    about = remote_write_series.metadata(kind, "latency", "How long.", "seconds")
    (one,) = read_v2(encoded(series(label("__name__", called), sample()) + about))
    wanted = rules.Metadata(kind=kind, help="How long.", unit="seconds")
    assert one.metadata == (wanted if has else None)


def test_a_metric_of_its_own_comes_before_the_histogram_that_it_could_be_of() -> None:
    draft = b"".join(
        [
            remote_write_series.metadata(3, "latency", "How long.", ""),
            remote_write_series.metadata(2, "latency_count", "A gauge.", ""),
            series(label("__name__", "latency_count"), sample()),
        ]
    )
    (one,) = read_v2(encoded(draft))
    assert one.metadata == rules.Metadata(kind=2, help="A gauge.", unit="")


def test_texts_are_there_once_whatever_they_are_used_for() -> None:
    exemplar = protobuf.framed(3, label("job", "a") + b"\x18" + protobuf.varint(NOW))
    draft = remote_write_series.metadata(1, "a", "job", "a") + series(
        label("__name__", "a"), label("job", "job"), sample(), exemplar
    )
    request = encoded(draft)
    assert sorted(request.symbols) == ["", "__name__", "a", "job"]
    assert [*rules.of_symbols(request)] == []


def test_many_symbols_and_long_labels_have_references_of_several_bytes() -> None:
    pairs = [(f"label_{n:05}", f"value {n}") for n in range(9_000)]
    draft = series(label("__name__", "a"), *[label(*pair) for pair in pairs], sample(start=START))
    draft += series(label("__name__", "b"), label("long", "x" * 10_000), sample())
    long, other = read_v2(encoded(draft))
    assert long.labels == (("__name__", "a"), *pairs)
    assert other.labels == (("__name__", "b"), ("long", "x" * 10_000))


def test_memory_is_bounded_and_what_was_forgotten_is_learnt_again() -> None:
    encoder = Encoder(256 << 10)
    for turn in range(60):
        draft = b"".join(
            series(label("__name__", "a"), label("n", f"{turn} {n}"), sample(start=START))
            for n in range(100)
        )
        found = read_v2(V2["Request"].FromString(encoder.encode(draft).body))
        assert [one.get("n") for one in found] == [f"{turn} {n}" for n in range(100)]
        # One request is learnt before anything is forgotten.
        assert encoder.book.size <= encoder.book.max_bytes + 100 * 1_500
    assert encoder.book.evictions > 4_000


@pytest.mark.parametrize(
    "draft",
    [
        b"\x0a\x05abc",
        b"\x0a",
        b"\x12\x00",  # no field of a WriteRequest
        b"\x0a\x00",  # a series of nothing
        series(sample()),
        series(b"\x2a\x00"),
        series(protobuf.framed(1, b"\x1a\x00"), sample()),  # a label that is none
    ],
)
def test_what_is_no_draft_is_refused(draft) -> None:
    with pytest.raises(errors.Malformed):
        Encoder(1 << 20).encode(draft)


def test_a_request_of_nothing_has_the_empty_symbol() -> None:
    assert remote_write_v2.Encoder(0).encode(b"").body == b"\x22\x00"
