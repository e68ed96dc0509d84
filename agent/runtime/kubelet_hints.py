"""What to do when a kubelet does not tell anything: a cause and words for each failure. Pure."""

from __future__ import annotations

from agent.scraping.response import Cause

_TLS = "inputs.runtime.kubelet.tls"


def unreachable(words: str, *, node: str) -> tuple[Cause, str]:
    """Explain why there was no answer at all."""
    if "CERTIFICATE_VERIFY_FAILED" in words:
        if "mismatch" in words.lower():
            hint = (
                f"its certificate is for another name; give that as {_TLS}.server_name, or let "
                "inputs.runtime.kubelet.endpoint have a name it is for"
            )
        else:
            hint = (
                "the authority of the cluster has not signed its certificate (kubelets sign their "
                f"own unless they have serverTLSBootstrap); give its authority as {_TLS}.ca_file, "
                f"or set {_TLS}.insecure_skip_verify"
            )
        return Cause.TLS, f"{words}: {hint}"
    if "SSL" in words:
        return Cause.TLS, f"{words}: does the endpoint speak https?"
    if words == "timed out":
        return (
            Cause.TIMEOUT,
            f"{words}: a busy kubelet may need a longer inputs.runtime.kubelet.timeout",
        )
    if words == "connection refused":
        hint = "nothing listens there; inputs.runtime.kubelet.endpoint names another port"
        return Cause.REFUSED, f"{words}: {hint}"
    if "not known" in words or "No address" in words or "name resolution" in words:
        hint = (
            f"no address for {node!r}; where nodes have no DNS names, set "
            "inputs.runtime.kubelet.endpoint to https://${env:NODE_IP}:10250"
        )
        return Cause.DNS, f"{words}: {hint}"
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
