"""A page is asked for within limits, and secrets of its address are not told."""

import click
import pytest

from cli import asking


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("http://a:1", "http://a:1/debug/x"),
        ("http://a:1/", "http://a:1/debug/x"),
        ("http://a:1/debug/x/", "http://a:1/debug/x"),
        ("https://me:pw@a/proxy/p:1/", "https://me:pw@a/proxy/p:1/debug/x"),
        ("http://a/#top", "http://a/debug/x"),
    ],
)
def test_the_address_of_a_page_follows_from_that_of_the_program(url: str, page: str) -> None:
    assert asking.address(url, "/debug/x") == page


def test_what_is_no_url_is_wrong_usage() -> None:
    with pytest.raises(click.BadParameter):
        asking.address("127.0.0.1:8888", "/x")


def test_a_name_and_a_password_are_not_told() -> None:
    assert asking.named("http://me:pw@a:1/x?y") == "http://a:1/x?y"


@pytest.mark.wallclock
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/x", "cannot be asked: connection refused"),
        ("http://no-such-host.invalid/x", "cannot be asked: [a-z ]*name"),
    ],
)
async def test_who_cannot_be_reached_is_said_in_few_words(url: str, words: str) -> None:
    with pytest.raises(asking.NoPage, match=words):
        await asking.fetch(url, 5.0)
