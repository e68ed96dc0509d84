"""Pages for people: HTML that runs nothing, loads nothing, and shows hostile text as text. Pure."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

MAX_ACCEPT: Final = 1024  # characters of an Accept header that are looked at
_BASE: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Html:
    """A document; *body* is markup in which everything foreign went through `text`."""

    title: str
    body: str
    style: str
    """CSS without ``</style``: the one thing that the document may apply."""

    def document(self) -> str:
        """Return the whole of it."""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{text(self.title)}</title>\n<style>{self.style}</style>\n</head>\n"
            f"<body>\n{self.body}\n</body>\n</html>\n"
        )

    def headers(self) -> Mapping[str, str]:
        """Return what to send with it.

        Nothing runs and nothing is loaded but *style*, known by its hash (W3C, "Content Security
        Policy Level 3", 2.3.1): what slips through the escaping would still be dead text.
        """
        digest = base64.b64encode(hashlib.sha256(self.style.encode()).digest()).decode()
        return {
            "Content-Security-Policy": f"{_BASE}; style-src 'sha256-{digest}'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }


def text(value: object, most: int = 0) -> str:
    """Return *value* as it is written in elements and quoted attributes.

    Of more than *most* characters (0: any number) the first ones are kept. Characters that only
    move others about, as those that turn the direction of writing, are shown as what they are.
    """
    words = str(value)
    if most and len(words) > most:
        words = f"{words[: most - 1]}…"
    if not words.isprintable():
        words = "".join(c if c.isprintable() else _shown(c) for c in words)
    return html.escape(words)


def _shown(character: str) -> str:
    return character.encode("unicode_escape").decode()


def prefers_html(accept: str) -> bool:
    """Say whether *accept*, an Accept header, likes HTML more than JSON, as browsers do.

    RFC 9110, 12.5.1: the most specific range decides about a type; what cannot be read is nothing.
    """
    weights = {}
    for part in accept[:MAX_ACCEPT].split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights[kind] = _weight(parameters)

    def weight(main: str, sub: str) -> float:
        ranges = (f"{main}/{sub}", f"{main}/*", "*/*")
        return next((weights[each] for each in ranges if each in weights), 0.0)

    return weight("text", "html") > weight("application", "json")


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            digits = value.strip()
            plain = len(digits) <= 5 and digits.isascii() and digits.replace(".", "", 1).isdigit()
            return float(digits) if plain else 0.0
    return 1.0
