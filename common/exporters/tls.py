"""How an exporter proves the backend, and itself: the certificates that the settings name."""

from __future__ import annotations

import ssl

from common.config import shared


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
