"""Every failure names what a person may do."""

import pytest

from agent.runtime import kubelet_hints
from agent.scraping.response import Cause

SELF_SIGNED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"


@pytest.mark.parametrize(
    ("words", "cause", "hint"),
    [
        (SELF_SIGNED, Cause.TLS, "insecure_skip_verify"),
        (SELF_SIGNED, Cause.TLS, "ca_file"),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch",
            Cause.TLS,
            "tls.server_name",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", Cause.TLS, "speak https"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert", Cause.TLS, "tls.cert_file"),
        ("timed out", Cause.TIMEOUT, "inputs.runtime.kubelet.timeout"),
        ("connection refused", Cause.REFUSED, "inputs.runtime.kubelet.endpoint"),
        ("Name or service not known", Cause.DNS, "https://${env:NODE_IP}:10250"),
        ("No address associated with hostname", Cause.DNS, "NODE_IP"),
        ("Temporary failure in name resolution", Cause.DNS, "NODE_IP"),
        ("connection reset by peer", Cause.UNREACHABLE, "connection reset by peer"),
    ],
)
def test_no_answer_is_explained(words: str, cause: Cause, hint: str) -> None:
    found, told = kubelet_hints.unreachable(words)
    assert found is cause
    assert told.startswith(words)
    assert hint in told


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "webhook"),
        (403, "get nodes/stats"),
        (404, "no kubelet answers"),
        (302, "redirects are not followed"),
        (500, "status 500 Reason"),
    ],
)
def test_a_refusal_is_explained(status: int, hint: str) -> None:
    cause, words = kubelet_hints.refused(status, f"{status} Reason")
    assert cause is Cause.STATUS
    assert words.startswith(f"status {status} Reason")
    assert hint in words


def test_too_much_names_the_limit_and_the_setting() -> None:
    cause, words = kubelet_hints.too_large(1000)
    assert cause is Cause.TOO_LARGE
    assert "1000 bytes" in words
    assert "inputs.runtime.kubelet.max_bytes" in words
