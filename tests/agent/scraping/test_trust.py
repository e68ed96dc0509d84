"""Certificates are read when they are needed, again when they change, and are missed in words."""

import ssl
from pathlib import Path

import pytest

from agent.scraping.trust import Trust
from common.config import shared
from tests.fakes import certificates
from tests.fakes.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_systems_authorities_are_loaded_once(clock: Clock) -> None:
    trust = Trust(shared.Tls(), clock)
    first = trust.context()
    clock.now = 100.0
    assert isinstance(first, ssl.SSLContext)
    assert trust.context() is first
    assert first.check_hostname
    assert (trust.reloads, trust.failures) == (0, 0)


def test_what_lacks_is_looked_for_once_a_second_and_taken_when_it_comes(
    tmp_path: Path, clock: Clock
) -> None:
    trust = Trust(shared.Tls(ca_file=str(tmp_path / "ca.pem")), clock)
    assert trust.context() == f"{tmp_path}/ca.pem: no such file"
    certificates.write(tmp_path, "x")
    clock.now = 0.5
    assert isinstance(trust.context(), str)
    clock.now = 1.0
    assert isinstance(trust.context(), ssl.SSLContext)
    assert (trust.reloads, trust.failures) == (0, 1)


def test_a_key_that_is_anothers_is_no_key(tmp_path: Path, clock: Clock) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        folder.mkdir()
    ours, other = (certificates.write(folder, "x") for folder in folders)
    pair = shared.Tls(cert_file=str(ours.certificate), key_file=str(other.key))
    words = Trust(pair, clock).context()
    assert isinstance(words, str)
    assert words.startswith(f"{ours.certificate}, {other.key}: ")
    assert "mismatch" in words


def test_in_a_mesh_any_name_will_do_but_not_any_authority(tmp_path: Path, clock: Clock) -> None:
    files = certificates.write(tmp_path, "spiffe://cluster.local/ns/a/sa/b")
    context = Trust(shared.Tls(ca_file=str(files.authority)), clock, mesh=True).context()
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)
    assert len(context.get_ca_certs()) == 1
