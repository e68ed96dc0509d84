"""What in an output is secret: it may change while a destination runs, and is never shown."""

from __future__ import annotations

from typing import Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from common.config import outputs

MASK: Final = "***"

# By the name of a setting: a section of which every value is one, a text that is one, a URL that
# may contain one.
SECTIONS: Final = frozenset({"headers", "params"})
TEXTS: Final = frozenset({"password", "bearer_token", "client_secret"})
URLS: Final = frozenset({"endpoint", "url", "path", "token_url"})

_Section = TypeVar("_Section", outputs.OtlpOutput, outputs.RemoteWriteOutput)


def same_but_secrets(old: outputs.Output, new: outputs.Output) -> bool:
    """Say whether *new* is *old* but for values of headers, passwords, tokens and client secrets.

    Such a change needs no new destination: see `common.exporters.outcomes.Exporter.renew`. Fields
    of token requests (``params``) and a password in a URL count as secrets, too; a query does not.
    """
    return _without(old) == _without(new)


def shown(url: str) -> str:
    """Return *url* as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{MASK}@{host}" if user else host
    return urlunsplit(parts._replace(netloc=netloc, query=MASK if parts.query else ""))


def _without(output: outputs.Output) -> outputs.Output:
    otlp, write = output.otlp, output.remote_write
    if otlp is not None:
        otlp = msgspec.structs.replace(_masked(otlp), endpoint=_passwordless(otlp.endpoint))
    if write is not None:
        write = msgspec.structs.replace(_masked(write), url=_passwordless(write.url))
    return outputs.Output(otlp=otlp, remote_write=write)


def _masked(section: _Section) -> _Section:
    auth = section.auth
    basic, oauth2 = auth.basic, auth.oauth2
    if basic is not None:
        basic = msgspec.structs.replace(basic, password=MASK)
    if oauth2 is not None:
        params = dict.fromkeys(oauth2.params, MASK)
        oauth2 = msgspec.structs.replace(oauth2, client_secret=MASK, params=params)
    # Which of the ways is used is no secret: from none to one is a change like any other.
    token = MASK if auth.bearer_token else ""
    return msgspec.structs.replace(
        section,
        headers=dict.fromkeys(section.headers, MASK),
        auth=outputs.Auth(basic=basic, bearer_token=token, oauth2=oauth2),
    )


def _passwordless(url: str) -> str:
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    return urlunsplit(parts._replace(netloc=f"{name}{colon}{at}{host}"))
