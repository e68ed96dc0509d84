"""How the agent proves itself to targets, and they to it: profiles, and their files as they are.

A profile whose files are not there yet fails its own targets in words, and is good as soon as the
files come. Sources: RFC 6750, RFC 7617; Istio's ``OUTPUT_CERTS``, whose certificates name a SPIFFE
identity instead of a host.
"""

from __future__ import annotations

import itertools
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from typing_extensions import override

from agent import token
from agent.scraping.response import Cause, Failed
from agent.scraping.trust import Trust
from common.config import agent as config, agent_inputs, shared
from common.exporters import credentials

NONE: Final = ""
PROMETHEUS: Final = "prometheus"
MESH: Final = "mesh"
MESH_FILES: Final = ("root-cert.pem", "cert-chain.pem", "key.pem")
_TOLD: Final = 8  # characters of a secret that tell it apart from other text


@final
@dataclass(frozen=True, slots=True)
class Ready:
    """What one scrape uses: a context for https, and the Authorization header, "" for none."""

    tls: ssl.SSLContext | None = None
    authorization: str = ""


_PLAIN: Final = Ready()


class Profile(ABC):
    """How one kind of targets is asked."""

    def __init__(self, where: str, server_name: str) -> None:
        """Keep the key of the settings that a person would change, and the name to verify.

        They are "" for the defaults, and for the name that is in the URL.
        """
        self.where: Final = where
        self.server_name: Final = server_name
        self._secrets: tuple[str, ...] = ()

    @abstractmethod
    def ready(self, *, secure: bool) -> Ready | Failed:
        """Return what a scrape uses now, https if *secure*; or why there can be none."""

    def blot(self, words: str) -> str:
        """Return *words* without our secrets, or the beginnings of them: some servers echo them."""
        return _blotted(words, self._secrets)


@final
class Asked(Profile):
    """What somebody else keeps current: *tls* and *authorization* are asked at every scrape.

    Both may raise :class:`OSError`: then that target is not asked.
    """

    def __init__(
        self,
        *,
        where: str,
        server_name: str,
        tls: Callable[[], ssl.SSLContext | None],
        authorization: Callable[[], str],
    ) -> None:
        """Keep them; nobody is asked yet."""
        super().__init__(where, server_name)
        self._tls, self._authorization = tls, authorization

    @override
    def ready(self, *, secure: bool) -> Ready | Failed:
        try:
            found = Ready(self._tls() if secure else None, self._authorization())
        except OSError as error:
            return Failed(cause=Cause.CREDENTIALS, why=f"{self.where}: {error}")
        self._secrets = _secrets(found.authorization)
        return found


@final
class Credentials(Profile):
    """What the settings say."""

    def __init__(
        self,
        trust: Trust,
        auth: agent_inputs.ScrapeAuth,
        *,
        where: str,
        now: Callable[[], float],
        server_name: str = "",
        folder: str = "",
    ) -> None:
        """Take what the settings say; nothing is read yet. *folder* is named where files lack."""
        super().__init__(where, server_name)
        self.trust, self._folder = trust, folder
        self._authorization = ""
        self._file: token.TokenFile | None = None
        if auth.basic is not None:
            self._authorization = credentials.basic(auth.basic.username, auth.basic.password)
        elif auth.bearer_token:
            self._authorization = f"Bearer {auth.bearer_token}"
        elif auth.bearer_token_file:
            self._file = token.TokenFile(auth.bearer_token_file, now)
        self._token_file = auth.bearer_token_file
        self._token = ""
        self._secrets = _secrets(self._authorization)

    @property
    def token_reloads(self) -> int:
        """How often a changed token was taken."""
        return 0 if self._file is None else self._file.reloads

    @property
    def token_failures(self) -> int:
        """How often the token could not be read."""
        return 0 if self._file is None else self._file.failures

    @override
    def ready(self, *, secure: bool) -> Ready | Failed:
        if self._file is not None and (trouble := self._read(self._file)):
            where = f"{self.where}.auth.bearer_token_file" if self.where else "the token"
            return Failed(cause=Cause.CREDENTIALS, why=f"{where}: {self._token_file}: {trouble}")
        if not secure:
            return Ready(None, self._authorization) if self._authorization else _PLAIN
        context = self.trust.context()
        if isinstance(context, str):
            return Failed(cause=Cause.CREDENTIALS, why=self._unusable(context))
        return Ready(context, self._authorization)

    def _read(self, file: token.TokenFile) -> str:
        """Take the token as it is now; return what is wrong with it, or ""."""
        found = file()
        if found == self._token and found:
            return ""
        if not found:
            return file.trouble or "it is empty"
        if not found.isascii() or not found.isprintable() or " " in found:
            return "it has characters other than printable ASCII without spaces"
        self._token, self._authorization = found, f"Bearer {found}"
        self._secrets = _secrets(self._authorization)
        return ""

    def _unusable(self, why: str) -> str:
        if self._folder:
            absent = [name for name in MESH_FILES if not (Path(self._folder) / name).exists()]
            lack = f"has no {', '.join(absent)} yet" if absent else f"cannot be used: {why}"
            return f"the mesh's certificates: {self._folder} {lack} ({self.where})"
        return f"certificates cannot be used: {why} ({self.where}.tls)"


def profiles(document: config.Agent, now: Callable[[], float]) -> dict[str, Credentials]:
    """Return the profiles that *document* describes, by the names that targets know them by.

    "" proves nothing and trusts the system's authorities, "prometheus" is for annotated workloads,
    "mesh" (if there is a folder) for those behind a sidecar, "static:<n>" for the n-th static
    target. No file is read before a target needs it.
    """
    trusts: dict[shared.Tls, Trust] = {}

    def trusted(settings: shared.Tls) -> Trust:
        return trusts.setdefault(settings, Trust(settings, now))

    nothing = agent_inputs.ScrapeAuth()
    chosen = document.inputs.prometheus
    found = {
        NONE: Credentials(trusted(shared.Tls()), nothing, where="", now=now),
        PROMETHEUS: Credentials(
            trusted(chosen.tls),
            chosen.auth,
            where="inputs.prometheus",
            now=now,
            server_name=chosen.tls.server_name,
        ),
    }
    if chosen.mesh_certificates:
        found[MESH] = mesh(chosen.mesh_certificates, chosen.auth, now)
    for number, given in enumerate(document.static_targets):
        found[static_name(number)] = Credentials(
            trusted(given.tls),
            given.auth,
            where=f"static_targets[{number}]",
            now=now,
            server_name=given.tls.server_name,
        )
    return found


def mesh(folder: str, auth: agent_inputs.ScrapeAuth, now: Callable[[], float]) -> Credentials:
    """Return the profile of a sidecar whose certificates are written to *folder*.

    Targets have to show a certificate of the mesh's authority, whatever identity it is for.
    """
    authority, chain, key = (str(Path(folder) / name) for name in MESH_FILES)
    settings = shared.Tls(ca_file=authority, cert_file=chain, key_file=key)
    return Credentials(
        Trust(settings, now, mesh=True),
        auth,
        where="inputs.prometheus.mesh_certificates",
        now=now,
        folder=folder,
    )


def static_name(number: int) -> str:
    """Return the name of the profile of a static target, the first of which is 0."""
    return f"static:{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rereads:
    """How often files were read again, and how often in vain, over all profiles."""

    certificates: int
    certificate_failures: int
    tokens: int
    token_failures: int


def rereads(all_profiles: Iterable[Profile]) -> Rereads:
    """Add up what profiles of settings have read; others read no files of ours."""
    ours = [profile for profile in all_profiles if isinstance(profile, Credentials)]
    trusts = {id(profile.trust): profile.trust for profile in ours}.values()
    return Rereads(
        certificates=sum(trust.reloads for trust in trusts),
        certificate_failures=sum(trust.failures for trust in trusts),
        tokens=sum(profile.token_reloads for profile in ours),
        token_failures=sum(profile.token_failures for profile in ours),
    )


def _blotted(words: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        at = words.find(secret[:_TOLD])
        while at >= 0:
            end = at + _common(words[at:], secret)
            words = f"{words[:at]}***{words[end:]}"
            at = words.find(secret[:_TOLD], at + 3)
    return words


def _common(text: str, other: str) -> int:
    """Return how many characters both begin with."""
    pairs = zip(text, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _secrets(authorization: str) -> tuple[str, ...]:
    if not authorization:
        return ()
    return tuple(sorted(credentials.secrets_of({"authorization": authorization}), key=len))[::-1]
