"""Guards of the protobuf format: bodies that are known, bodies that are not, and histograms."""

from agent.exposition import delimited, model
from bench.references import delimited as reference
from tests.fakes import metric_families as made

LIMITS = model.Limits()
START = made.make("Timestamp", seconds=1_700_000_000, nanos=123_456_789)


def labels(i: int) -> dict[str, str]:
    return {"code": "200", "method": "get", "path": f"/api/v1/items/{i}"}


def counters(shift: int) -> bytes:
    return made.body(
        made.family(
            f"demo_requests_{family}_total",
            made.COUNTER,
            *[
                made.metric(
                    labels(i),
                    counter=made.make(
                        "Counter",
                        value=(family * 50 + i) * 1.25 + (shift if i % 2 else 0) + 1,
                        start_timestamp=START,
                    ),
                )
                for i in range(50)
            ],
        )
        for family in range(20)
    )


def histograms(shift: int) -> bytes:
    buckets = [
        made.make("Bucket", upper_bound=0.005 * 2**n, cumulative_count=100 * n + shift)
        for n in range(10)
    ]
    histogram = made.make("Histogram", sample_count=1_000 + shift, sample_sum=4.5, bucket=buckets)
    metrics = [made.metric(labels(i), histogram=histogram) for i in range(77)]
    return made.body([made.family("demo_requests_seconds", made.HISTOGRAM, *metrics)])


def natives(shift: int) -> bytes:
    deltas = [5 + shift, *[1, -1] * 39]
    histogram = made.make(
        "Histogram",
        sample_count=sum(5 + shift + i % 2 for i in range(79)),
        sample_sum=4.5,
        schema=3,
        zero_threshold=1e-128,
        positive_span=[made.make("BucketSpan", offset=-40, length=79)],
        positive_delta=deltas,
    )
    metrics = [made.metric(labels(i), histogram=histogram) for i in range(50)]
    return made.body([made.family("demo_requests_seconds", made.HISTOGRAM, *metrics)])


def known(of) -> tuple[delimited.Reader, bytes, int]:
    """Return a reader that has read one body, another one, and its number of samples."""
    reader = delimited.Reader(LIMITS)
    first, second = reader.read(of(0)), of(7)
    again = reader.read(second)
    assert model.same_series(first, again)
    expected = reference.samples(made.read(second))
    assert again.values.tolist() == [float(sample.value) for sample in expected]
    return reader, second, len(expected)


def test_protobuf_known(guard) -> None:
    reader, body, count = known(counters)
    assert count == 2_000  # a start for each counter
    guard(lambda: reader.read(body), reference=lambda: reference.samples(made.read(body)))


def test_protobuf_unknown(guard) -> None:
    body = counters(7)
    guard(
        lambda: delimited.parse(body, LIMITS),
        reference=lambda: reference.samples(made.read(body)),
    )


def test_protobuf_known_histograms(guard) -> None:
    reader, body, count = known(histograms)
    assert count == 1_001
    guard(lambda: reader.read(body), reference=lambda: reference.samples(made.read(body)))


def test_protobuf_known_native_histograms(guard) -> None:
    reader, body, count = known(natives)
    assert count == 50
    guard(lambda: reader.read(body), reference=lambda: reference.samples(made.read(body)))
