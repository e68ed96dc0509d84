"""What ``prometheus.io`` annotations of Pods and Services ask for, read strictly, said in words.

Source: the convention of Prometheus' example configurations, widened by what users ask for: several
ports, ports by name, one container, an interval, a timeout and a way with errors of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, cast, final

from agent import urls
from common.kube import objects

PREFIX: Final = "prometheus.io/"
MAX_PORTS: Final = 64  # of one pod; more is a mistake, or an attack on the node's agent
MAX_URL_BYTES: Final = 2048  # path and query; servers commonly refuse more than 8 KiB of headers
MAX_NOTES_BYTES: Final = 4096  # of all annotations of one object that begin with our prefix
Scheme = Literal["http", "https"]

_YES = frozenset({"true", "yes", "on", "1"})  # only "true" is obeyed, the others are mistakes
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", re.ASCII)
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))+|\d{1,9}(?:\.\d{1,9})?", re.ASCII)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """The ``prometheus.io`` annotations of one object, without the prefix.

    ``excess`` is how many characters they have when these are more than `MAX_NOTES_BYTES`, and 0
    otherwise; then only what fits a line of ``scrape`` is kept.
    """

    values: Mapping[str, str]
    excess: int = 0

    def get(self, name: str) -> str | None:
        """Return the annotation *name*, stripped; ``None`` if absent."""
        value = self.values.get(name)
        return None if value is None else value.strip()

    @property
    def asking(self) -> bool:
        """Whether somebody wants a scrape, and be it in words that Prometheus does not take."""
        return (self.get("scrape") or "").lower() in _YES


NOTHING: Final = Notes(values={})


def kept(annotations: Mapping[str, str] | None) -> Notes:
    """Keep of *annotations* what is ours, and no more than has a meaning."""
    values = {
        key.removeprefix(PREFIX): value
        for key, value in (annotations or {}).items()
        if key.startswith(PREFIX)
    }
    if not values:
        return NOTHING
    size = sum(len(key) + len(value) for key, value in values.items())
    if size <= MAX_NOTES_BYTES:
        return Notes(values=values)
    scrape = {key: value[:64] for key, value in values.items() if key == "scrape"}
    return Notes(values=scrape, excess=size)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port to scrape; ``container`` is the one container that declares it, or ""."""

    number: int
    container: str


def show(text: str) -> str:
    """Quote *text* for a message, cut to 60 characters."""
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


def ports(
    asked: str | None, containers: Iterable[objects.Container], *, only: str = ""
) -> tuple[list[Port], list[str]]:
    """Return the ports that *asked* (the port annotation) names, and what is wrong with the others.

    Numbers and names of declared ports, separated by commas; without an annotation every declared
    TCP port of *containers*. Order is kept, each number comes once; at most `MAX_PORTS` of what is
    named are looked at. *only* is the one container that is meant (the container annotation): its
    own are the names, and the numbers that no other declares.
    """
    containers = tuple(containers)
    others: dict[int, str] = {}
    if only:
        others = {
            port.container_port: container.name
            for container in sorted(containers, key=lambda each: each.name == only)
            for port in container.ports or ()
        }
        names_of = [container.name for container in containers]
        containers = tuple(container for container in containers if container.name == only)
        if not containers:
            known = ", ".join(names_of) or "none"
            return [], [f"container annotation {show(only)} names none (containers: {known})"]
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
            whose = f"container {only} declares no" if only else "no container declares a"
            wrong.append(f"annotation prometheus.io/port is absent and {whose} TCP port")
    else:
        named, wrong, many = numbered(asked, names)
        numbers = dict.fromkeys(named)
    if many > MAX_PORTS:
        wrong.append(f"{many} ports, the limit is {MAX_PORTS}; the first ones are scraped")
    found = []
    for number in list(numbers)[:MAX_PORTS]:
        owner = only or _owner(number, declared)
        if others.get(number, owner) == owner:
            found.append(Port(number=number, container=owner))
        else:
            wrong.append(f"port {number} is of container {others[number]}, not of {only}")
    return found, wrong


def numbered(asked: str, names: Mapping[str, int]) -> tuple[list[int], list[str], int]:
    """Return the numbers that *asked* lists, what is wrong with the others, and how many there are.

    *names* has the numbers of ports by name; at most `MAX_PORTS` of what is named are looked at.
    """
    numbers: list[int] = []
    wrong: list[str] = []
    parts = dict.fromkeys(part.strip() for part in asked.split(","))
    for part in islice(parts, MAX_PORTS):
        found = _port(part, names)
        if isinstance(found, int):
            numbers.append(found)
        else:
            wrong.append(found)
    return numbers, wrong, len(parts)


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


def owner_of(number: int, containers: Iterable[objects.Container]) -> str:
    """Return the one container that declares port *number*, or "" if none or several do."""
    declared = [("", p.container_port, c.name) for c in containers for p in c.ports or ()]
    return _owner(number, declared)


def request_target(path: str | None, notes: Mapping[str, str]) -> str:
    """Return path and query, "/metrics" by default, safe to stand in a request line.

    ``param_<name>`` among *notes* become query parameters behind those that the path itself brings.
    """
    parameters = sorted(
        (key.removeprefix("param_"), value)
        for key, value in notes.items()
        if key.startswith("param_") and len(key) > len("param_")
    )
    return urls.request_target(path, parameters)


def seconds(text: str) -> float | None:
    """Read "30s", "1m30s", "500ms" or a bare number of seconds; ``None`` for anything else."""
    if not _DURATION.fullmatch(text):
        return None
    parts = cast("list[tuple[str, str]]", _PART.findall(text))
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else float(text)
