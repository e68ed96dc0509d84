"""Certificates that a door begins with, and those that take their place, by real handshakes."""

import asyncio
import logging
import shutil
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from common.config.doors import ServerTls
from common.service import files
from common.service.settings import SettingsError
from gateway.receivers import door, tls
from tests.fakes import certificates
from tests.gateway.receivers import connecting
from tests.gateway.receivers.connecting import Room, connected, greeted, run, shut_out

loops = pytest.mark.parametrize("loop", connecting.LOOPS)


class Secret:
    """A mounted Secret: three files that are replaced, or written in place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions = 0
        self.mounted = folder / "mounted"
        self.mounted.mkdir()
        self.server, self.clients = self.make("gateway"), self.make("client")
        self.put(self.server, self.clients)

    def make(self, name: str) -> certificates.Files:
        self.versions += 1
        made = self.folder / f"v{self.versions}"
        made.mkdir()
        return certificates.write(made, name, hours=self.versions)

    def put(self, server: certificates.Files, clients: certificates.Files) -> None:
        self.server, self.clients = server, clients
        for name, source in (
            ("tls.crt", server.certificate),
            ("tls.key", server.key),
            ("ca.crt", clients.authority),
        ):
            shutil.copy(source, self.mounted / "new")
            (self.mounted / "new").replace(self.mounted / name)

    def replace(self, name: str, text: str) -> None:
        (self.mounted / "new").write_text(text)
        (self.mounted / "new").replace(self.mounted / name)

    def settings(self, *, mutual: bool = False, **more: object) -> ServerTls:
        return ServerTls(
            cert_file=str(self.mounted / "tls.crt"),
            key_file=str(self.mounted / "tls.key"),
            client_ca_file=str(self.mounted / "ca.crt") if mutual else "",
            **more,
        )

    def client(self, shown: certificates.Files | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.server.authority))
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        return context


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    return Secret(tmp_path)


def not_after(made: certificates.Files) -> float:
    loaded = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    return loaded.not_valid_after_utc.timestamp()


def encrypted(_: str) -> str:
    key = rsa.generate_private_key(65537, 2048)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"x")).decode()


def another(_: str) -> str:
    key = rsa.generate_private_key(65537, 2048)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()


BROKEN = {
    "no certificate": ("tls.crt", lambda _: "x", r"^listen\.tls\.cert_file: .*no PEM certificate"),
    "half a certificate": (
        "tls.crt",
        lambda text: text[:200],
        r"^listen\.tls\.cert_file: .*no PEM certificate",
    ),
    "a huge file": (
        "tls.crt",
        lambda _: "x" * ((1 << 20) + 1),
        r"^listen\.tls\.cert_file: .*more than 1048576 bytes",
    ),
    "no key": ("tls.key", lambda _: "x", r"^listen\.tls\.key_file: .*holds no PEM key"),
    "an encrypted key": ("tls.key", encrypted, r"^listen\.tls\.key_file: .*without a passphrase"),
    "another key": ("tls.key", another, r"^listen\.tls\.key_file: .*is not the key of"),
    "no authority": ("ca.crt", lambda _: "x", r"^listen\.tls\.client_ca_file: .*no usable PEM"),
}


@pytest.mark.parametrize(("name", "change", "words"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_cannot_be_used_is_named_by_its_key(secret, name, change, words) -> None:
    secret.replace(name, change((secret.mounted / name).read_text()))
    with pytest.raises(SettingsError, match=words):
        tls.load(secret.settings(mutual=True), ())


def test_a_weak_key_is_refused_with_the_remedy(secret) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    ).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    secret.replace("tls.crt", certificate.public_bytes(pem).decode())
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    secret.replace("tls.key", key.private_bytes(pem, pkcs8, plain).decode())
    with pytest.raises(SettingsError, match=r"^listen\.tls\.cert_file: .*too weak: .*2048 bits"):
        tls.load(secret.settings(), ())


def test_every_file_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    names = {key: str(tmp_path / key) for key in ("cert_file", "key_file", "client_ca_file")}
    with pytest.raises(SettingsError) as caught:
        tls.load(ServerTls(**names), ())
    assert [problem.key for problem in caught.value.problems] == [
        f"listen.tls.{key}" for key in names
    ]
    assert "No such file or directory" in str(caught.value)


def test_what_was_read_is_told(secret) -> None:
    found = tls.load(secret.settings(mutual=True), ("h2",))
    assert found.chain == secret.server.certificate.read_bytes()
    assert found.key == secret.server.key.read_bytes()
    assert found.client_ca == secret.clients.authority.read_bytes()
    assert found.not_after == not_after(secret.server)
    assert tls.load(secret.settings(), ()).client_ca is None


def watched(secret: Secret) -> tuple[tls.Certificates, door.Traffic]:
    traffic = door.Traffic("grpc")
    return tls.Certificates(secret.settings(mutual=True), (), traffic), traffic


def test_files_that_stay_are_not_read_again(secret) -> None:
    found, traffic = watched(secret)
    first = found.current
    for _ in range(3 * files.RETRY):
        found.look()
    assert found.current is first
    assert traffic.tls_not_after == not_after(secret.server)


def test_new_files_that_cannot_be_used_change_nothing_and_are_told_once(
    secret, caplog: pytest.LogCaptureFixture
) -> None:
    found, traffic = watched(secret)
    first = found.current
    secret.replace("tls.key", another(""))
    for _ in range(3 * files.RETRY):
        found.look()
    assert found.current is first
    assert traffic.tls_reload_errors == 1
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "the old one goes on: listen.tls.key_file: " in record.getMessage()
    secret.put(secret.make("gateway"), secret.clients)
    found.look()
    assert found.current is not first
    assert traffic.tls_not_after == not_after(secret.server)
    secret.replace("tls.key", another(""))
    found.look()
    assert traffic.tls_reload_errors == 2


async def test_following_looks_within_two_seconds(secret, clock) -> None:
    found, _ = watched(secret)
    first = found.current
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(found.follow())
        secret.put(secret.make("gateway"), secret.clients)
        while found.current is first:  # noqa: ASYNC110 - the clock jumps
            await asyncio.sleep(0.1)
        assert clock() < 2
        following.cancel()


@loops
@pytest.mark.wallclock
def test_handshakes_use_new_files_and_connections_live_on(loop, secret, monkeypatch) -> None:
    async def main() -> None:
        async with Room().open(tls=secret.settings(mutual=True)) as room:
            before, clients = secret.server, secret.clients
            old = secret.client(clients)
            async with connected(room.port, context=old) as (reader, writer):
                assert await reader.readline() == b"127.0.0.1\n"
                first = room.traffic.tls_not_after
                secret.put(secret.make("gateway"), secret.make("client"))
                assert first == not_after(before) < not_after(secret.server)
                await room.until(lambda: room.traffic.tls_not_after > first)
                # The server's authority is another, so that its clients do not know it any more.
                with pytest.raises(ssl.SSLCertVerificationError):
                    await greeted(room.port, context=old)
                # So is that of the clients.
                assert await shut_out(room.port, context=secret.client(clients)) == b""
                assert await greeted(room.port, context=secret.client(secret.clients))
                writer.write(b"still here\n")
                assert await reader.readline() == b"still here\n"

    monkeypatch.setattr(files, "EVERY", 0.01)
    run(loop, main)


def resumable(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> object:
    """Connect; return the session, and whether it is the one given; ``None`` if refused."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=connecting.PATIENCE)
    try:
        with sock, context.wrap_socket(sock, server_hostname="gateway", session=session) as secure:
            if secure.recv(10) != b"127.0.0.1\n":
                return None
            return secure.session, secure.session_reused
    except OSError:
        return None


@loops
@pytest.mark.wallclock
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_outlives_the_authority_of_its_client(
    loop, secret, monkeypatch, version: ssl.TLSVersion
) -> None:
    """OpenSSL resumes by the context a handshake begins with, whatever it is swapped for."""

    async def main() -> None:
        async with Room().open(tls=secret.settings(mutual=True)) as room:
            context = secret.client(secret.clients)
            context.maximum_version = version
            session, _ = await asyncio.to_thread(resumable, room.port, context, None)
            assert await asyncio.to_thread(resumable, room.port, context, session) is not None
            secret.put(secret.make("gateway"), secret.make("client"))
            context.load_verify_locations(secret.server.authority)
            before = room.traffic.tls_not_after
            await room.until(lambda: room.traffic.tls_not_after != before)
            assert await asyncio.to_thread(resumable, room.port, context, session) is None

    monkeypatch.setattr(files, "EVERY", 0.01)
    run(loop, main)


@loops
@pytest.mark.wallclock
def test_sessions_are_resumed_where_clients_show_nothing(loop, secret) -> None:
    async def main() -> None:
        async with Room().open(tls=secret.settings()) as room:
            context = secret.client()
            session, reused = await asyncio.to_thread(resumable, room.port, context, None)
            assert not reused
            assert (await asyncio.to_thread(resumable, room.port, context, session))[1]

    run(loop, main)


@loops
@pytest.mark.wallclock
@pytest.mark.parametrize(("oldest", "spoken"), [("1.2", True), ("1.3", False)])
def test_older_versions_are_not_spoken(loop, secret, oldest: str, spoken: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        async with Room().open(tls=secret.settings(min_version=oldest)) as room:
            context = secret.client()
            assert await greeted(room.port, context=context)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            if spoken:
                assert await greeted(room.port, context=context)
                context.set_ciphers("ECDHE+AES:!AESGCM:!AESCCM")  # what RFC 9113 bars
            assert await shut_out(room.port, context=context) == b""
            await room.until(lambda: room.traffic.hostile == {"tls_handshake": 1})

    run(loop, main)
