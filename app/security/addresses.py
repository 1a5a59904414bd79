"""The guard of every outgoing URL that a client gave: it must lead to a public address.

A URL is read once, by one parser that refuses what others read differently; its host is
resolved once; every address must be allowed; and the caller dials the address that was
checked, not the name, so that a second look-up cannot answer otherwise.
"""

import re
import socket
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, Self
from urllib.parse import quote

import idna

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_LENGTH = 8192
MAX_HOST_LENGTH = 253
DEFAULT_PORTS = {"http": 80, "https": 443}

URL = re.compile(r"(https?)://([^/?#]+)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE)
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@%]+)(?::([1-9][0-9]{0,4}))?")
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A host that ends in a number is an IPv4 address to URL parsers (url.spec.whatwg.org)
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# What may stand in a path or query as it is (RFC 3986, with [ and ]); `%` because
# percent-encoded parts are kept: a signed URL must arrive byte for byte.
PATH_SAFE = "%/:@!$&'()*+,;=~[]"
QUERY_SAFE = PATH_SAFE + "?"

# Ports where something else than HTTP listens and might obey what we send: the list of
# fetch.spec.whatwg.org ("bad port"), and the usual databases.
# fmt: off
REFUSED_PORTS = frozenset({
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95,
    101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161,
    179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563,
    587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    1433, 3306, 5432, 6379, 11211, 27017,
})
# fmt: on

# Ours rather than `ipaddress.is_global`, which lets several of these through and
# changes with the Python release. Sources: the IANA special-purpose address registries.
REFUSED_IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT; 100.100.100.200: Alibaba metadata
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's host agent
            "169.254.0.0/16",  # link local; 169.254.169.254: metadata of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; 192.0.0.192: Oracle metadata
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)

# Everything outside is special: ::, ::1, IPv4 in IPv6 (::/96, ::ffff:0:0/96), NAT64
# (64:ff9b::/96, 64:ff9b:1::/48), discard (100::/64), SRv6 (5f00::/16), unique local
# (fc00::/7), link local (fe80::/10), site local (fec0::/10), multicast (ff00::/8).
GLOBAL_IPV6 = IPv6Network("2000::/3")
REFUSED_IPV6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID, DRIP
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: carries any IPv4 address
            "2620:4f:8000::/48",  # AS112
            "3ffe::/16",  # 6bone, handed back
            "3fff::/20",  # documentation
        ),
    )
)
# ISATAP carries an IPv4 address below any prefix: bits 64 to 95 are one of these
ISATAP = (0x0000_5EFE, 0x0200_5EFE)

Resolver = Callable[..., Iterable[tuple[Any, ...]]]


class UnsafeUrl(ValueError):
    """A URL that we do not call.

    The text is the same for every refusal, so that it tells a stranger nothing about
    names and addresses in here. `reason` is for the operator's log only.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("the URL must be http(s) and lead to a public address")
        self.reason = reason


@dataclass(frozen=True)
class ParsedUrl:
    """A URL as every part of the gateway reads it.

    `url` is the same URL rebuilt from its parts: ASCII only, without fragment, to be
    sent without being encoded again. `host` is a lower-case name, or an address without
    brackets. `address` is set when the host is one.
    """

    url: str
    scheme: str
    host: str
    port: int
    address: Address | None


@dataclass(frozen=True)
class Target:
    """A URL and the one address to dial for it; `host` goes into `Host` and TLS."""

    url: str
    scheme: str
    host: str
    port: int
    address: str


class Networks(tuple[Network, ...]):
    """The networks that an operator lets through the guard."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Networks such as `10.0.0.0/8, fd00::/8`; ValueError names a wrong part."""
        parts = [part.strip() for part in text.split(",")]
        return cls(_read_network(part) for part in parts if part)


def parse_url(url: str) -> ParsedUrl:
    """The URL in its parts, without asking a resolver; raises UnsafeUrl.

    Refused is what parsers read in different ways, since a difference between two of
    them is a way around the guard: user names, white space, control characters,
    backslashes, zone ids, a dot at the end, IPv4 other than as four decimal numbers.
    """
    if len(url) > MAX_URL_LENGTH:
        raise UnsafeUrl(f"longer than {MAX_URL_LENGTH} characters")
    if any(_is_refused_character(character) for character in url):
        raise UnsafeUrl("white space, a control character or a backslash")
    split = URL.fullmatch(url)
    if split is None:
        raise UnsafeUrl("not http:// or https:// with a host")
    scheme, path, query = split[1].lower(), split[3] or "/", split[4] or ""
    authority = AUTHORITY.fullmatch(split[2])
    if authority is None:
        raise UnsafeUrl("a user name, or a malformed host or port")
    host, address = _read_host(authority[1])
    port = int(authority[2] or DEFAULT_PORTS[scheme])
    if port > 65535 or port in REFUSED_PORTS:
        raise UnsafeUrl(f"port {port}")

    written = f"[{host}]" if isinstance(address, IPv6Address) else host
    if port != DEFAULT_PORTS[scheme]:
        written += f":{port}"
    rest = quote(path, safe=PATH_SAFE) + quote(query, safe=QUERY_SAFE)
    return ParsedUrl(f"{scheme}://{written}{rest}", scheme, host, port, address)


def is_allowed(address: Address, allow: Sequence[Network]) -> bool:
    """Whether the address is public, or in a network that the operator lets through."""
    if any(address in network for network in allow):
        return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_IPV4)
    if address not in GLOBAL_IPV6 or (int(address) >> 32) & 0xFFFF_FFFF in ISATAP:
        return False
    return not any(address in network for network in REFUSED_IPV6)


def check_addresses(
    addresses: Iterable[str | Address], allow: Sequence[Network]
) -> tuple[Address, ...]:
    """The addresses that a name resolved to, in their order; raises UnsafeUrl.

    One that is not allowed refuses them all: a name with a public and a private address
    is an attempt to get in.
    """
    checked = tuple(_read_address(address) for address in addresses)
    if not checked:
        raise UnsafeUrl("the name has no address")
    for address in checked:
        if not is_allowed(address, allow):
            raise UnsafeUrl(f"address {address}")
    return checked


def resolve(
    url: str, allow: Sequence[Network], resolver: Resolver = socket.getaddrinfo
) -> Target:
    """The URL with the address to dial, resolved once; raises UnsafeUrl.

    A name that does not resolve is refused with the same text as any other, since
    whether a name exists in here is nothing to tell a stranger.
    """
    parsed = parse_url(url)
    if parsed.address is not None:
        found: list[str | Address] = [parsed.address]
    else:
        try:
            answers = resolver(parsed.host, parsed.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UnsafeUrl(f"{parsed.host} does not resolve: {error}") from error
        found = [answer[4][0] for answer in answers]
    address = check_addresses(found, allow)[0]
    return Target(parsed.url, parsed.scheme, parsed.host, parsed.port, str(address))


def _is_refused_character(character: str) -> bool:
    # C*: controls, invisible formatting, surrogates, unassigned; Z*: spaces
    return character == "\\" or unicodedata.category(character)[0] in "CZ"


def _read_host(written: str) -> tuple[str, Address | None]:
    if written.startswith("["):
        try:
            address = IPv6Address(written[1:-1])
        except AddressValueError as error:
            raise UnsafeUrl(f"{error}") from error
        return str(address), address

    host = written.lower() if written.isascii() else _to_ascii(written)
    labels = host.split(".")
    if len(host) > MAX_HOST_LENGTH or not all(map(LABEL.fullmatch, labels)):
        raise UnsafeUrl("a malformed host name")
    if NUMBER.fullmatch(labels[-1]) is None:
        return host, None
    try:
        address_v4 = IPv4Address(host)
    except AddressValueError as error:
        raise UnsafeUrl("an IPv4 address in an odd spelling") from error
    if host != written:  # full-width digits, circled ones, other dots
        raise UnsafeUrl("an IPv4 address in an odd spelling")
    return host, address_v4


def _to_ascii(host: str) -> str:
    """The host as DNS knows it (`xn--...`)."""
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise UnsafeUrl("not an internationalized host name") from error


def _read_address(address: str | Address) -> Address:
    if isinstance(address, IPv4Address | IPv6Address):
        return address
    try:
        return ip_address(address)
    except ValueError as error:
        raise UnsafeUrl("the resolver gave something else than an address") from error


def _read_network(part: str) -> Network:
    try:
        return ip_network(part)
    except ValueError as error:
        raise ValueError(
            f"{part!r} is not a network such as 10.0.0.0/8 or fd00::/8 ({error})"
        ) from error
