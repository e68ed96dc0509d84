"""What the headers of a gRPC request ask for, worked out once for all requests that share them.

Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md of grpc/grpc), "Requests".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from common.config import headers
from common.wire.http2 import Head
from gateway.receivers import grpc_answers, status
from gateway.receivers.grpc_answers import Refused
from gateway.receivers.grpc_call import Answered, Asked, Method

_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_AGENT: Final = headers.AGENT.encode()
_GRPC: Final = re.compile(rb"application/grpc(\+proto)?(;.*)?", re.IGNORECASE)


def read(head: Head, methods: Mapping[bytes, Method]) -> Asked | Answered:
    """Return what *head*, which has no problem, asks for among *methods* (by path)."""
    if head.method != b"POST":  # HEAD is answered without words (RFC 9110 section 9.3.2)
        body = b"" if head.method == b"HEAD" else grpc_answers.NOT_FOR_HTTP
        return Answered(code="405", block=grpc_answers.NOT_POST, words=body, grpc=False)
    if not _GRPC.fullmatch(head.get(b"content-type") or b""):
        body = grpc_answers.NOT_FOR_HTTP
        return Answered(code="415", block=grpc_answers.NOT_GRPC, words=body, grpc=False)
    method = methods.get(head.path)
    if method is None:
        served = ", ".join(path.decode() for path in methods)
        words = f"{_shown(head.path)} is not served here; served are {served}"
        return _refused(Refused(status.UNIMPLEMENTED, words))
    timeout = None
    text = head.get(b"grpc-timeout")
    if text is not None:
        found = _TIMEOUT.fullmatch(text)
        if found is None:
            words = f"grpc-timeout is {_shown(text)}; use up to 8 digits and a unit of HMSmun"
            return _refused(Refused(status.INTERNAL, words))
        timeout = int(found[1]) * _SECONDS[found[2]]
    return Asked(
        method=method,
        encoding=(head.get(b"grpc-encoding") or b"identity").decode("latin-1").lower(),
        timeout=timeout,
        length=head.content_length,
        authorization=head.get(b"authorization"),
        agent=head.get(_AGENT) is not None,
        forwarded=tuple(
            value.decode("latin-1") for name, value in head.fields if name == b"x-forwarded-for"
        ),
    )


def _refused(refused: Refused) -> Answered:
    code = status.NAMES[refused.code]
    return Answered(code=code, block=grpc_answers.refusal(refused), grpc=True)


def _shown(text: bytes) -> str:
    return repr(text[:100])[1:]
