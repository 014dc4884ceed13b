"""Which URLs a webhook may call, and a connection that goes nowhere else.

Follows MLflow (`mlflow.utils.validation._validate_webhook_url`, `mlflow.webhooks.ssrf`): https only and public
addresses only, unless the server is told otherwise, so that nobody reaches what only the server can reach. The address
that was checked is the one that is connected to: a name that answers otherwise a moment later changes nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mltrail_core.errors import Invalid

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ALSO_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10", "192.0.0.0/24")
)
"""What Python calls global, or does in some versions, and is not: other forms of IPv4 in IPv6, a translator's own
prefix (RFC 8215), and what was set aside for protocols."""
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Place = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""What `socket.connect` takes."""


@dataclass(frozen=True, slots=True)
class TargetRules:
    """What the server's settings allow: which schemes, and whether addresses of private networks and of itself."""

    schemes: tuple[str, ...] = ("https",)
    allows_private: bool = False


class NoAddress(Exception):
    """The name of the URL's host can't be resolved now."""


def parse_target(url: str, rules: TargetRules) -> SplitResult:
    """Return the parts of a URL that a webhook may call, as far as can be said without resolving its host.

    Raises:
        Invalid: it is none; the message says why.
    """
    if not url.strip():
        raise Invalid(f"Webhook URL cannot be empty or just whitespace: {url[:300]!r}")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises when it is no number of a port
    except ValueError as error:
        raise Invalid(f"Invalid webhook URL {url[:300]!r}: {error}") from error
    if parts.scheme not in rules.schemes or parts.scheme not in _PORTS:
        allowed = ", ".join(rules.schemes)
        raise Invalid(f"Invalid webhook URL scheme: {parts.scheme[:100]!r}. Allowed schemes are: {allowed}.")
    if not parts.hostname:
        raise Invalid(f"Webhook URL must include a hostname: {url[:300]!r}")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise Invalid(f"Invalid webhook URL {url[:300]!r}: it holds a space or a control character")
    return parts


def refuse_target(url: str, rules: TargetRules) -> None:
    """Return when a webhook may call the URL now; resolves its host, which may take seconds.

    Raises:
        Invalid: it may not, or its host has no address; the message says why.
    """
    parts = parse_target(url, rules)
    if rules.allows_private:
        return
    try:
        for _ in _addresses(parts, rules):
            pass
    except NoAddress as error:
        raise Invalid(str(error)) from error


def connect(parts: SplitResult, rules: TargetRules, timeout_s: float) -> http.client.HTTPConnection:
    """Return an open connection to the host of a target, over TLS for https; the first address that answers is taken,
    and `timeout_s` is for all of them together.

    Raises:
        Invalid: the host's name leads to an address that the rules do not allow.
        NoAddress: the name can't be resolved.
        OSError: nobody answers, or the certificate is not the host's.
    """
    assert parts.hostname is not None
    refused: OSError = TimeoutError(f"{parts.hostname} was not reached within {timeout_s:g} s")
    deadline = time.monotonic() + timeout_s
    for family, address in _addresses(parts, rules):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        raw = socket.socket(family, socket.SOCK_STREAM)
        try:
            raw.settimeout(left_s)
            raw.connect(address)
            return _over(raw, parts, timeout_s)
        except OSError as error:
            raw.close()
            refused = error
    raise refused


def is_public(address: _Address) -> bool:
    """Return whether everybody can reach an address; IPv6 addresses that carry one of IPv4 count as that one."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if carried is None and address in _NAT64:
            carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if carried is not None:
            return carried.is_global
    is_set_aside = any(address in network for network in _ALSO_NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not is_set_aside


def _over(raw: socket.socket, parts: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        plain = http.client.HTTPConnection(host, port, timeout=timeout_s)
        plain.sock = raw
        return plain
    context = ssl.create_default_context()
    secure = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    secure.sock = context.wrap_socket(raw, server_hostname=host)
    return secure


def _addresses(parts: SplitResult, rules: TargetRules) -> Iterator[tuple[socket.AddressFamily, _Place]]:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoAddress(f"Cannot resolve Webhook URL hostname {host[:300]!r}: {error}") from error
    for family, _, _, _, place in found:
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if not rules.allows_private and not is_public(address):
            raise Invalid(
                f"Webhook URL must not resolve to a non-public IP address. {host[:300]!r} resolves to {address}."
            )
        yield family, place
