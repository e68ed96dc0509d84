"""The one thing about an X.509 certificate that must be known in time: when it ends.

Sources: RFC 7468 (PEM), RFC 5280 4.1 (Certificate, Validity), X.690 (DER). Written by hand: the
library that makes certificates costs 10 MB of memory, and a gateway only reads one date.
"""

from __future__ import annotations

import binascii
from datetime import datetime
from typing import Final

from common.wire import errors

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def not_after(pem: bytes) -> float:
    """Return when the first certificate in *pem* ends, in seconds since the Unix epoch.

    Raises `errors.Malformed`.
    """
    _, begin, rest = pem.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not begin or not end:
        raise errors.Malformed(f"no PEM certificate: expected a line {_BEGIN.decode()!r}")
    try:
        der = binascii.a2b_base64(body)
    except binascii.Error as error:
        raise errors.Malformed(f"the PEM certificate is not base64: {error}") from error
    # Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version OPTIONAL, serialNumber,
    #   signature, issuer, validity SEQUENCE { notBefore Time, notAfter Time }, ... }, ... }
    at, _ = _inside(der, 0, _SEQUENCE)
    at, _ = _inside(der, at, _SEQUENCE)
    if der[at : at + 1] == bytes((_VERSION,)):
        at = _inside(der, at, _VERSION)[1]
    for _ in ("serialNumber", "signature", "issuer"):
        at = _value(der, at)[2]
    at, _ = _inside(der, at, _SEQUENCE)
    kind, start, stop = _value(der, _value(der, at)[2])
    return _time(kind, der[start:stop])


def _inside(der: bytes, at: int, kind: int) -> tuple[int, int]:
    """Return where the value of *kind* at *at* begins and ends."""
    found, start, stop = _value(der, at)
    if found != kind:
        raise errors.Malformed(f"byte {at} of the certificate is {found:#x}, expected {kind:#x}")
    return start, stop


def _value(der: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag of the value at *at*, and where its content begins and ends."""
    if at + 2 > len(der):
        raise errors.Malformed(f"the certificate is cut short after {len(der)} bytes")
    start, length = at + 2, der[at + 1]
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[at + 2 : start])
    if start + length > len(der):
        raise errors.Malformed(
            f"the certificate has {len(der)} bytes, byte {at} tells of {length} more"
        )
    return der[at], start, start + length


def _time(kind: int, text: bytes) -> float:
    # RFC 5280 4.1.2.5: both in UTC, with seconds and a Z; two digits mean 1950 to 2049.
    if kind == _UTC_TIME:
        text = (b"19" if text[:2] >= b"50" else b"20") + text
    elif kind != _GENERALIZED_TIME:
        raise errors.Malformed(f"the end of the certificate is of kind {kind:#x}, not a time")
    try:
        found = datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%S%z")
    except ValueError as error:
        raise errors.Malformed(f"the end of the certificate is no time: {text!r}") from error
    return found.timestamp()
