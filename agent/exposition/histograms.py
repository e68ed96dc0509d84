"""Native histograms and exemplars, as the messages of the protobuf format tell them."""

from __future__ import annotations

from agent.exposition import families, labelling, model, native, numbers, spans

_LATEST = (1 << 63) - 1


def is_native(histogram: families.Histogram) -> bool:
    """Tell whether there is a native histogram, as Prometheus does.

    One without observations and without a zero bucket needs a span, be it of no buckets.
    """
    return bool(
        len(histogram.positive_span)
        or len(histogram.negative_span)
        or histogram.zero_threshold > 0
        or histogram.zero_count
    )


def read(histogram: families.Histogram, room: spans.Room, *, gauge: bool) -> model.Native:
    """Read the native part of *histogram*, a *gauge* histogram or one of all that has been seen.

    Raises `errors.Malformed` for spans that cannot be, and `errors.TooLarge` for too many buckets.
    """
    fractional = histogram.sample_count_float > 0 or histogram.zero_count_float > 0
    schema = histogram.schema
    negative_side, positive_side = histogram.negative_span, histogram.positive_span
    if fractional:
        counts = len(histogram.negative_count), len(histogram.positive_count)
    else:
        counts = len(histogram.negative_delta), len(histogram.positive_delta)
    buckets = spans.width(negative_side, counts[0]) + spans.width(positive_side, counts[1])
    negative = positive = spans.NONE
    exemplars: tuple[model.Exemplar, ...] = ()
    if not fractional and native.known(schema):
        room.take(buckets)
        negative = spans.dense(negative_side, histogram.negative_delta)
        positive = spans.dense(positive_side, histogram.positive_delta)
        exemplars = _exemplars(histogram, room)
    return model.Native(
        schema=schema,
        zero_threshold=_number(histogram.zero_threshold),
        zero_count=histogram.zero_count,
        count=histogram.sample_count,
        sum=_number(histogram.sample_sum),
        positive_offset=positive.offset,
        positive=positive.counts,
        negative_offset=negative.offset,
        negative=negative.counts,
        exemplars=exemplars,
        gauge=gauge,
        fractional=fractional,
    )


def exemplar(told: families.Exemplar) -> model.Exemplar:
    """Read an exemplar; a timestamp before 1970 or beyond 64 bits is none.

    Raises `errors.Malformed` for labels that cannot be.
    """
    labels = labelling.checked(families.pairs(told.label))
    time = model.UNTIMED
    if told.HasField("timestamp"):
        stamp = told.timestamp
        time = stamp.seconds * 1000 + stamp.nanos // 1_000_000
        if not 0 <= time <= _LATEST:
            time = model.UNTIMED
    return model.Exemplar(labels, _number(told.value), time)


def _exemplars(histogram: families.Histogram, room: spans.Room) -> tuple[model.Exemplar, ...]:
    # Those of the classic buckets do where there are no others; none does without its time.
    told = list(histogram.exemplars) or [
        bucket.exemplar for bucket in histogram.bucket if bucket.HasField("exemplar")
    ]
    room.take_exemplars(len(told))
    return tuple([each for each in map(exemplar, told) if each.time != model.UNTIMED])


def _number(value: float) -> float:
    return value if value == value else float(numbers.NAN)  # noqa: PLR0124 - no NaN but this one
