"""OTLP requests that are valid to upb and unlike anything that an SDK would send."""

import struct
from random import Random

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from common.wire import protobuf

DOUBLES = [0.0, -0.0, 1.5, float("nan"), float("inf"), -1e308, 5e-324]
STALE = struct.pack("<Q", 0x7FF0000000000002)  # Prometheus' stale marker, a signalling NaN
TEXTS = ["", "a", "http.server.duration", "k8s.pod.uid", "µs", "x" * 130]
SPINE = {"resource_metrics", "scope_metrics", "metrics", "data_points"}


class Sender:
    """Invents messages of a type, field by field."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.children = random.choice([0.1, 0.4, 0.6])
        self.extras = random.choice([0.02, 0.1, 0.3])

    def varint(self, n: int, longest: int = 5) -> bytes:
        """Encode *n*, now and then in more bytes than it needs."""
        out = bytearray()
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        if self.random.random() < 0.05:
            padding = self.random.randrange(max(1, longest - len(out)))
            if padding:
                return bytes(out) + bytes([n | 128]) + b"\x80" * (padding - 1) + b"\x00"
        out.append(n)
        return bytes(out)

    def tag(self, number: int, wire_type: int) -> bytes:
        return self.varint(number << 3 | wire_type)

    def framed(self, number: int, payload: bytes) -> bytes:
        return self.tag(number, 2) + self.varint(len(payload)) + payload

    def message(self, kind: Descriptor, depth: int = 0) -> bytes:
        """Invent a message: known fields in any order and number, and unknown ones among them."""
        parts: list[bytes] = []
        for field in kind.fields:
            spine = field.name in SPINE or (
                field.containing_oneof is not None and field.containing_oneof.name == "data"
            )
            often = max(self.children, 0.8 * (depth == 0)) if spine else self.extras
            if field.message_type is None or depth < 8:
                parts += [
                    self.field(field, depth)
                    for _ in range(3 if spine else 2)
                    if self.random.random() < often
                ]
        if self.random.random() < self.extras:
            parts.append(self.stranger(self.random.choice([15, 16, 100, 2**29 - 1])))
        if self.random.random() < 0.05:  # a known number with a wire type it cannot have
            number = self.random.choice(list(kind.fields)).number
            parts.append(self.tag(number, 3) + self.stranger(7) + self.tag(number, 4))
        self.random.shuffle(parts)
        return b"".join(parts)

    def stranger(self, number: int) -> bytes:
        value = self.random.getrandbits(62)
        match self.random.randrange(5):
            case 0:
                return self.tag(number, 0) + self.varint(value, 10)
            case 1:
                return self.tag(number, 1) + value.to_bytes(8, "little")
            case 2:
                return self.framed(number, b"\x0a\x05junk")
            case 3:
                return self.tag(number, 3) + self.framed(1, b"in a group") + self.tag(number, 4)
            case _:
                return self.tag(number, 5) + b"four"

    def field(self, field: FieldDescriptor, depth: int) -> bytes:
        number = field.number
        random = self.random
        match field.type:
            case FieldDescriptor.TYPE_MESSAGE:
                return self.framed(number, self.message(field.message_type, depth + 1))
            case FieldDescriptor.TYPE_STRING:
                return self.framed(number, random.choice(TEXTS).encode())
            case FieldDescriptor.TYPE_BYTES:
                return self.framed(number, random.randbytes(random.choice([0, 8, 16])))
            case FieldDescriptor.TYPE_DOUBLE:
                value = random.choice([*[struct.pack("<d", d) for d in DOUBLES], STALE])
            case FieldDescriptor.TYPE_FIXED64 | FieldDescriptor.TYPE_SFIXED64:
                value = random.randbytes(8)
            case _:
                value = self.varint(random.choice([0, 1, 2, 300, 2**32 - 1]), 10)
                return self.tag(number, 0) + value
        if field.is_repeated and random.random() < 0.7:
            return self.framed(number, value * random.randrange(4))
        return self.tag(number, 1) + value


def _request(seed: int) -> bytes:
    kind = metrics_service_pb2.ExportMetricsServiceRequest.DESCRIPTOR
    return Sender(Random(seed)).message(kind)


def _resource(seed: int) -> bytes:
    return Sender(Random(seed)).message(resource_pb2.Resource.DESCRIPTOR)


class Again:
    """Sends a message again as its sender would some time later, or as nobody should."""

    def __init__(self, random: Random) -> None:
        self.random = random
        # Most sends change values only; the others one kind of thing each, and rarely all of them.
        self.kinds = random.choice([
            (), (), (), ("shuffle",), ("drop",), ("double",), ("exemplar",), ("other",), ("text",),
            ("width",), ("shuffle", "drop", "double", "exemplar", "other", "width"),
        ])  # fmt: skip
        self.odds = random.choice([0.02, 0.1, 0.5])

    def happens(self, kind: str) -> bool:
        return kind in self.kinds and self.random.random() < self.odds

    def message(self, body: bytes, kind: Descriptor) -> bytes:
        """Return *body*, a valid message of *kind*, with other values and what else happens."""
        parts: list[bytes] = []
        for number, wire_type, tag_at, at, end in protobuf.fields(body):
            field = kind.fields_by_number.get(number)
            header, value = body[tag_at:at], body[at:end]
            if wire_type == protobuf.FIXED64:
                if self.happens("drop"):  # a zero vanishes
                    continue
                if self.happens("other"):  # an integer instead of a double, or the reverse
                    header = protobuf.tag({4: 6, 6: 4}.get(number, number), wire_type)
                value = self.random.choice([value, self.random.randbytes(8), bytes(8)])
            elif wire_type == protobuf.BYTES:
                value = self.contents(value, kind, field)
                if self.happens("width"):  # a length in more bytes than it needs
                    length = protobuf.varint(len(value))
                    padded = length[:-1] + bytes([length[-1] | 128, 0])
                    header = protobuf.tag(number, wire_type) + padded
                elif value != body[at:end]:
                    header = protobuf.tag(number, wire_type) + protobuf.varint(len(value))
            elif wire_type == protobuf.VARINT and self.happens("other"):
                value = protobuf.varint(self.random.choice([0, 1, 2, 300]))
            parts += [header + value] * (2 if self.happens("double") else 1)
        if self.happens("shuffle"):
            self.random.shuffle(parts)
        return b"".join(parts)

    def contents(self, value: bytes, kind: Descriptor, field: FieldDescriptor | None) -> bytes:
        """Return the *value* of a *field* with a length, in a message of *kind*, as it is now."""
        if field is None:
            return value
        if field.message_type is not None:
            value = self.message(value, field.message_type)
            if field.name == "data_points" and self.happens("exemplar"):
                value += protobuf.framed(5, protobuf.tag(2, 1) + self.random.randbytes(8))
            return value
        if field.name == "bucket_counts" and kind.name == "HistogramDataPoint":
            wider = 8 * self.random.randrange(3) if self.happens("width") else 0
            return self.random.randbytes(len(value) + wider)
        if value and self.happens("text"):
            return self.random.choice([value[:-1] + b"\xff", value[:-1] + b"z", b""])
        return value


def _is_valid(body: bytes) -> bool:
    try:
        metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
    except DecodeError:
        return False
    return True


def history(seed: int) -> list[bytes]:
    """What a few senders send in the course of time, some of it damaged on the way."""
    random = Random(seed)
    kind = metrics_service_pb2.ExportMetricsServiceRequest.DESCRIPTOR
    senders = [Sender(random).message(kind) for _ in range(random.randint(1, 3))]
    sent: list[bytes] = []
    for _ in range(random.randint(3, 12)):
        at = random.randrange(len(senders))
        body = Again(random).message(senders[at], kind)
        if random.random() < 0.2 and _is_valid(body):  # for good
            senders[at] = body
        if random.random() < 0.1:  # both at once
            body += random.choice(senders)
        sent.append(damaged(body, random) if random.random() < 0.1 else body)
    return sent


SEEDS = st.integers(0, 2**48)
requests = SEEDS.map(_request)
resources = SEEDS.map(_resource)
histories = SEEDS.map(history)
"""Lists of requests, most of them valid, in which shapes come again."""


def damaged(body: bytes, random: Random) -> bytes:
    """Flip, cut or insert a few bytes."""
    out = bytearray(body)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(out) + 1)
        match random.randrange(3):
            case 0:
                out[at : at + 1] = random.randbytes(1)
            case 1:
                del out[at:]
            case _:
                out[at:at] = random.randbytes(random.randrange(1, 4))
    return bytes(out)


hostile = st.one_of(
    st.binary(max_size=60),
    st.builds(damaged, requests, st.integers(0, 2**48).map(Random)),
)
