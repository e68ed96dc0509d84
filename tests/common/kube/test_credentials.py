import base64
import datetime as dt
import json
import ssl
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.kube import client, credentials
from common.service import settings


def named(kind: str, name: str, **values: object) -> dict[str, object]:
    return {"name": name, kind: {k.replace("_", "-"): v for k, v in values.items()}}


def kubeconfig(
    path: Path, user: Mapping[str, object], cluster: Mapping[str, object] | None = None
) -> Path:
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": cluster or {"server": "http://127.0.0.1:1/prefix/"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [named("context", "here", cluster="c", user="u"),
                     named("context", "anonymous", cluster="c", user=""),
                     named("context", "broken", cluster="lost", user="nobody")],
    }  # fmt: skip
    (path / "config").write_text(yaml.safe_dump(document))
    return path / "config"


def authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    return certificate(name, None, None, authority=True)


def certificate(
    name: str,
    issuer: x509.Certificate | None,
    signer: ec.EllipticCurvePrivateKey | None,
    *,
    authority: bool = False,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer or key, hashes.SHA256())
    )
    return key, built


def pem(thing: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.PEM)
    return thing.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def b64(thing: x509.Certificate | ec.EllipticCurvePrivateKey) -> str:
    return base64.b64encode(pem(thing)).decode()


def test_a_pod_uses_its_service_account(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "ca.crt").write_bytes(pem(authority("cluster")[1]))
    access = credentials.in_cluster("10.0.0.1", "6443", tmp_path)
    assert access.server == "https://10.0.0.1:6443"
    assert access.authorization() == "Bearer abc"
    (tmp_path / "token").write_text("rotated")
    assert access.authorization() == "Bearer rotated"
    assert access.tls is not None and access.tls.verify_mode is ssl.CERT_REQUIRED
    assert credentials.in_cluster("fd00::1", "", tmp_path).server == "https://[fd00::1]:443"


def test_outside_of_a_pod_everything_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        credentials.in_cluster("", "", tmp_path)
    assert len(caught.value.problems) == 3
    assert "KUBERNETES_SERVICE_HOST is not set" in str(caught.value)


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({}, ""),
        ({"token": "t"}, "Bearer t"),
        ({"token": "t", "tokenFile": "token"}, "Bearer from-file"),
        ({"username": "me", "password": "pw"}, "Basic bWU6cHc="),
    ],
)
async def test_a_user_proves_itself(tmp_path: Path, user: dict[str, str], header: str) -> None:
    (tmp_path / "token").write_text("from-file")
    access = await credentials.from_kubeconfig(kubeconfig(tmp_path, user))
    assert access.authorization() == header
    assert (access.server, access.tls, access.renew) == ("http://127.0.0.1:1/prefix", None, None)


async def test_a_context_without_a_user_is_anonymous(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"token": "t"})
    access = await credentials.from_kubeconfig(path, context="anonymous")
    assert access.authorization() == ""


async def test_a_cluster_may_be_reached_by_another_name_a_proxy_or_on_trust(tmp_path: Path) -> None:
    cluster = {
        "server": "https://x:1", "insecure-skip-tls-verify": True, "tls-server-name": "api",
        "proxy-url": "http://proxy:3128",
    }  # fmt: skip
    access = await credentials.from_kubeconfig(kubeconfig(tmp_path, {}, cluster))
    assert (access.server_name, access.proxy) == ("api", "http://proxy:3128")
    assert access.tls is not None
    assert (access.tls.verify_mode, access.tls.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("broken", ["no cluster called 'lost'; it has: c", "no user called 'nobody'; it has: u"]),
        ("away", ["no context called 'away'; it has: anonymous, broken, here"]),
    ],
)
async def test_what_a_context_lacks_is_said(tmp_path: Path, context: str, words: list[str]) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        await credentials.from_kubeconfig(kubeconfig(tmp_path, {}), context=context)
    assert [p.message for p in caught.value.problems] == words


@pytest.mark.parametrize("text", ["[1", "- a", "clusters: 5", "users: [{user: {}}]"])
async def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(settings.SettingsError, match="config is not"):
        await credentials.from_kubeconfig(tmp_path / "config")


async def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(settings.SettingsError, match="cannot read"):
        await credentials.from_kubeconfig(tmp_path / "nowhere")
    cluster = {"server": "https://x", "certificate-authority": "lost.pem"}
    with pytest.raises(settings.SettingsError, match=r"credentials of 'here'.*lost\.pem"):
        await credentials.from_kubeconfig(kubeconfig(tmp_path, {}, cluster))
    cluster = {"server": "https://x", "certificate-authority-data": "%%%"}
    with pytest.raises(settings.SettingsError, match="credentials of 'here'"):
        await credentials.from_kubeconfig(kubeconfig(tmp_path, {}, cluster))


@pytest.mark.wallclock
async def test_certificates_from_a_kubeconfig_open_a_real_connection(tmp_path: Path) -> None:
    signer, root = authority("root")
    server_key, server = certificate("api.test", root, signer)
    own_key, own = certificate("me", root, signer)
    (tmp_path / "server.pem").write_bytes(pem(server) + pem(server_key))
    (tmp_path / "root.pem").write_bytes(pem(root))
    demanding = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "root.pem")
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_cert_chain(tmp_path / "server.pem")

    async def who(request: web.Request) -> web.Response:
        assert request.transport is not None
        certificate_of_peer = request.transport.get_extra_info("peercert")
        return web.Response(text=certificate_of_peer["subject"][0][0][1])

    app = web.Application()
    app.router.add_get("/whoami", who)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=demanding).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    cluster = {"server": url, "certificate-authority": "root.pem", "tls-server-name": "api.test"}
    user = {"client-certificate-data": b64(own), "client-key-data": b64(own_key)}
    try:
        access = await credentials.from_kubeconfig(kubeconfig(tmp_path, user, cluster))
        async with client.connecting(access) as api:
            assert await api.get("/whoami") == b"me"
        stranger = {**cluster, "certificate-authority-data": b64(authority("other")[1])}
        access = await credentials.from_kubeconfig(kubeconfig(tmp_path, user, stranger))
        async with client.connecting(access) as api:
            with pytest.raises(client.Unreachable, match="certificate verify failed"):
                await api.get("/whoami")
    finally:
        await runner.cleanup()


@pytest.mark.wallclock
async def test_a_credential_plugin_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("kubernetes_asyncio", reason="belongs to the extra 'operator'")
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "from-plugin", "expirationTimestamp": "2099-01-01T00:00:00Z"},
    }  # fmt: skip
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!{sys.executable}\nprint({json.dumps(answer)!r})\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    user = {
        "exec": {
            "apiVersion": answer["apiVersion"], "command": str(plugin), "interactiveMode": "Never",
        },
    }  # fmt: skip
    access = await credentials.from_kubeconfig(kubeconfig(tmp_path, user))
    assert access.authorization() == "Bearer from-plugin"
    assert access.renew is not None
    await access.renew()
    assert access.authorization() == "Bearer from-plugin"


@pytest.mark.wallclock
def test_programs_in_a_cluster_never_pay_for_the_generated_client() -> None:
    code = (
        "import sys; from common.kube import client, credentials, informer; "
        "from common.enrichment import enricher; print('kubernetes_asyncio' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"one\ntwo"])
async def test_a_file_without_a_token_is_unreachable_until_it_has_one(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "token").write_bytes(content)
    access = await credentials.from_kubeconfig(kubeconfig(tmp_path, {"tokenFile": "token"}))
    async with client.connecting(access) as api:
        with pytest.raises(client.Unreachable, match="token"):
            await api.get("/")


async def test_a_kubeconfig_that_is_not_yaml_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("users: {token: 'hunter2'\n  x: ]")
    with pytest.raises(settings.SettingsError, match="is not YAML: line 2") as caught:
        await credentials.from_kubeconfig(tmp_path / "config")
    assert "hunter2" not in str(caught.value)


async def test_certificates_that_are_no_text_are_a_problem_in_words(tmp_path: Path) -> None:
    cluster = {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": base64.b64encode(b"\xff").decode(),
    }
    with pytest.raises(settings.SettingsError, match="cannot use the credentials"):
        await credentials.from_kubeconfig(kubeconfig(tmp_path, {}, cluster))
