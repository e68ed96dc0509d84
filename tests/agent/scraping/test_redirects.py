"""A redirect leads to another path of the same server, or nowhere."""

import pytest
from hypothesis import given, strategies as st

from agent.scraping.redirects import Way

URL = "http://10.0.0.1:9090/metrics?x=1"


@pytest.mark.parametrize(
    ("location", "there"),
    [
        ("/m", "http://10.0.0.1:9090/m"),
        ("m/", "http://10.0.0.1:9090/m/"),
        ("?y=2", "http://10.0.0.1:9090/metrics?y=2"),
        ("http://10.0.0.1:9090/a#b", "http://10.0.0.1:9090/a"),
        ("//10.0.0.1:9090/a", "http://10.0.0.1:9090/a"),
    ],
)
def test_it_leads_to_another_path_of_the_same_server(location: str, there: str) -> None:
    way = Way(url=URL, limit=1)
    assert way.follow(location) == ""
    assert way.url == there


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.2:9090/metrics",
        "http://10.0.0.1/metrics",
        "http://10.0.0.1:9091/metrics",
        "https://10.0.0.1:9090/metrics",
        "//169.254.169.254/latest",
        "http://user@10.0.0.1:9090/metrics",
        "http://10.0.0.1:9090@elsewhere/metrics",
        "file:///etc/passwd",
        "gopher://10.0.0.1:9090/",
    ],
)
def test_it_never_leads_to_another_server(location: str) -> None:
    way = Way(url=URL, limit=5)
    assert "but only redirects to the target's own scheme, host and port" in way.follow(location)
    assert way.url == URL


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "http://10.0.0.1:port/",
        "/a b",
        "/\x1b[31m",
        "/m\u00fcller",
        "http://a:99999/",
    ],
)
def test_what_is_no_url_is_said_to_be_none(location: str) -> None:
    why = Way(url=URL, limit=5).follow(location)
    assert why.endswith("which is no URL")
    assert why.isascii()
    assert why.isprintable()


def test_default_ports_are_the_same_written_or_not() -> None:
    assert Way(url="http://a/metrics", limit=1).follow("http://a:80/m") == ""
    assert Way(url="https://a:443/metrics", limit=1).follow("https://a/m") == ""


def test_none_are_followed_where_none_are_allowed() -> None:
    why = Way(url=URL, limit=0).follow("/m")
    assert why == "redirects are not followed; let the target be /m"


def test_a_circle_is_named() -> None:
    way = Way(url=URL, limit=9)
    assert [way.follow("/a"), way.follow("/b")] == ["", ""]
    assert way.follow("/a") == "it redirects in a circle: /a -> /b -> /a"


@given(st.text(), st.integers(0, 5))
def test_whatever_is_said_it_ends_and_stays_at_home(location: str, limit: int) -> None:
    way = Way(url=URL, limit=limit)
    steps = 0
    while not (why := way.follow(location)):
        steps += 1
        assert way.url.startswith("http://10.0.0.1:9090")
    assert steps <= limit
    assert why.isascii()
    assert why.isprintable()
