"""A failure comes with what a person may try."""

from dataclasses import replace

import pytest

from agent import targets
from agent.scraping import hints
from agent.scraping.response import Cause, Failed

POD = targets.Target(
    url="http://10.0.0.1:80/metrics", job="j", instance="x", subject="shop/p", attributes=(),
    interval=1, timeout=1, hint="the container listens on 8080",
)  # fmt: skip
STATIC = replace(POD, kind="static")
SECURE = replace(POD, url="https://10.0.0.1:443/metrics")
SIDECAR = replace(POD, kind="sidecar")
API_SERVER = replace(POD, kind="apiserver", hint="")
MESH = "inputs.prometheus.mesh_certificates"


@pytest.mark.parametrize(
    ("cause", "why", "status", "target", "where", "hint"),
    [
        (Cause.REFUSED, "", 0, POD, "", "the container listens on 8080"),
        (Cause.DNS, "", 0, POD, "", ""),
        (Cause.STATUS, "", 404, POD, "",
         "nothing at this path; is it right? see the annotation prometheus.io/path"),
        (Cause.STATUS, "", 404, STATIC, "",
         "nothing at this path; is it right? see the target's url in static_targets"),
        (Cause.STATUS, "", 404, SIDECAR, "", "nothing at this path; is it right?"),
        (Cause.STATUS, "", 401, STATIC, "static_targets[2]",
         "the target wants credentials, or does not like these; see static_targets[2].auth"),
        (Cause.STATUS, "", 403, POD, "",
         "the target wants credentials, or does not like these; see inputs.prometheus.auth"),
        (Cause.STATUS, "", 403, API_SERVER, "kubernetes",
         "a ClusterRole must allow the agent to get the URL /metrics"),
        (Cause.STATUS, "", 404, API_SERVER, "kubernetes", "nothing at this path; is it right?"),
        (Cause.REFUSED, "", 0, API_SERVER, "kubernetes", ""),
        (Cause.STATUS, "", 400, POD, "",
         "does it want https? see the annotation prometheus.io/scheme"),
        (Cause.STATUS, "", 400, SECURE, "", ""),
        (Cause.STATUS, "", 406, POD, "", "it has none of the formats that Prometheus reads"),
        (Cause.STATUS, "", 503, POD, "", ""),
        (Cause.NOT_HTTP, "not an HTTP/1.1 response: it speaks TLS", 0, STATIC, "",
         "is it https? see the target's url in static_targets"),
        (Cause.NOT_HTTP, "not an HTTP/1.1 response: ssh", 0, STATIC, "", ""),
        (Cause.TIMEOUT, "timeout: ... (still connecting)", 0, POD, "",
         "does a NetworkPolicy or a firewall drop the packets?"),
        (Cause.TIMEOUT, "timeout: ... (no answer came)", 0, POD, "",
         "does that port speak HTTP, or need longer? see the annotation prometheus.io/timeout"),
        (Cause.TIMEOUT, "timeout: ... (9 bytes of the body came)", 0, STATIC, "",
         "does it need longer? see the target's timeout in static_targets"),
        (Cause.TLS, "tls: self-signed certificate", 0, POD, "x",
         "name its authority in x.tls.ca_file, or set x.tls.insecure_skip_verify"),
        (Cause.TLS, "tls: unable to get local issuer certificate", 0, POD, MESH,
         f"its certificate is not of this mesh ({MESH})"),
        (Cause.TLS, "tls: Hostname mismatch, certificate is not valid", 0, STATIC,
         "static_targets[0]",
         "static_targets[0].tls.server_name may say which name its certificate has"),
        (Cause.TLS, "tls: tlsv13 alert certificate required", 0, POD, MESH,
         f"does it want a client certificate? see {MESH}"),
        (Cause.TLS, "tls: certificate has expired", 0, POD, "", ""),
        (Cause.CLOSED_EARLY, "closed early: ... (9 bytes of the body came)", 0, POD, "", ""),
        (Cause.CLOSED_EARLY, "closed early: ... (no answer came)", 0, POD, "",
         "is it https? see the annotation prometheus.io/scheme"),
        (Cause.CLOSED_EARLY, "closed early: ... (no answer came)", 0, SECURE, "",
         "does it want a client certificate? see inputs.prometheus.tls"),
        (Cause.CLOSED_EARLY, "closed early: ... (9 bytes of headers came)", 0, SECURE, "", ""),
        (Cause.CLOSED_EARLY, "closed early: tls: tlsv13 alert certificate required", 0, SECURE, "x",
         "does it want a client certificate? see x.tls"),
    ],
)  # fmt: skip
def test_a_failure_has_its_likeliest_reason(
    *, cause: Cause, why: str, status: int, target: targets.Target, where: str, hint: str
) -> None:
    failed = Failed(cause=cause, why=why, status=status)
    assert hints.hint(failed, target, where) == hint


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"  \n<!DOCTYPE html>\n<p>", "<!DOCTYPE html>"),
        (b"<HTML>", "<HTML>"),
        (b'{"status": "ok"}', '{"status": "ok"}'),
        (b"<html \x1b\xff>", "<html ??>"),
    ],
)
def test_a_body_for_somebody_else_is_shown_by_its_start(body: bytes, shown: str) -> None:
    hint = hints.of_body(body, POD)
    assert hint.startswith(f"the body starts with {shown!r}: is the path right? ")
    assert hint.isprintable()


def test_metrics_that_are_just_wrong_have_no_such_hint() -> None:
    assert hints.of_body(b"a 1\nb two\n", POD) == ""
