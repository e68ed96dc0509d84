"""What one setting of the doors means for another."""

import pytest

from common.config.doors import Listen, Proxies, ServerTls

TRUSTED = ("10.0.0.0/8",)
CERTIFICATE = {"cert_file": "/c", "key_file": "/k"}


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [
        (ServerTls(cert_file="/c"), "key_file", "go together"),
        (ServerTls(key_file="/k"), "cert_file", "go together"),
        (ServerTls(client_ca_file="/a"), "client_ca_file", "needs cert_file and key_file"),
        (Proxies(trusted=("10.0.0.1/8",)), "trusted[0]", "host bits set"),
        (Proxies(trusted=("lb.example",)), "trusted[0]", "write an address or a network"),
        (Proxies(proxy_protocol=True), "proxy_protocol", "needs trusted"),
        (Proxies(forwarded_for=True), "forwarded_for", "needs trusted"),
        (
            Listen(grpc_door="grpcio", proxies=Proxies(trusted=TRUSTED, proxy_protocol=True)),
            "grpc_door",
            "grpcio knows no PROXY protocol; set grpc_door: lean",
        ),
        (
            Listen(grpc_door="grpcio", tls=ServerTls(**CERTIFICATE, min_version="1.3")),
            "grpc_door",
            "grpcio always speaks TLS 1.2 as well; set grpc_door: lean",
        ),
    ],
)
def test_what_does_not_go_together_is_told_with_the_key(section, key: str, words: str) -> None:
    ((found, message),) = section.problems()
    assert found == key
    assert words in message


@pytest.mark.parametrize(
    "section",
    [
        ServerTls(),
        ServerTls(**CERTIFICATE, client_ca_file="/a", min_version="1.3"),
        Proxies(trusted=(*TRUSTED, "2001:db8::1"), proxy_protocol=True, forwarded_for=True),
        Listen(grpc_door="grpcio", tls=ServerTls(min_version="1.3")),  # of no TLS
        Listen(
            grpc_door="lean",
            tls=ServerTls(**CERTIFICATE, min_version="1.3"),
            proxies=Proxies(trusted=TRUSTED, proxy_protocol=True),
        ),
    ],
)
def test_what_goes_together_is_no_problem(section) -> None:
    assert not list(section.problems())
