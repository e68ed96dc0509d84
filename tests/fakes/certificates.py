"""An authority and a certificate for one name, good for servers and clients, made in a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where the PEM files are."""

    authority: Path
    certificate: Path
    key: Path


def write(folder: Path, name: str, *, hours: int = 1) -> Files:
    """Make an authority, and a certificate of it for *name*, in *folder*.

    It is a DNS name, or an identity of a mesh (``spiffe://...``).
    """
    authority_key, key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    # Two authorities of one name could not be told apart.
    about = f"test authority of {folder.name}"[:64]
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, about)])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    mesh = name.startswith("spiffe:")
    called = x509.UniformResourceIdentifier(name) if mesh else x509.DNSName(name)
    authority = (
        _begun(issuer, issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _begun(subject, issuer, key.public_key(), hours)
        .add_extension(x509.SubjectAlternativeName([called]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    files = Files(
        authority=folder / "ca.pem", certificate=folder / "cert.pem", key=folder / "key.pem"
    )
    pem = serialization.Encoding.PEM
    files.authority.write_bytes(authority.public_bytes(pem))
    files.certificate.write_bytes(certificate.public_bytes(pem))
    files.key.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, hours: int = 1
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=hours))
    )
