"""Who sent something: addresses as text, and whose word about them is believed.

The doors call it at these places, *networks* being made once, when they open:

* ``canonical``: for every new connection, on what the socket says (`listening` does that, and
  passes the result to the door's factory of protocols);
* ``trusted``: for every new connection where PROXY headers are understood (`listening` again);
* ``forwarded``: for every request, where ``listen.proxies.forwarded_for`` is set: the HTTP door
  with the values of ``X-Forwarded-For``, the gRPC doors with those of ``x-forwarded-for`` in the
  metadata. The result is the peer for admission and for enrichment.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks: TypeAlias = tuple[Network, ...]
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_TEXT: Final = 64  # characters an address with a port may have; the longest has 47
MAX_HOPS: Final = 32  # balancers in a row whose word is taken


def networks(trusted: Iterable[str]) -> Networks:
    """Parse *trusted* addresses and networks, already checked with the settings."""
    return tuple(ipaddress.ip_network(text) for text in trusted)


def canonical(text: str) -> str | None:
    """Return an address as everybody writes it; ``None`` for what is none.

    IPv4 within IPv6 is IPv4, since a socket for both sees it so; a zone says nothing elsewhere.
    """
    found = _address(text)
    return None if found is None else str(found)


def trusted(address: str | None, networks: Networks) -> bool:
    """Say whether *address* is in one of *networks*."""
    found = None if address is None else _address(address)
    return found is not None and _within(found, networks)


def forwarded(values: Iterable[str], direct: str | None, networks: Networks) -> str | None:
    """Return the client's address behind balancers that are believed.

    *values* are those of the X-Forwarded-For headers in their order, *direct* is the address that
    connected. Each balancer appends whom it was called by, so the list is read from the right: past
    hops that are trusted, to the first that is not. What stands left of that is hearsay. If all are
    trusted the leftmost is the client. A word that is no address makes the list worthless: then
    *direct* is the client, as it is when it is not trusted itself.
    """
    if not networks or not trusted(direct, networks):
        return direct
    client, left = direct, MAX_HOPS
    for value in reversed(tuple(values)):
        for hop in reversed(value.rsplit(",", MAX_HOPS)):
            found = _address(_without_port(hop.strip()))
            left -= 1
            if found is None or left < 0:
                return direct
            client = str(found)
            if not _within(found, networks):
                return client
    return client


def _without_port(hop: str) -> str:
    # Some balancers write address:port and [address]:port.
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _address(text: str) -> _Address | None:
    return _parsed(text) if len(text) <= MAX_TEXT else None  # what is cached has to be small


@lru_cache(maxsize=4096)  # clients and balancers are few, and parsing costs 2 µs
def _parsed(text: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.version == 6 and found.ipv4_mapped) or found


def _within(address: _Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
