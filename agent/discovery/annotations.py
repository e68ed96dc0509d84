"""What a pod's ``prometheus.io`` annotations ask for, read strictly and explained in words.

Source: the convention of Prometheus' example configurations, widened by what users ask for: several
ports, ports by name, an interval and a timeout of the pod's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, cast, final
from urllib.parse import quote, urlencode

from common.kube import objects

PREFIX: Final = "prometheus.io/"
MAX_PORTS: Final = 64  # of one pod; more is a mistake, or an attack on the node's agent
MAX_URL_BYTES: Final = 2048  # path and query; servers commonly refuse more than 8 KiB of headers
Scheme = Literal["http", "https"]

_SAFE = "/%:@!$&'()*+,;=~"  # of a path, besides letters, digits, "_", "." and "-" (RFC 3986, 3.3)
_SAFE_QUERY = _SAFE + "?"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", re.ASCII)
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))+|\d{1,9}(?:\.\d{1,9})?", re.ASCII)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port to scrape; ``container`` is the one container that declares it, or ""."""

    number: int
    container: str


def present(annotations: Mapping[str, str], name: str) -> str | None:
    """Return the annotation ``prometheus.io/<name>``, stripped; ``None`` if absent."""
    value = annotations.get(PREFIX + name)
    return None if value is None else value.strip()


def show(text: str) -> str:
    """Quote *text* for a message, cut to 60 characters."""
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


def ports(
    asked: str | None, containers: Iterable[objects.Container]
) -> tuple[list[Port], list[str]]:
    """Return the ports that *asked* (the port annotation) names, and what is wrong with the others.

    Numbers and names of declared ports, separated by commas; without an annotation every declared
    TCP port of the ordinary containers. Order is kept, each number comes once; at most `MAX_PORTS`
    of what is named are looked at.
    """
    declared = [
        (port.name, port.container_port, container.name)
        for container in containers
        for port in container.ports or ()
        if port.protocol in {"TCP", ""}
    ]
    names = {name: number for name, number, _ in reversed(declared) if name}
    wrong: list[str] = []
    numbers: dict[int, None] = {}
    if asked is None:
        numbers = {number: None for _, number, _ in declared}
        many = len(numbers)
        if not numbers:
            wrong.append(
                "annotation prometheus.io/port is absent and no container declares a TCP port"
            )
    else:
        parts = dict.fromkeys(part.strip() for part in asked.split(","))
        many = len(parts)
        for part in islice(parts, MAX_PORTS):
            found = _port(part, names)
            if isinstance(found, int):
                numbers[found] = None
            else:
                wrong.append(found)
    if many > MAX_PORTS:
        wrong.append(f"{many} ports, the limit is {MAX_PORTS}; the first ones are scraped")
    return [Port(number=n, container=_owner(n, declared)) for n in list(numbers)[:MAX_PORTS]], wrong


def _port(part: str, names: Mapping[str, int]) -> int | str:
    """Return the port number that *part* stands for, or what is wrong with it."""
    if part in names:
        return names[part]
    if part.isascii() and part.isdigit():
        if len(part) <= 5 and 1 <= int(part) <= 65535:
            return int(part)
        return f"port annotation {show(part)} is not a port: expected 1 to 65535"
    known = ", ".join(sorted(names)) or "none"
    return (
        f"port annotation {show(part)} is neither a number nor the name of a declared port "
        f"(named ports: {known})"
    )


def _owner(number: int, declared: Iterable[tuple[str, int, str]]) -> str:
    owners = {container for _, port, container in declared if port == number}
    return owners.pop() if len(owners) == 1 else ""


def scheme(asked: str | None) -> Scheme | None:
    """Return the scheme, http without an annotation; ``None`` for anything else than http(s)."""
    chosen = asked or "http"
    return cast("Scheme", chosen) if chosen in {"http", "https"} else None


def request_target(path: str | None, annotations: Mapping[str, str]) -> str:
    """Return path and query, "/metrics" by default, safe to stand in a request line.

    ``prometheus.io/param_<name>`` become query parameters behind those that the path itself brings.
    """
    before, _, after = (path or "/metrics").partition("?")
    before = before if before.startswith("/") else f"/{before}"
    parameters = sorted(
        (key.removeprefix(PREFIX + "param_"), value)
        for key, value in annotations.items()
        if key.startswith(PREFIX + "param_") and len(key) > len(PREFIX + "param_")
    )
    query = "&".join(filter(None, (quote(after, safe=_SAFE_QUERY), urlencode(parameters))))
    target = quote(before, safe=_SAFE)
    return f"{target}?{query}" if query else target


def seconds(text: str) -> float | None:
    """Read "30s", "1m30s", "500ms" or a bare number of seconds; ``None`` for anything else."""
    if not _DURATION.fullmatch(text):
        return None
    parts = cast("list[tuple[str, str]]", _PART.findall(text))
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else float(text)
