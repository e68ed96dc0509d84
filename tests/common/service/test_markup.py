"""Pages for people run nothing, and are shown to people only."""

import base64
import hashlib

import pytest
from hypothesis import given, strategies as st

from common.service import markup

CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    ("accept", "people"),
    [
        (CHROME, True),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("application/json;q=0.9, text/html", True),
        ("text/html;q=0, */*", False),
        ("text/*", True),
        ("TEXT/HTML", True),
        ("text/html;q=nonsense", False),
        ("text/html;level=1;q=0.5, application/json;q=0.4", True),
        ("text/html;q=²", False),
        (";;;,,,=", False),
        ("x" * 2000 + ",text/html", False),
    ],
)
def test_browsers_have_html_and_tools_have_json(accept: str, *, people: bool) -> None:
    assert markup.prefers_html(accept) is people


@given(st.text(max_size=60))
def test_no_header_is_too_odd(accept: str) -> None:
    assert markup.prefers_html(accept) in {True, False}


def test_text_is_escaped_and_shows_what_cannot_be_seen() -> None:
    assert markup.text("<a b='c' d=\"&\">") == "&lt;a b=&#x27;c&#x27; d=&quot;&amp;&quot;&gt;"
    assert markup.text("a\nb\u202ec\ud800") == "a\\nb\\u202ec\\ud800"
    assert markup.text("päivää 東京") == "päivää 東京"
    assert markup.text("abcdef", 4) == "abc…"
    assert markup.text(12) == "12"


def test_a_document_names_its_style_and_allows_nothing_else() -> None:
    page = markup.Html(title="<x>", body="<p>", style="p{color:red}")
    policy = page.headers()["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(b"p{color:red}").digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith(f"style-src 'sha256-{digest}'")
    assert "<title>&lt;x&gt;</title>\n<style>p{color:red}</style>" in page.document()
