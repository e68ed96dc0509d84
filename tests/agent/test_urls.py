"""URLs of targets are written as RFC 3986 has them."""

from urllib.parse import urlsplit

import pytest

from agent import urls


@pytest.mark.parametrize(
    ("host", "written"), [("10.0.0.1", "10.0.0.1:80"), ("fd00::1", "[fd00::1]:80"), ("h", "h:80")]
)
def test_addresses_with_colons_get_brackets(host: str, written: str) -> None:
    assert urls.host_port(host, 80) == written


@pytest.mark.parametrize(
    ("url", "port"), [("http://h/", 80), ("https://h/", 443), ("https://h:8443/", 8443)]
)
def test_a_scheme_has_a_port_of_its_own(url: str, port: int) -> None:
    assert urls.port(urlsplit(url)) == port


@pytest.mark.parametrize(
    ("path", "parameters", "target"),
    [
        (None, [], "/metrics"),
        ("stats", [], "/stats"),
        ("/a b?c=d e", [], "/a%20b?c=d%20e"),
        ("/m?a=1", [("b", "x y"), ("c", "&")], "/m?a=1&b=x+y&c=%26"),
        ("/m", [("b", "1")], "/m?b=1"),
    ],
)
def test_paths_and_parameters_become_a_request_target(
    path: str | None, parameters: list[tuple[str, str]], target: str
) -> None:
    assert urls.request_target(path, parameters) == target
