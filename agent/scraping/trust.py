"""Certificates of targets and for them: read when they are first needed, and when they change."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from common.config import shared
from common.exporters import tls

# What a sidecar offers for HTTP/1.1: where plain text is taken, too (PERMISSIVE), the other sidecar
# passes what offers nothing of this on to the workload as it came.
_MESH_ALPN: Final = ("istio-http/1.1", "istio", "http/1.1")


@final
class Trust:
    """Certificates by settings; several profiles may share one, for authorities take megabytes."""

    def __init__(
        self, settings: shared.Tls, now: Callable[[], float], *, mesh: bool = False
    ) -> None:
        """Note how; files are read when they are first needed. *now* never jumps back.

        In a *mesh*, a certificate of its authority is enough, whatever name it has.
        """
        self._settings, self._now, self._mesh = settings, now, mesh
        self._certificates: tls.Certificates | None = None
        self._trouble, self._again = "", float("-inf")
        self._failures = 0

    @property
    def reloads(self) -> int:
        """How often changed files were taken."""
        return 0 if self._certificates is None else self._certificates.reloads

    @property
    def failures(self) -> int:
        """How often files could not be used."""
        later = 0 if self._certificates is None else self._certificates.failures
        return self._failures + later

    def context(self) -> ssl.SSLContext | str:
        """Return what new connections use, or why there is nothing."""
        now = self._now()
        if self._certificates is not None:
            return self._certificates.context(now)
        if now >= self._again:
            self._again = now + tls.EVERY
            try:
                self._certificates = tls.Certificates(
                    self._settings,
                    now=now,
                    alpn=_MESH_ALPN if self._mesh else (),
                    any_name=self._mesh,
                )
            except OSError as error:
                self._failures += 1
                self._trouble = self._in_words(error)
            else:
                return self._certificates.context(now)
        return self._trouble

    def _in_words(self, error: OSError) -> str:
        named = (self._settings.ca_file, self._settings.cert_file, self._settings.key_file)
        absent = [name for name in named if name and not Path(name).exists()]
        if absent:
            return f"{', '.join(absent)}: no such file"
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        files = ", ".join(filter(None, named))
        return f"{files}: {(reason or str(error)).replace('_', ' ').lower()}"
