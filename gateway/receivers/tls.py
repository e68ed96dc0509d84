"""How a door proves itself: the certificates that the settings name, and what replaces them."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from common.config.doors import ServerTls
from common.service import files
from common.service.settings import Problem, SettingsError
from common.wire import certificates, errors
from gateway.receivers import door

log = logging.getLogger("headgate.gateway.tls")

KEY: Final = "listen.tls"
MAX_BYTES: Final = 1 << 20  # of a PEM file; authorities of a whole country fit
# TLS 1.2 with forward secrecy and authenticated encryption only; RFC 9113 9.2.2 bars the others.
# Those of TLS 1.3 are all of that kind.
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_STRANGERS: Final = frozenset({
    "KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH",
    "NO_CERTIFICATE_ASSIGNED",  # an RSA key and an EC certificate
})  # fmt: skip
_WEAK: Final = frozenset({"EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What handshakes are made with, all of it read at one time; the PEM texts are for grpcio."""

    context: ssl.SSLContext
    chain: bytes
    key: bytes
    client_ca: bytes | None
    not_after: float  # seconds since the Unix epoch


def load(tls: ServerTls, alpn: tuple[str, ...]) -> Identity:
    """Read the files of *tls*; *alpn* are the protocols to agree on, the best first.

    Raises :class:`SettingsError` that names the key of each file that cannot be used.
    """
    problems: list[Problem] = []

    def read(key: str, path: str) -> bytes:
        try:
            with Path(path).open("rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            problems.append(_problem(key, f"cannot read {path}: {error.strerror}"))
            return b""
        if len(text) > MAX_BYTES:
            problems.append(_problem(key, f"{path} has more than {MAX_BYTES} bytes; is it PEM?"))
        return text

    chain, key = read("cert_file", tls.cert_file), read("key_file", tls.key_file)
    client_ca = read("client_ca_file", tls.client_ca_file) if tls.client_ca_file else None
    if problems:
        raise SettingsError(problems)
    try:
        not_after = certificates.not_after(chain)
    except errors.Malformed as error:
        raise SettingsError([_problem("cert_file", f"{tls.cert_file}: {error}")]) from error
    return Identity(
        context=_context(tls, alpn),
        chain=chain,
        key=key,
        client_ca=client_ca,
        not_after=not_after,
    )


def _context(tls: ServerTls, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(list(alpn))
    # A client of TLS 1.2 could keep us busy with handshakes on a connection that passed the first.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 1  # two by default, for browsers that open connections side by side
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except (ssl.SSLError, OSError) as error:
        raise SettingsError([_of_pair(tls, error)]) from error
    if not tls.client_ca_file:
        return context
    context.verify_mode = ssl.CERT_REQUIRED
    # Who has to show a certificate shows it every time: a ticket would stand in for it.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    try:
        context.load_verify_locations(tls.client_ca_file)
    except (ssl.SSLError, OSError) as error:
        words = f"{tls.client_ca_file} holds no usable PEM certificates: {_reason(error)}"
        raise SettingsError([_problem("client_ca_file", words)]) from error
    return context


def _of_pair(tls: ServerTls, error: OSError) -> Problem:
    reason = _reason(error)
    if reason in _STRANGERS:
        words = f"{tls.key_file} is not the key of the certificate in {tls.cert_file}"
        return _problem("key_file", words)
    if reason in _WEAK:
        words = f"{tls.cert_file} is refused as too weak: {reason}; use RSA of 2048 bits, or P-256"
        return _problem("cert_file", words)
    words = f"{tls.key_file} holds no PEM key without a passphrase: {reason}"
    return _problem("key_file", words)


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)


def _problem(key: str, words: str) -> Problem:
    return Problem(f"{KEY}.{key}", words)


class Certificates:
    """What a door proves itself with now, exchanged whole when its files change.

    Each handshake takes ``current``, so that connections live on with what they began with. A whole
    new context, rather than one that swaps itself while shaking hands: OpenSSL resumes sessions by
    the context that a handshake began with, which let clients of an authority in that was no longer
    trusted (measured with OpenSSL 3.0, TLS 1.2 and 1.3). New files that cannot be used change
    nothing; that is logged once and counted in *traffic*.
    """

    def __init__(self, tls: ServerTls, alpn: tuple[str, ...], traffic: door.Traffic) -> None:
        self._tls, self._alpn, self._traffic = tls, alpn, traffic
        names = (tls.cert_file, tls.key_file, tls.client_ca_file)
        self._files = tuple(Path(name) for name in names if name)
        self._watch = files.Watch(files.prints(self._files))
        self._problems: tuple[Problem, ...] = ()
        self.current = load(tls, alpn)
        traffic.tls_not_after = self.current.not_after

    async def follow(self) -> None:
        """Look at the files now and then, for ever."""
        while True:
            await asyncio.sleep(files.EVERY)
            self.look()

    def look(self) -> None:
        """Look at the files once, and read them if they changed."""
        if not self._watch.due(self._files):
            return
        try:
            self.current = load(self._tls, self._alpn)
        except SettingsError as error:
            self._refuse(error)
            return
        self._problems = ()
        self._traffic.tls_not_after = self.current.not_after
        log.info(
            "certificate read anew",
            extra={"transport": self._traffic.transport, "file": self._tls.cert_file},
        )

    def _refuse(self, error: SettingsError) -> None:
        self._watch.refused()
        if error.problems == self._problems:
            return
        self._problems = error.problems
        self._traffic.tls_reload_errors += 1
        for problem in error.problems:
            log.warning(
                "new certificate refused, the old one goes on: %s",
                problem,
                extra={"transport": self._traffic.transport},
            )
