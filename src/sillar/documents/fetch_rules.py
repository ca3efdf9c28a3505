"""What may be fetched from the web: which hosts, at which addresses, how much and how long."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec

import httpx

from sillar.config import WebConfig
from sillar.errors import ConfigError, DocumentError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_URL = 2000
_HOST = re.compile(rb"[A-Za-z0-9._:-]+")
_SOCKS = ("socks5", "socks5h")
"""Both leave the names to the proxy."""
_WRAPS_IPV4 = [
    ipaddress.ip_network(block) for block in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
]
"""Addresses that lead to an IPv4 address inside of them: NAT64, 6to4, Teredo."""


@dataclass(frozen=True, slots=True)
class FetchRules:
    """The operator's word. Without `hosts` nothing is fetched."""

    hosts: frozenset[str] = frozenset()
    """Names, or NAME:PORT where the port is not the scheme's own."""
    networks: tuple[Network, ...] = ()
    """Addresses that may be asked though they are private, or this machine's own."""
    max_bytes: int = 64 << 20
    seconds: float = 60.0
    """For one page, redirects and all."""
    redirects: int = 5
    proxy: str = field(default="", repr=False)
    """Asks for what is public; its address may hold a password."""

    def reaches(self, address: str) -> bool:
        """Whether a host's address may be asked."""
        parsed = _unwrapped(address)
        return is_public(address) or any(parsed in network for network in self.networks)


def make_rules(
    hosts: Iterable[str] = (), networks: Iterable[str] = (), config: WebConfig | None = None
) -> FetchRules:
    """What somebody allows, and the settings beside. Raises ConfigError for what is no host or network."""
    config = config or WebConfig()
    return FetchRules(
        frozenset(_allowed_host(host) for host in [*config.hosts.split(), *hosts]),
        tuple(_network(text) for text in [*config.networks.split(), *networks]),
        config.max_bytes,
        config.seconds,
        proxy=_proxy(config.proxy.strip()),
    )


def canonical(url: str) -> str:
    """The address as it is kept: host in ASCII and small letters, no fragment. Raises ConfigError for what
    is no address of the web.
    """
    return str(_parse(url))


def check(url: str, rules: FetchRules) -> httpx.URL:
    """The address if the rules allow its host. Raises ConfigError."""
    parsed = _parse(url)
    wanted = authority(parsed)
    if wanted not in rules.hosts:
        raise ConfigError(f"{wanted} is not among the hosts that may be fetched from")
    return parsed


def authority(url: httpx.URL) -> str:
    """Host, and port where it is not the scheme's own."""
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    return host if url.port is None else f"{host}:{url.port}"


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet; those that wrap an IPv4 address are not trusted."""
    parsed = _unwrapped(address)
    if isinstance(parsed, ipaddress.IPv6Address) and any(parsed in block for block in _WRAPS_IPV4):
        return False
    return parsed.is_global and not parsed.is_multicast


def _unwrapped(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; an IPv4 address for one that is written as IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        raise DocumentError("Its host has an address of an unknown kind.") from None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _parse(url: str) -> httpx.URL:
    shown = repr(url[:200])
    if len(url) > MAX_URL or not url.isprintable():
        raise ConfigError(f"{shown} is no address: it is too long, or has characters that none has")
    try:
        parsed = httpx.URL(url.strip()).copy_with(fragment=None)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise ConfigError(f"{shown} is no address: {error}") from None
    if parsed.scheme not in ("http", "https") or not _HOST.fullmatch(parsed.raw_host):
        raise ConfigError(f"{shown} is no address of the web: it has to begin with https:// or http://")
    if parsed.userinfo:
        raise ConfigError(f"{host}: names and passwords in addresses are not sent; leave them out")
    return parsed


def _allowed_host(text: str) -> str:
    try:
        url = httpx.URL(f"https://{text.strip()}")
        if url.path == "/" and not url.query and not url.userinfo and _HOST.fullmatch(url.raw_host):
            return authority(url)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        pass
    raise ConfigError(f"{text!r} is no host: write docs.example.com, or docs.example.com:8443")


def _proxy(text: str) -> str:
    """The proxy's address; "" for none. What is wrong with it is told without its password."""
    if not text:
        return ""
    try:
        url = httpx.URL(text)
        if url.scheme in _SOCKS and find_spec("socksio") is None:
            raise ConfigError(
                "web.proxy is a SOCKS proxy: pip install 'sillar[socks]', or name one that speaks HTTP"
            )
        whole = url.scheme in ("http", "https", *_SOCKS) and _HOST.fullmatch(url.raw_host)
        if whole and url.path in ("", "/") and not url.query and not url.fragment:
            return text
    except (httpx.InvalidURL, UnicodeError, ValueError):
        pass
    message = "web.proxy is no proxy such as http://proxy.example:3128 or socks5://proxy.example:1080"
    raise ConfigError(message) from None


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise ConfigError(f"{text!r} is no network, such as 10.20.0.0/16: {error}") from None
