"""When a certificate ends, as the library that makes them says too."""

import base64
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, strategies as st

from common.wire import certificates, errors

KEY = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])


def made(end: datetime, serial: int = 1, key: object = KEY) -> bytes:
    certificate = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(min(end - timedelta(days=1), datetime(2020, 1, 1, tzinfo=UTC)))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


ends = st.datetimes(datetime(1951, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001 - UTC follows
    lambda end: end.replace(microsecond=0, tzinfo=UTC)
)


@given(ends, st.integers(1, (1 << 159) - 1))
def test_the_end_of_any_certificate(end: datetime, serial: int) -> None:
    assert certificates.not_after(made(end, serial)) == end.timestamp()


def test_the_first_of_a_chain_counts_and_words_around_it_do_not() -> None:
    first, second = (datetime(year, 5, 6, 7, 8, 9, tzinfo=UTC) for year in (2049, 2050))
    chain = b"subject=CN = gateway\n" + made(first, key=RSA) + made(second)
    assert certificates.not_after(chain) == first.timestamp()
    assert certificates.not_after(made(second)) == second.timestamp()


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nMIIB",
        b"-----BEGIN CERTIFICATE-----\nMIIBx\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAgEB\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_none_is_malformed(pem: bytes) -> None:
    with pytest.raises(errors.Malformed):
        certificates.not_after(pem)


DER = x509.load_pem_x509_certificate(made(datetime(2040, 1, 1, tzinfo=UTC))).public_bytes(
    serialization.Encoding.DER
)


@given(st.integers(0, 120), st.binary(max_size=8))
def test_hostile_bytes_end_in_a_time_or_are_malformed(at: int, patch: bytes) -> None:
    body = base64.b64encode(DER[:at] + patch + DER[at + len(patch) :])
    pem = b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"
    with contextlib.suppress(errors.Malformed):
        assert isinstance(certificates.not_after(pem), float)
