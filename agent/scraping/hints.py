"""What a person may try when a scrape fails: the likeliest reason, and the setting or annotation.

Messages stay facts; a hint is a guess, and says so by asking.
"""

from __future__ import annotations

from typing import Final

from agent import targets
from agent.scraping.response import Cause, Failed

_SHOWN: Final = 16  # bytes of a body in a hint
_PAGES: Final = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")
_JSON: Final = (b'{"', b"{\n", b"{\r", b"[{")


def hint(failed: Failed, target: targets.Target, where: str) -> str:
    """Return a sentence about *failed*, or ""; *where* is the key of the target's credentials."""
    match failed.cause:
        case Cause.REFUSED:
            return target.hint
        case Cause.STATUS:
            return _of_status(failed.status, target, where)
        case Cause.TLS:
            return _of_tls(failed.why, where or "inputs.prometheus")
        case Cause.CLOSED_EARLY | Cause.NOT_HTTP:
            return _of_end(failed.why, target, where or "inputs.prometheus")
        case Cause.TIMEOUT:
            return _of_timeout(failed.why, target)
        case _:
            return ""


def of_body(body: bytes, target: targets.Target) -> str:
    """Return a sentence about a *body* that is no exposition, or ""."""
    start = body[: 4 * _SHOWN].lstrip()
    if start.lower().startswith(_PAGES) or start.startswith(_JSON):
        shown = start[:_SHOWN].decode("ascii", "replace").partition("\n")[0].strip()
        printable = "".join(c if c.isascii() and c.isprintable() else "?" for c in shown)
        return _asking(f"the body starts with {printable!r}: is the path right?", target, "path")
    return ""


def _of_timeout(why: str, target: targets.Target) -> str:
    if "connecting" in why:
        return "does a NetworkPolicy or a firewall drop the packets?"
    if "no answer came" in why:
        return _asking("does that port speak HTTP, or need longer?", target, "timeout")
    return _asking("does it need longer?", target, "timeout")


def _of_status(status: int, target: targets.Target, where: str) -> str:
    match status:
        case 400 if target.url.startswith("http:"):
            return _asking("does it want https?", target, "scheme")
        case 401 | 403 if target.kind == "apiserver":
            return "a ClusterRole must allow the agent to get the URL /metrics"
        case 401 | 403:
            auth = f"{where}.auth" if where else "inputs.prometheus.auth"
            return f"the target wants credentials, or does not like these; see {auth}"
        case 404:
            return _asking("nothing at this path; is it right?", target, "path")
        case 406:
            return "it has none of the formats that Prometheus reads"
        case _:
            return ""


def _of_end(why: str, target: targets.Target, where: str) -> str:
    """Guess why the other side did not speak as it should: one speaks TLS, or wants more of it."""
    if "tls: " in why:
        return _of_tls(why, where)
    if target.url.startswith("https:"):
        return _of_tls("certificate required", where) if "no answer came" in why else ""
    if "it speaks TLS" in why or "no answer came" in why:
        return _asking("is it https?", target, "scheme")
    return ""


def _of_tls(why: str, where: str) -> str:
    mesh = where.endswith(".mesh_certificates")
    if "certificate required" in why or "handshake failure" in why:
        return f"does it want a client certificate? see {where if mesh else f'{where}.tls'}"
    if "mismatch" in why:
        return f"{where}.tls.server_name may say which name its certificate has"
    if "self-signed" in why or "issuer" in why:
        if mesh:
            return f"its certificate is not of this mesh ({where})"
        return f"name its authority in {where}.tls.ca_file, or set {where}.tls.insecure_skip_verify"
    return ""


def _asking(question: str, target: targets.Target, what: str) -> str:
    """Ask, and name what a person would change if the answer is yes."""
    match target.kind:
        case "static":
            key = "url" if what in {"path", "scheme"} else what
            return f"{question} see the target's {key} in static_targets"
        case "pod" | "service":
            return f"{question} see the annotation prometheus.io/{what}"
        case _:
            return question
