"""Backends whose certificates expire and are replaced, and whose names lead elsewhere some day."""

from __future__ import annotations

import os
import shutil
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import certificates
from tests.flow import faulty, numbered, programs, victims
from tests.flow.faulty import KINDS, Backend, Kind
from tests.flow.victims import Places, Victim

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(90)]

NAME = "backend.test"
UNTRUSTED = (
    "CERTIFICATE_VERIFY_FAILED"  # in what OpenSSL says here, not in what the other side says
)
MOVED_WITHIN = 40.0  # seconds: addresses are remembered for up to 30


def pipeline(backend: Backend, tls: dict[str, Any] | None = None) -> dict[str, Any]:
    output = {key: {**value, "tls": tls or {}} for key, value in backend.output.items()}
    return {"name": backend.kind.replace("_", "-"), "output": output}


async def fail(victim: Victim, says: Callable[[str], bool], what: str) -> None:
    """Wait until all destinations fail with an error that *says* what is expected."""

    async def all_fail() -> bool:
        names = [kind.replace("_", "-") for kind in KINDS]
        found = [await victim.destination(name) for name in names]
        return all(e["state"] == "failing" and says(e["last_error"]) for e in found)

    await programs.until(all_fail, what)


async def nothing_was_lost(
    victim: Victim, account: numbered.Account, *backends: Mapping[Kind, Backend]
) -> None:
    """Check the ledgers, and what arrived at all *backends* of a kind together, after the load."""
    ledgers = await victim.settled(within=MOVED_WITHIN)
    assert set(account.outcomes) == {"OK", "200"}
    for kind in KINDS:
        ledger = ledgers[kind.replace("_", "-")]
        assert ledger["received"] == ledger["delivered"] == len(account.acknowledged)
        victims.compare(account, {n for each in backends for n in each[kind].taken})
    assert await victim.end() == 0


def signed(folder: Path, name: str, hours: int = 1) -> certificates.Files:
    """Make an authority and a certificate in a folder called *name*; 0 *hours*: it has expired."""
    (folder / name).mkdir()
    return certificates.write(folder / name, NAME, hours=hours)


async def test_a_certificate_that_expired_is_replaced_and_all_that_waited_arrives(
    tmp_path,
) -> None:
    old, new = signed(tmp_path, "old", hours=0), signed(tmp_path, "new")
    trusted = tmp_path / "authorities.pem"
    trusted.write_bytes(old.authority.read_bytes() + new.authority.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(old.certificate, old.key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with AsyncExitStack() as stack:
        backends = {
            kind: await stack.enter_async_context(faulty.serving(kind, tls=context))
            for kind in KINDS
        }
        places = Places.free()
        tls = {"ca_file": str(trusted), "server_name": NAME}
        document = places.document(*[pipeline(each, tls) for each in backends.values()])
        victim = await stack.enter_async_context(victims.running(tmp_path, places, document))
        load = numbered.Load(places.doors, numbered.Account(), lanes=1)
        async with load.sending():
            await fail(victim, lambda said: "certificate has expired" in said, "all say so")
            context.load_cert_chain(new.certificate, new.key)
        await nothing_was_lost(victim, load.account, backends)


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="a file of names of its own takes root and unshare; in CI both are there",
)
async def test_a_name_that_moves_is_followed_and_nothing_is_lost(tmp_path) -> None:
    """The gateway has an /etc/hosts of its own, in a mount namespace."""
    hosts = tmp_path / "hosts"

    def lead_to(address: str) -> None:
        hosts.write_text(f"{address} {NAME}\n127.0.0.1 localhost\n")  # in place: it is a mount

    lead_to("127.0.0.2")
    inside = (
        "unshare", "--mount", "--propagation", "private", "sh", "-c",
        f'mount --bind "{hosts}" /etc/hosts && exec "$@"', "sh",
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        here = {
            kind: await stack.enter_async_context(faulty.serving(kind, host="127.0.0.2", name=NAME))
            for kind in KINDS
        }
        there = {
            kind: Backend(kind, each.port, host="127.0.0.3", name=NAME)
            for kind, each in here.items()
        }
        places = Places.free()
        document = places.document(*[pipeline(each) for each in here.values()])
        victim = await stack.enter_async_context(
            victims.running(tmp_path, places, document, inside=inside)
        )
        load = numbered.Load(places.doors, numbered.Account(), lanes=1, pause=0.02)
        async with load.sending():

            async def arrive(backends: Mapping[Kind, Backend]) -> bool:
                return all(each.taken for each in backends.values())

            await programs.until(lambda: arrive(here), "points arrive")
            for each in here.values():
                await each.shut()
            await fail(victim, bool, "all fail")
            for each in there.values():
                await each.open()
                stack.push_async_callback(each.shut)
            lead_to("127.0.0.3")
            await programs.until(lambda: arrive(there), "the name is followed", MOVED_WITHIN)
        await nothing_was_lost(victim, load.account, here, there)


async def test_authorities_and_client_certificates_are_taken_when_they_change(tmp_path) -> None:
    """First nobody trusts anybody, then we trust the backends, and in the end they trust us."""
    old, new = signed(tmp_path, "old"), signed(tmp_path, "new")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(new.certificate, new.key)
    context.load_verify_locations(new.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2", "http/1.1"])
    ours = certificates.Files(
        authority=tmp_path / "ca.pem", certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem"
    )

    def replace(*names: str, by: certificates.Files) -> None:
        for name in names:
            whole = tmp_path / "whole.pem"
            whole.write_bytes(getattr(by, name).read_bytes())
            whole.replace(getattr(ours, name))

    replace("authority", "certificate", "key", by=old)
    async with AsyncExitStack() as stack:
        backends = {
            kind: await stack.enter_async_context(faulty.serving(kind, tls=context))
            for kind in KINDS
        }
        places = Places.free()
        tls = {
            "ca_file": str(ours.authority),
            "cert_file": str(ours.certificate),
            "key_file": str(ours.key),
            "server_name": NAME,
        }
        document = places.document(*[pipeline(each, tls) for each in backends.values()])
        victim = await stack.enter_async_context(victims.running(tmp_path, places, document))
        load = numbered.Load(places.doors, numbered.Account(), lanes=1)
        async with load.sending():
            await fail(victim, lambda said: UNTRUSTED in said, "we trust no backend")
            replace("authority", by=new)
            await fail(victim, lambda said: UNTRUSTED not in said, "no backend trusts us")
            assert not any(each.taken for each in backends.values())
            replace("certificate", "key", by=new)
        await nothing_was_lost(victim, load.account, backends)
