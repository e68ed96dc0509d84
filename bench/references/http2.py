"""The obvious way with header blocks: hpack decodes each request's, and encodes each response's."""

import hpack

ANSWER = (
    [(b":status", b"200"), (b"content-type", b"application/grpc")],
    [(b"grpc-status", b"0")],
)


class Plain:
    """The header blocks of one connection, nothing remembered and nothing prebuilt."""

    def __init__(self) -> None:
        self.decoder, self.encoder = hpack.Decoder(), hpack.Encoder()

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        return list(self.decoder.decode(block, raw=True))

    def request(self, block: bytes) -> list[bytes]:
        """Do for a request what has to be done with its headers, and with nothing else."""
        self.decode(block)
        return [self.encoder.encode(headers) for headers in ANSWER]
