"""What to do when a kubelet does not tell anything: a cause and words for each failure. Pure."""

from __future__ import annotations

from typing import Final

from agent.scraping.response import Cause

_TLS: Final = "inputs.runtime.kubelet.tls"


# What an error says, in lower case; the cause it stands for; and the hint. The first that fits.
_HINTS: Final = (
    (
        ("mismatch",),
        Cause.TLS,
        (
            f"its certificate is for another name; give that as {_TLS}.server_name, or let "
            "inputs.runtime.kubelet.endpoint have a name it is for"
        ),
    ),
    (
        ("certificate_verify_failed",),
        Cause.TLS,
        (
            "the authority of the cluster has not signed its certificate (kubelets sign their own "
            f"unless they have serverTLSBootstrap); give its authority as {_TLS}.ca_file, or set "
            f"{_TLS}.insecure_skip_verify"
        ),
    ),
    (
        ("certificate_required", "handshake_failure"),
        Cause.TLS,
        f"does it want a client certificate? see {_TLS}.cert_file",
    ),
    (("ssl",), Cause.TLS, "does the endpoint speak https?"),
    (
        ("timed out",),
        Cause.TIMEOUT,
        "a busy kubelet may need a longer inputs.runtime.kubelet.timeout",
    ),
    (
        ("connection refused",),
        Cause.REFUSED,
        "nothing listens there; inputs.runtime.kubelet.endpoint names another port",
    ),
    (
        ("not known", "no address", "name resolution"),
        Cause.DNS,
        (
            "where nodes have no DNS names, set inputs.runtime.kubelet.endpoint to "
            "https://${env:NODE_IP}:10250"
        ),
    ),
)


def unreachable(words: str) -> tuple[Cause, str]:
    """Explain why there was no answer at all."""
    said = words.lower()
    for marks, cause, hint in _HINTS:
        if any(mark in said for mark in marks):
            return cause, f"{words}: {hint}"
    return Cause.UNREACHABLE, words


def refused(status: int, words: str) -> tuple[Cause, str]:
    """Explain an answer that is a refusal."""
    match status:
        case 401:
            hint = "it does not accept our token; does it authenticate by webhook?"
        case 403:
            hint = "our service account needs the right to get nodes/stats"
        case 404:
            hint = "no kubelet answers at this endpoint"
        case _ if 300 <= status < 400:
            hint = "redirects are not followed: they would carry the token elsewhere"
        case _:
            return Cause.STATUS, f"status {words}"
    return Cause.STATUS, f"status {words}: {hint}"


def too_large(limit: int) -> tuple[Cause, str]:
    """Explain an answer that was cut off."""
    words = f"the answer has more than {limit} bytes; raise inputs.runtime.kubelet.max_bytes"
    return Cause.TOO_LARGE, words
