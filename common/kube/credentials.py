"""Where the API server is and how we prove who we are: in-cluster, or from a kubeconfig file.

Sources: "Accessing the Kubernetes API from a Pod" and client-go's ``clientcmd/api/v1`` Config.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from common.service import settings

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PLUGIN_EVERY: Final = 60.0  # seconds between two questions to a credential plugin
Authorization = Callable[[], str]  # the header's value, "" for none
Named = TypeVar("Named", "_Cluster", "_User", "_Context")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """All that a client needs: ``server`` is a URL without a slash at its end.

    Before every request ``renew`` is awaited, if there is one, then ``authorization`` asked,
    because tokens rotate; both raise :class:`OSError` when they cannot. ``tls`` is ``None`` for
    plain HTTP.
    """

    server: str
    authorization: Authorization
    renew: Callable[[], Awaitable[None]] | None = None
    tls: ssl.SSLContext | None = None
    server_name: str = ""  # to verify instead of the server's host
    proxy: str = ""


class _Fields(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """Kubeconfig keys are in kebab case, with exceptions."""


class _Cluster(_Fields, frozen=True, kw_only=True):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class _User(_Fields, frozen=True, kw_only=True):
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    exec: dict[str, object] | None = None
    auth_provider: dict[str, object] | None = None


class _Context(_Fields, frozen=True, kw_only=True):
    cluster: str = ""
    user: str = ""


class _NamedCluster(_Fields, frozen=True, kw_only=True):
    name: str
    cluster: _Cluster = _Cluster()


class _NamedUser(_Fields, frozen=True, kw_only=True):
    name: str
    user: _User = _User()


class _NamedContext(_Fields, frozen=True, kw_only=True):
    name: str
    context: _Context = _Context()


class _Kubeconfig(_Fields, frozen=True, kw_only=True):
    current_context: str = ""
    clusters: tuple[_NamedCluster, ...] | None = None
    users: tuple[_NamedUser, ...] | None = None
    contexts: tuple[_NamedContext, ...] | None = None


def in_cluster(host: str, port: str, directory: Path = SERVICE_ACCOUNT) -> Access:
    """Use the service account of the pod we run in.

    *host* and *port* are the values of ``KUBERNETES_SERVICE_HOST`` and ``_PORT``. Raises
    :class:`~common.service.settings.SettingsError` when something is missing.
    """
    token, authority = directory / "token", directory / "ca.crt"
    problems = [
        settings.Problem(
            "kubernetes", f"cannot read {path}; does the pod mount its service account?"
        )
        for path in (token, authority)
        if not path.is_file()
    ]
    if not host:
        problems.insert(
            0, settings.Problem("kubernetes", "KUBERNETES_SERVICE_HOST is not set; not in a pod?")
        )
    if problems:
        raise settings.SettingsError(problems)
    name = f"[{host}]" if ":" in host else host
    return Access(
        server=f"https://{name}:{port or 443}",
        authorization=_token_file(token),
        tls=_trusting(authority.read_text(encoding="ascii")),
    )


async def from_kubeconfig(path: Path, *, context: str = "") -> Access:
    """Use *context* (default: the current one) of the kubeconfig at *path*.

    Credential plugins (``exec``, ``auth-provider``) are run by kubernetes-asyncio, which must be
    installed for them. Raises :class:`~common.service.settings.SettingsError`.
    """
    config = _read(path)
    problems: list[settings.Problem] = []
    chosen = context or config.current_context
    place = _pick("context", chosen, {c.name: c.context for c in config.contexts or ()}, problems)
    cluster = user = None
    if place is not None:
        clusters = {c.name: c.cluster for c in config.clusters or ()}
        users = {u.name: u.user for u in config.users or ()}
        cluster = _pick("cluster", place.cluster, clusters, problems)
        user = _pick("user", place.user, users, problems) if place.user else _User()
    if cluster is not None and not cluster.server:
        problems.append(settings.Problem("kubeconfig", f"the cluster of {chosen!r} has no server"))
    if cluster is None or user is None or problems:
        raise settings.SettingsError(problems)
    if user.exec is not None or user.auth_provider is not None:
        return await _by_plugin(path, chosen, cluster)
    try:
        return _plain(path.parent, cluster, user)
    except (OSError, ValueError) as error:  # ValueError: not base64, not ASCII
        raise _problem(f"{path}: cannot use the credentials of {chosen!r}: {error}") from error


def anonymous(server: str) -> Access:
    """Reach *server* without proving anything: a test, or a proxy that does it for us."""
    secure = server.startswith("https:")
    tls = ssl.create_default_context() if secure else None
    return Access(server=server.rstrip("/"), authorization=_constant(""), tls=tls)


def _read(path: Path) -> _Kubeconfig:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _problem(f"cannot read {path}: {error}") from error
    try:
        return msgspec.convert(settings.plain(text), _Kubeconfig)
    except msgspec.ValidationError as error:
        raise _problem(f"{path} is not a kubeconfig: {error}") from error
    except (ValueError, RecursionError) as error:
        raise _problem(f"{path} is not YAML: {error}") from error


def _pick(
    noun: str, name: str, known: dict[str, Named], problems: list[settings.Problem]
) -> Named | None:
    if name not in known:
        known_names = ", ".join(sorted(known)) or "none"
        problems.append(
            settings.Problem("kubeconfig", f"no {noun} called {name!r}; it has: {known_names}")
        )
    return known.get(name)


def _plain(base: Path, cluster: _Cluster, user: _User) -> Access:
    authorization = _constant("")
    if user.token_file:
        authorization = _token_file(base / user.token_file)
    elif user.token:
        authorization = _constant(f"Bearer {user.token}")
    elif user.username:
        pair = f"{user.username}:{user.password}".encode()
        authorization = _constant(f"Basic {base64.b64encode(pair).decode()}")
    tls = None
    if cluster.server.startswith("https:"):
        authority = _pem(base, cluster.certificate_authority, cluster.certificate_authority_data)
        tls = _trusting(authority, verify=not cluster.insecure_skip_tls_verify)
        certificate = _pem(base, user.client_certificate, user.client_certificate_data)
        key = _pem(base, user.client_key, user.client_key_data)
        if certificate:
            _present(tls, certificate, key)
    return Access(
        server=cluster.server.rstrip("/"),
        authorization=authorization,
        tls=tls,
        server_name=cluster.tls_server_name,
        proxy=cluster.proxy_url,
    )


async def _by_plugin(path: Path, context: str, cluster: _Cluster) -> Access:
    try:
        # Costs 39 MB and a second, so only who needs a plugin pays: programs in a cluster never do.
        from kubernetes_asyncio import client, config  # noqa: PLC0415
    except ImportError as error:
        raise _problem(
            f"{path}: context {context!r} needs a credential plugin, and those need the package "
            "kubernetes-asyncio; install headgate[operator], or use a token or a client certificate"
        ) from error
    configuration = client.Configuration()
    try:
        loader = await config.load_kube_config(
            str(path), context, configuration, persist_config=False
        )
        tls = None
        if cluster.server.startswith("https:"):
            authority = _pem(path.parent, configuration.ssl_ca_cert or "", "")
            tls = _trusting(authority, verify=configuration.verify_ssl)
            if configuration.cert_file:
                tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    except (config.ConfigException, OSError, ValueError) as error:
        raise _problem(f"{path}: the plugin of context {context!r} failed: {error}") from error
    asked = asyncio.get_running_loop().time()

    async def renew() -> None:
        nonlocal asked
        now = asyncio.get_running_loop().time()
        if now - asked < PLUGIN_EVERY:
            return
        asked = now
        try:
            await loader.load_and_set(configuration)
        except (config.ConfigException, ValueError) as error:
            raise OSError(f"the credential plugin failed: {error}") from error

    return Access(
        server=cluster.server.rstrip("/"),
        authorization=lambda: str(configuration.api_key.get("BearerToken", "")),
        renew=renew,
        tls=tls,
        server_name=cluster.tls_server_name,
        proxy=cluster.proxy_url,
    )


def _constant(header: str) -> Authorization:
    return lambda: header


def _token_file(path: Path) -> Authorization:
    """Read the token anew each time: it is a small file in memory, and the kubelet rotates it."""

    def authorization() -> str:
        token = path.read_bytes().strip()
        if not (token.isascii() and token.decode("ascii").isprintable()):
            raise OSError(f"{path} does not hold a token")
        return f"Bearer {token.decode('ascii')}"

    return authorization


def _pem(base: Path, file: str, data: str) -> str:
    """Return PEM text: *data* (base64) beats *file*, as in client-go."""
    if data:
        return base64.b64decode(data, validate=True).decode("ascii")
    return (base / file).read_text(encoding="ascii") if file else ""


def _trusting(authority: str, *, verify: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority or None)
    # Python 3.13 demands an Authority Key Identifier, which cluster authorities often lack.
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _present(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a client certificate; OpenSSL takes files only, so it is one for a moment."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="ascii") as file:
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        context.load_cert_chain(file.name)


def _problem(message: str) -> settings.SettingsError:
    return settings.SettingsError([settings.Problem("kubeconfig", message)])
