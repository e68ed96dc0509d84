"""How an exporter proves the backend, and itself: the certificates that the settings name."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from common.config import shared
from common.exporters.outcomes import Proofs
from common.service import files

# Seconds between two looks at the files; what was written in place has to look the same twice.
EVERY: Final = 1.0

_LOG = logging.getLogger("headgate.exporters.tls")


@final
class Certificates:
    """The certificates as they are now: read again when a file changed, kept when it is broken.

    A context is never changed: connections made with an older one end as they began.
    """

    def __init__(
        self,
        settings: shared.Tls,
        *,
        now: float,
        alpn: Sequence[str] = (),
        any_name: bool = False,
    ) -> None:
        """Load the files of *settings*; *alpn* are the protocols to offer.

        With *any_name*, a certificate of a trusted authority is enough, whatever name it has.

        Raises :class:`OSError` for a file that cannot be used, as `context` does.
        """
        self._settings, self._alpn, self._any_name = settings, tuple(alpn), any_name
        named = (settings.ca_file, settings.cert_file, settings.key_file)
        self._files = [Path(name) for name in named if name]
        self._watch = files.Watch(files.prints(self._files))
        self._again = now + EVERY
        self._broken = False
        self.reloads = 0
        """How often changed files were taken."""
        self.failures = 0
        """How often changed files could not be used."""
        self._context = self._load()

    def context(self, now: float) -> ssl.SSLContext:
        """Return what new connections use at *now*, in seconds on a clock that does not jump back.

        It is the same object until the files change.
        """
        if now >= self._again and self._files:
            self._again = now + EVERY
            if self._watch.due(self._files):
                self._reload()
        return self._context

    def proofs(self) -> Proofs:
        """Return how often the files were read again."""
        return Proofs(reloads=self.reloads, reload_failures=self.failures)

    def _reload(self) -> None:
        try:
            self._context = self._load()
        except OSError as error:
            self.failures += 1
            self._watch.refused()
            if not self._broken:
                self._broken = True
                _LOG.warning(
                    "certificates changed and cannot be used, the former ones stay",
                    extra={"files": [str(file) for file in self._files], "error": str(error)},
                )
        else:
            self.reloads += 1
            self._broken = False
            _LOG.info(
                "certificates were read again",
                extra={"files": [str(file) for file in self._files]},
            )

    def _load(self) -> ssl.SSLContext:
        loaded = context(self._settings)
        if self._alpn:
            loaded.set_alpn_protocols(list(self._alpn))
        if self._any_name:
            loaded.check_hostname = False
        return loaded


def context(settings: shared.Tls) -> ssl.SSLContext:
    """Load the files of *settings*; without a ``ca_file``, the system's authorities are trusted.

    Raises :class:`OSError` for a file that cannot be read, and :class:`ssl.SSLError`, which is one,
    for a file that is not what it should be.
    """
    loaded = ssl.create_default_context(cafile=settings.ca_file or None)
    if settings.cert_file:
        # Without a password OpenSSL would ask for one on the terminal.
        loaded.load_cert_chain(settings.cert_file, settings.key_file, password="")
    if settings.insecure_skip_verify:
        loaded.check_hostname = False
        loaded.verify_mode = ssl.CERT_NONE
    return loaded
