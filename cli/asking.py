"""Asks a running program for one of its pages, within limits, and says in words why it cannot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import click

from common.config import shared

MAX_BYTES: Final = 64 << 20  # of a page: 1,000 targets have 2 MB, 10,000 candidates more


class NoPage(Exception):
    """The page cannot be had; why, in words."""


def address(url: str, path: str) -> str:
    """Return where the page *path* is: *url* is that of the admin address, or of the page itself.

    Raises :class:`click.BadParameter` for what is no URL.
    """
    for _, words in shared.url("url", url):
        raise click.BadParameter(words)
    parts = urlsplit(url)
    where = parts.path.rstrip("/")
    if not where.endswith(path):
        where += path
    return urlunsplit(parts._replace(path=where, fragment=""))


async def fetch(
    url: str,
    timeout: float,  # noqa: ASYNC109 - it bounds the whole request
    params: Mapping[str, str] | None = None,
    *,
    statuses: frozenset[int] = frozenset({200}),
) -> bytes:
    """Return the page at *url*; raises `NoPage` for whatever comes in between."""
    patience = aiohttp.ClientTimeout(total=timeout)
    try:
        async with (
            aiohttp.ClientSession(timeout=patience) as session,
            session.get(url, params=params, allow_redirects=False) as response,
        ):
            if response.status not in statuses:
                words = f"answers {response.status} {response.reason}; is it the admin address?"
                raise NoPage(words)
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MAX_BYTES:
                    raise NoPage(f"sends more than {MAX_BYTES} bytes; is it the admin address?")
            return bytes(body)
    except TimeoutError as error:
        raise NoPage(f"does not answer within {timeout:g} s; see --timeout") from error
    except aiohttp.ClientConnectorError as error:
        raise NoPage(f"cannot be asked: {_of_system(error.os_error)}") from error
    except aiohttp.ClientError as error:
        raise NoPage(f"cannot be asked: {error}") from error


def _of_system(error: OSError) -> str:
    """Say "connection refused", not "Connect call failed ('10.0.0.1', 443)"."""
    if error.errno is not None and error.errno > 0:  # the resolver's own are negative
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()


def named(url: str) -> str:
    """Return *url* without a name and a password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
