"""Remote write requests of version 2.0, made of those that the conversion from OTLP yields.

Sources: "Prometheus Remote-Write 2.0 specification" (2.0-rc.4), io/prometheus/write/v2/types.proto;
`remote_write_series` for what comes in, a *draft*: a WriteRequest of version 1.0 whose samples and
histograms may have a ``start_timestamp`` as those of 2.0 have.

Field by field:

    ======================================== ====================================================
    draft, prometheus.WriteRequest           io.prometheus.write.v2.Request
    ======================================== ====================================================
    texts                                    symbols = 4, each once, the empty one first
    timeseries = 1                           timeseries = 5
    timeseries.labels = 1 { name, value }    labels_refs = 1, packed
    timeseries.samples = 2                   samples = 2, the same bytes; a start of 0 is left out
    timeseries.histograms = 4                histograms = 3, the same bytes
    timeseries.exemplars = 3 { labels = 1 }  exemplars = 4 { labels_refs = 1, packed }
    metadata = 3, one for each family        timeseries.metadata = 5 { type = 1; help_ref = 3;
                                             unit_ref = 4 }, for each series
    ======================================== ====================================================

Nearly every series is labels and one sample of fixed width, so it is told apart by three bytes and
taken in two slices; what its labels refer to is remembered by their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from common.wire import errors, memo, protobuf, remote_write_v2_metadata
from common.wire.remote_write_v2_metadata import Family, Metadata
from common.wire.remote_write_v2_symbols import Book, Labels, References, symbol

_Span: TypeAlias = tuple[int, int]

_TEXT: Final = 2  # the wire type of everything that has a length
_STARTED: Final = b"\x12\x17\x09"  # samples, 23 bytes; value; behind it timestamp and start
_PLAIN: Final = b"\x12\x10\x09"  # samples, 16 bytes; value; behind it timestamp
_STARTED_BYTES: Final = 25
_PLAIN_BYTES: Final = 18
_NO_START: Final = b"\x18\x80\x80\x80\x80\x80\x00"  # start_timestamp, 0 in six bytes

# Tag and varint of six bytes, 0x10 for a timestamp, 0x18 for a start, as nearly all have them.
_SIX_MASK: Final = b"\xff\x80\x80\x80\x80\x80\x80"
_SIX: Final = b"\x80\x80\x80\x80\x80\x00"
_STAMP_MASK: Final = int.from_bytes(_SIX_MASK, "big")
_STAMP: Final = int.from_bytes(b"\x10" + _SIX, "big")
_BOTH_MASK: Final = int.from_bytes(2 * _SIX_MASK, "big")
_BOTH: Final = int.from_bytes(b"\x10" + _SIX + b"\x18" + _SIX, "big")

# Tag and length of a TimeSeries (5), of a draft's one (1) and of labels_refs (1), by length.
_SHORT: Final = 512
_SERIES: Final = tuple(b"\x2a" + protobuf.varint(n) for n in range(_SHORT))
_ONES: Final = tuple(b"\x0a" + protobuf.varint(n) for n in range(_SHORT))

_FAMILY_BYTES: Final = 700  # of Python objects around a family


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a request holds, to be compared with what a backend says it has written."""

    samples: int
    histograms: int
    exemplars: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a request was made of, to make one in 1.0 of it after all."""

    body: bytes
    counts: Counts


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class V2Request:
    """An encoded io.prometheus.write.v2.Request, not compressed."""

    body: bytes
    counts: Counts


class Encoder:
    """Makes requests of drafts for one backend; what repeats from draft to draft is remembered.

    Everything remembered takes about *max_bytes* at most. Not to be shared between threads.
    """

    __slots__ = ("_families", "book")

    def __init__(self, max_bytes: int) -> None:
        self.book = Book(max_bytes * 15 // 16)
        """The series, for their counters."""
        self._families: memo.Memo[bytes, Family] = memo.Memo(max_bytes // 16)

    def encode(self, draft: bytes) -> V2Request:
        """Encode *draft* in 2.0; raises `errors.Malformed` if it is no draft."""
        frames, described = _frames(draft)
        references = References()
        families: dict[bytes, Family] = {}
        for start, end in described:
            family = self._family(draft[start:end])
            families.setdefault(family.name, family)
        metadata = Metadata(families, references)
        # Looked up once, not once for each series: the loop is what a series costs.
        empty = b""
        join, recall = empty.join, self.book.young.get
        out: list[bytes] = []
        others = samples = histograms = exemplars = 0
        for start, end in frames:
            # message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; ... }
            # Three bytes tell one sample at the end, if what is in front of it are labels: that is
            # known of every key of the book, and otherwise found out.
            cut = end - _STARTED_BYTES
            if draft[cut : cut + 3] == _STARTED:
                if draft[end - 1] or draft[end - 7 : end] != _NO_START:
                    sample = draft[cut:end]
                else:
                    sample = b"\x12\x10" + draft[cut + 2 : end - 7]
            else:
                cut = end - _PLAIN_BYTES
                sample = draft[cut:end] if draft[cut : cut + 3] == _PLAIN else empty
            if sample:
                key = draft[start:cut]
                known = recall(key)
                if known is None:
                    known = self._find(key)
                    recall = self.book.young.get
                if known is not None:
                    packed = references[known.first] + references[known.rest]
                    size = len(packed)
                    refs = _ONES[size] if size < _SHORT else b"\x0a" + protobuf.varint(size)
                    whole = join((refs, packed, sample, metadata[known.called]))
                    size = len(whole)
                    head = _SERIES[size] if size < _SHORT else b"\x2a" + protobuf.varint(size)
                    out += (head, whole)
                    continue
            others += 1
            part, counts = self._series(draft, start, end, references, metadata)
            recall = self.book.young.get
            out.append(part)
            samples += counts.samples
            histograms += counts.histograms
            exemplars += counts.exemplars
        samples += len(frames) - others
        counts = Counts(samples=samples, histograms=histograms, exemplars=exemplars)
        # The symbols stand first in what is sent, and are complete only now.
        return V2Request(body=join([*references.symbols, *out]), counts=counts)

    def downgrade(self, draft: bytes) -> bytes:
        """Encode *draft* in 1.0, which has no start times; `errors.Malformed` if it is no draft."""
        frames, described = _frames(draft)
        out: list[bytes] = []
        for start, end in frames:
            # As above, but here the inside of the sample matters: what it is cut to must be one.
            cut = end - _STARTED_BYTES
            if draft[cut : cut + 3] == _STARTED:
                usual = int.from_bytes(draft[end - 14 : end], "big") & _BOTH_MASK == _BOTH
            else:
                cut = end - _PLAIN_BYTES
                usual = draft[cut : cut + 3] == _PLAIN
                usual &= int.from_bytes(draft[end - 7 : end], "big") & _STAMP_MASK == _STAMP
            if usual:
                key = draft[start:cut]
                if (self.book.young.get(key) or self._find(key)) is not None:
                    size = len(key) + _PLAIN_BYTES
                    head = _ONES[size] if size < _SHORT else b"\x0a" + protobuf.varint(size)
                    out += (head, key, b"\x12\x10", draft[cut + 2 : cut + _PLAIN_BYTES])
                    continue
            out.append(protobuf.framed(1, b"".join(_without_starts(draft, start, end))))
        out += [protobuf.framed(3, draft[start:end]) for start, end in described]
        return b"".join(out)

    def _find(self, key: bytes) -> Labels | None:
        try:
            return self.book.find(key)
        except errors.Malformed:
            return None  # the three bytes were part of something else, which is read in full

    def _family(self, raw: bytes) -> Family:
        found = self._families.get(raw)
        if found is None:
            found = remote_write_v2_metadata.read(raw)
            self._families.put(raw, found, _FAMILY_BYTES + 3 * len(raw))
        return found

    def _series(
        self, draft: bytes, start: int, end: int, references: References, metadata: Metadata
    ) -> tuple[bytes, Counts]:
        """Encode a TimeSeries that is not simply labels and one sample."""
        labels: list[bytes] = []
        samples: list[bytes] = []
        histograms: list[bytes] = []
        exemplars: list[bytes] = []
        for number, wire_type, tag_at, at, behind in protobuf.fields(draft, start, end):
            if wire_type != _TEXT or not 1 <= number <= 4:
                raise errors.Malformed(f"field {number} at byte {tag_at} is none of a TimeSeries")
            if number == 1:
                labels.append(draft[tag_at:behind])
            elif number == 2:
                sample = draft[at:behind]
                if len(sample) == _STARTED_BYTES - 2:
                    sample = sample.removesuffix(_NO_START)
                samples.append(protobuf.framed(2, sample))
            elif number == 3:
                exemplar = _exemplar(draft, at, behind, references)
                exemplars.append(protobuf.framed(4, exemplar))
            else:
                histograms.append(protobuf.framed(3, draft[at:behind]))
        key = b"".join(labels)
        known = self.book.young.get(key) or self.book.find(key)
        if known is None:
            raise errors.Malformed(f"the series at byte {start} has no labels")
        packed = references[known.first] + references[known.rest]
        counts = Counts(samples=len(samples), histograms=len(histograms), exemplars=len(exemplars))
        return _joined(packed, samples + histograms + exemplars, metadata[known.called]), counts


def _joined(packed: bytes, content: list[bytes], metadata: bytes) -> bytes:
    return protobuf.framed(5, b"".join([protobuf.framed(1, packed), *content, metadata]))


def _frames(draft: bytes) -> tuple[list[_Span], list[_Span]]:
    """Return where the TimeSeries and the MetricMetadata of a draft begin and end."""
    # message WriteRequest {
    #   repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
    # Lengths of one and two bytes are all there is, as a rule: 0.13 µs a series instead of 0.37.
    series: list[_Span] = []
    metadata: list[_Span] = []
    at, stop = 0, len(draft)
    try:
        while at < stop:
            tag, size, start = draft[at], draft[at + 1], at + 2
            if size > 127:
                more = draft[start]
                size, start = size & 127 | more << 7, at + 3
                if more > 127:
                    break
            end = start + size
            if tag == 0x0A:
                series.append((start, end))
            elif tag == 0x1A:
                metadata.append((start, end))
            else:
                break
            at = end
    except IndexError:
        pass  # it is cut short, and the walk below says so; a try costs nothing, asking 20 ns
    else:
        if at == stop:
            return series, metadata
    spans = [*_messages(draft)]
    return (
        [(start, end) for number, start, end in spans if number == 1],
        [(start, end) for number, start, end in spans if number == 3],
    )


def _messages(draft: bytes) -> Iterator[tuple[int, int, int]]:
    for number, wire_type, tag_at, start, end in protobuf.fields(draft):
        if wire_type != _TEXT or number not in {1, 3}:
            raise errors.Malformed(f"field {number} at byte {tag_at} is none of a WriteRequest")
        yield number, start, end


def _exemplar(draft: bytes, start: int, end: int, references: References) -> bytes:
    # message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
    # Not by the book: hardly any trace comes twice.
    packed: list[bytes] = []
    rest: list[bytes] = []
    for field, wire_type, tag_at, at, behind in protobuf.fields(draft, start, end):
        if (field, wire_type) != (1, _TEXT):
            rest.append(draft[tag_at:behind])
            continue
        texts = {
            field[0]: draft[field[3] : field[4]] for field in protobuf.fields(draft, at, behind)
        }
        packed += [references.reference(symbol(texts.get(number, b""))) for number in (1, 2)]
    return b"".join([protobuf.framed(1, b"".join(packed)) if packed else b"", *rest])


def _without_starts(draft: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield the fields of a TimeSeries, samples and histograms without start_timestamp."""
    starts = {2: 3, 4: 17}  # the field's number in Sample and in Histogram
    for number, _, tag_at, at, behind in protobuf.fields(draft, start, end):
        if number not in starts:
            yield draft[tag_at:behind]
            continue
        kept = [
            draft[field[2] : field[4]]
            for field in protobuf.fields(draft, at, behind)
            if field[0] != starts[number]
        ]
        yield protobuf.framed(number, b"".join(kept))
