"""Remote write 2.0: what a series costs beyond its conversion, known and new."""

from bench.references import remote_write_v2 as reference
from common.wire import protobuf, remote_write_series
from common.wire.remote_write_v2 import Encoder
from tests.conformance.remote_write import sender


def draft(families=20, series=20, salt=""):
    """Return counters of ten labels with a start each, as a conversion for 2.0 makes them."""
    pieces = []
    for m in range(families):
        name = f"http_server_requests_{m}_seconds_total"
        for n in range(series):
            pairs = {f"key_{a}": f"value {n % (a + 2)}" for a in range(4)}
            labels = sender.labels(
                name=name, job="shop/front", instance="front-5d7c9-x2x4q",
                otel_scope_name="bench", n=f"{n} {salt}", pod="front-5d7c9-x2x4q", **pairs,
            )  # fmt: skip
            sample = remote_write_series.stamp(sender.MS) + sender.spelt(sender.MS - 60_000)
            sample = b"\x09" + bytes(8) + sample
            pieces.append(protobuf.framed(1, labels + protobuf.framed(2, sample)))
        pieces.append(remote_write_series.metadata(1, name, "Helps.", "seconds"))
    return b"".join(pieces)


def test_encode_known_series(guard):
    encoder, given = Encoder(64 << 20), draft()
    guard(lambda: encoder.encode(given), reference=lambda: reference.encode(given))


def test_encode_new_series(guard):
    # A new encoder knows nothing: all labels are read.
    given = draft()
    guard(lambda: Encoder(64 << 20).encode(given), reference=lambda: reference.encode(given))


def test_downgrade_known_series(guard):
    encoder, given = Encoder(64 << 20), draft()
    guard(lambda: encoder.downgrade(given), reference=lambda: reference.downgrade(given))
