"""Which way a page is asked for: at an address that was looked at, or through the proxy that was configured.

A proxy resolves names itself, so what a name means to it cannot be looked at. It is therefore never asked for
what is private by its form (addresses, names of inner networks) or by what its name means here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

import httpx

from sillar.documents.fetch_rules import FetchRules, is_public
from sillar.errors import DocumentError

_ADDRESSES = 4
"""Of one host that are tried, at most."""
_LOOK_SECONDS = 3.0
"""For what a name means here, where a proxy would resolve it: without a name server of its own a network
may keep one waiting.
"""
_INNER = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa")


@dataclass(frozen=True, slots=True)
class Route:
    """One way: the address that is connected to, or a proxy that connects for us."""

    url: httpx.URL
    proxy: str | None = None


async def routes(url: httpx.URL, rules: FetchRules) -> list[Route]:
    """The ways to a page, in the order in which they are tried.

    Raises DocumentError: the name is not known, or the rules keep one of its addresses from being asked.
    """
    host = url.raw_host.decode("ascii").rstrip(".").lower()
    if not rules.proxy:
        return _direct(url, host, await _addresses(url, host), rules)
    literal = _literal(host)
    if literal is not None:
        return [Route(url, rules.proxy)] if is_public(literal) else _direct(url, host, [literal], rules)
    if _is_inner(host):
        return _direct(url, host, await _addresses(url, host), rules)
    try:
        addresses = await asyncio.wait_for(_addresses(url, host), _LOOK_SECONDS)
    except (DocumentError, TimeoutError):
        return [Route(url, rules.proxy)]  # only the proxy knows names of the world outside
    if all(map(is_public, addresses)):
        return [Route(url, rules.proxy)]
    return _direct(url, host, addresses, rules)


async def _addresses(url: httpx.URL, host: str) -> list[str]:
    """What the host's name means here. Raises DocumentError."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise DocumentError(f"The name {host} is not known.") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _direct(url: httpx.URL, host: str, addresses: list[str], rules: FetchRules) -> list[Route]:
    if not all(map(rules.reaches, addresses)):
        raise DocumentError(f"{host} is an address of a private network or of this machine.", "refused")
    return [Route(url.copy_with(host=address)) for address in addresses[:_ADDRESSES]]


def _literal(host: str) -> str | None:
    """The address, if the host is written as one."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return None


def _is_inner(host: str) -> bool:
    """Whether a name is one of an inner network: without a dot, of a reserved domain, or an address in one of
    its odd spellings (127.1, 0x7f.0.0.1).
    """
    last = host.rpartition(".")[2]
    return "." not in host or last[:1].isdigit() or host.endswith(tuple(f".{name}" for name in _INNER))
