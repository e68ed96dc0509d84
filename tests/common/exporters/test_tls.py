"""Certificates are read again when their files change, and what is broken changes nothing."""

import asyncio
import logging
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest

from common.config.outputs import OtlpOutput, Output, RemoteWriteOutput
from common.config.shared import Tls
from common.exporters import build, tls
from common.exporters.outcomes import Batch, Delivered, Exporter, Retry, Verdict
from tests.fakes import backends, certificates, points

KINDS = ("grpc", "grpcio", "http", "remote_write")
BODY = points.request([1.0])


def made(folder: Path, name: str, hours: int = 1) -> certificates.Files:
    """Return an authority and a certificate for backend.test, in a folder of their own."""
    (folder / name).mkdir()
    return certificates.write(folder / name, "backend.test", hours=hours)


def put(source: Path, target: Path) -> None:
    """Replace *target* at once, as a mounted Secret does."""
    fresh = target.with_suffix(".new")
    fresh.write_bytes(source.read_bytes())
    fresh.replace(target)


def mounted(folder: Path, files: certificates.Files) -> certificates.Files:
    """Return files that are there to be replaced."""
    (folder / "mount").mkdir()
    mount = certificates.Files(
        authority=folder / "mount/ca.pem",
        certificate=folder / "mount/cert.pem",
        key=folder / "mount/key.pem",
    )
    swap(mount, files)
    return mount


def swap(mount: certificates.Files, files: certificates.Files) -> None:
    for name in ("authority", "certificate", "key"):
        put(getattr(files, name), getattr(mount, name))


def settings(files: certificates.Files) -> Tls:
    return Tls(
        ca_file=str(files.authority),
        cert_file=str(files.certificate),
        key_file=str(files.key),
        server_name="backend.test",
    )


def test_a_context_is_the_same_until_the_files_change(tmp_path) -> None:
    mount = mounted(tmp_path, made(tmp_path, "one"))
    trusted = tls.Certificates(settings(mount), now=0.0)
    first = trusted.context(0.5)
    assert trusted.context(100.0) is first
    swap(mount, made(tmp_path, "two"))
    assert trusted.context(100.5) is first  # looked a moment ago
    second = trusted.context(101.0)
    assert second is not first
    assert trusted.context(200.0) is second
    assert first.get_ca_certs() != second.get_ca_certs()
    assert (trusted.reloads, trusted.failures) == (1, 0)


def test_whoever_has_any_name_is_verified_all_the_same(tmp_path) -> None:
    mount = mounted(tmp_path, made(tmp_path, "one"))
    context = tls.Certificates(settings(mount), now=0.0, any_name=True).context(0.5)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)
    assert tls.Certificates(settings(mount), now=0.0).context(0.5).check_hostname


def test_a_pair_that_is_half_replaced_is_taken_when_it_is_whole(tmp_path, caplog) -> None:
    mount = mounted(tmp_path, made(tmp_path, "one"))
    trusted = tls.Certificates(settings(mount), now=0.0)
    first, two = trusted.context(0.0), made(tmp_path, "two")
    put(two.certificate, mount.certificate)
    assert trusted.context(1.0) is first
    put(two.key, mount.key)
    assert trusted.context(2.0) is not first
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_what_is_broken_changes_nothing_is_said_once_and_counted(tmp_path, caplog) -> None:
    one = made(tmp_path, "one")
    mount = mounted(tmp_path, one)
    trusted = tls.Certificates(settings(mount), now=0.0)
    first = trusted.context(0.0)
    (tmp_path / "junk").write_text("no certificate")
    put(tmp_path / "junk", mount.certificate)
    for second in range(1, 30):
        assert trusted.context(float(second)) is first
    mount.certificate.unlink()
    for second in range(30, 60):
        assert trusted.context(float(second)) is first
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(mount.certificate) in record.files
    assert trusted.failures > 2
    swap(mount, one)
    assert trusted.context(60.0) is not first
    assert trusted.reloads == 1


def test_without_files_nothing_is_looked_at_and_protocols_are_offered() -> None:
    trusted = tls.Certificates(Tls(), now=0.0, alpn=("h2",))
    assert trusted.context(0.0) is trusted.context(1e9)


def test_a_file_that_cannot_be_used_at_the_start_is_an_error(tmp_path) -> None:
    with pytest.raises(OSError):
        tls.Certificates(Tls(ca_file=str(tmp_path / "absent")), now=0.0)


def exporting(kind: str, url: str, found: Tls):
    if kind == "remote_write":
        output = Output(remote_write=RemoteWriteOutput(url=url, tls=found))
    else:
        output = Output(
            otlp=OtlpOutput(
                endpoint=url,
                protocol="http" if kind == "http" else "grpc",
                grpc_client="grpcio" if kind == "grpcio" else "lean",
                tls=found,
            )
        )
    return build.exporting(output, now=lambda: 0.0)


async def send(exporter: Exporter) -> Verdict:
    (request,) = exporter.encode(Batch(body=BODY, points=1, oldest=0.0)).requests
    return await exporter.send(request)


@asynccontextmanager
async def served(kind: str, shown: certificates.Files, trusted: Path | None = None, port: int = 0):
    """Serve with the certificate *shown*, to whom has one of the authority *trusted*, if given."""
    if kind in {"grpc", "grpcio"}:
        serving = backends.otlp_grpc(credentials=for_grpc(shown, trusted), port=port)
    else:
        serving = backends.http(context=for_http(shown, trusted), port=port)
    async with serving as backend:
        yield backend


def for_grpc(shown: certificates.Files, trusted: Path | None) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(shown.key.read_bytes(), shown.certificate.read_bytes())],
        root_certificates=trusted.read_bytes() if trusted else None,
        require_client_auth=trusted is not None,
    )


def for_http(shown: certificates.Files, trusted: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=trusted)
    context.load_cert_chain(shown.certificate, shown.key)
    if trusted:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def port_of(backend: backends.Backend) -> int:
    return int(backend.url.rpartition(":")[2])


async def delivered(exporter: Exporter) -> None:
    """Send again and again, as delivery does, until it works."""
    async with asyncio.timeout(10):
        while not isinstance(verdict := await send(exporter), Delivered):
            assert isinstance(verdict, Retry)
            await asyncio.sleep(0.05)


@pytest.mark.wallclock
@pytest.mark.parametrize("kind", KINDS)
async def test_an_expired_certificate_is_said_and_a_valid_one_taken_without_a_restart(
    kind, tmp_path
) -> None:
    expired, valid = made(tmp_path, "expired", hours=0), made(tmp_path, "valid")
    both = tmp_path / "both.pem"
    both.write_bytes(expired.authority.read_bytes() + valid.authority.read_bytes())
    found = Tls(ca_file=str(both), server_name="backend.test")
    async with AsyncExitStack() as stack:
        async with served(kind, expired) as backend:
            port = port_of(backend)
            exporter = await stack.enter_async_context(exporting(kind, backend.url, found))
            verdict = await send(exporter)
            assert isinstance(verdict, Retry)
            assert "certificate has expired" in verdict.why
        await stack.enter_async_context(served(kind, valid, port=port))
        await delivered(exporter)


@pytest.fixture
def watched(monkeypatch) -> None:
    """Let files be looked at whenever they are needed."""
    monkeypatch.setattr(tls, "EVERY", 0.0)


def with_clients(folder: Path) -> tuple[certificates.Files, ...]:
    """Return a server's files, those of two clients, and what the first has mounted of them."""
    server, one, two = (made(folder, name) for name in ("server", "one", "two"))
    mount = mounted(folder, one)
    put(server.authority, mount.authority)
    return server, one, two, mount


def put_pair(files: certificates.Files, mount: certificates.Files) -> None:
    for name in ("certificate", "key"):
        put(getattr(files, name), getattr(mount, name))


@pytest.mark.usefixtures("watched")
@pytest.mark.wallclock
@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_accepts_only_the_new_client_certificate_gets_it(
    kind, tmp_path
) -> None:
    server, one, two, mount = with_clients(tmp_path)
    async with AsyncExitStack() as stack:
        async with served(kind, server, one.authority) as backend:
            port, found = port_of(backend), settings(mount)
            exporter = await stack.enter_async_context(exporting(kind, backend.url, found))
            assert await send(exporter) == Delivered()
        backend = await stack.enter_async_context(served(kind, server, two.authority, port=port))
        assert isinstance(await send(exporter), Retry)
        put_pair(two, mount)
        await delivered(exporter)
        assert backend.received


@pytest.mark.usefixtures("watched")
@pytest.mark.wallclock
@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_authority_is_trusted_and_the_old_one_no_longer(kind, tmp_path) -> None:
    one, two = made(tmp_path, "one"), made(tmp_path, "two")
    mount = mounted(tmp_path, one)
    async with (
        served(kind, two) as backend,
        exporting(
            kind, backend.url, Tls(ca_file=str(mount.authority), server_name="backend.test")
        ) as exporter,
    ):
        assert isinstance(await send(exporter), Retry)
        put(two.authority, mount.authority)
        await delivered(exporter)


@pytest.mark.usefixtures("watched")
@pytest.mark.wallclock
@pytest.mark.parametrize("kind", KINDS)
async def test_connections_are_made_anew_when_the_certificate_changes(kind, tmp_path) -> None:
    server, one, two, mount = with_clients(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(one.authority.read_bytes() + two.authority.read_bytes())
    async with (
        served(kind, server, both) as backend,
        exporting(kind, backend.url, settings(mount)) as exporter,
        asyncio.timeout(10),
    ):
        assert await send(exporter) == Delivered()
        put_pair(two, mount)
        # The server would go on with the old one: nothing fails while connections are swapped.
        while backend.received[-1].certificate != two.certificate.read_text():
            assert await send(exporter) == Delivered()
        assert exporter.proofs().reloads
    assert backend.received[0].certificate == one.certificate.read_text()
