"""Which proxy stands before the API server, by the rules of client-go.

A kubeconfig's ``proxy-url`` counts always. Otherwise ``HTTPS_PROXY`` (for an ``http`` URL ``HTTP_PROXY``)
counts, except for what ``NO_PROXY`` lists, as in Go's ``golang.org/x/net/http/httpproxy``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from workspace_authz.errors import ConfigurationError

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS: Final = MappingProxyType({"http": 80, "https": 443})


def proxy_for(url: str, *, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """The URL of the proxy for requests to ``url``, or None where there is none.

    ``configured`` is the kubeconfig's ``proxy-url``. Raises :class:`ConfigurationError` for a proxy that
    cannot be used.
    """
    if configured:
        return _checked(configured, source="The kubeconfig's proxy-url")
    target = urlsplit(url)
    variable = "HTTP_PROXY" if target.scheme == "http" else "HTTPS_PROXY"
    value = _from(environ, variable)
    if not value or not _uses_proxy(target, _from(environ, "NO_PROXY")):
        return None
    # Go takes a value without a scheme for http, too.
    return _checked(value if "://" in value else f"http://{value}", source=variable)


def _from(environ: Mapping[str, str], variable: str) -> str:
    return (environ.get(variable) or environ.get(variable.lower()) or "").strip()


def _checked(value: str, *, source: str) -> str:
    try:
        parsed = urlsplit(value)
        usable = (
            parsed.scheme in _PORTS and bool(parsed.hostname) and (parsed.port is None or parsed.port > 0)
        )
    except ValueError:
        usable = False
    if not usable:
        # Not quoted: it may hold a password.
        raise ConfigurationError(
            f"{source} cannot be used: a proxy for the Kubernetes API server is http://HOST:PORT or "
            "https://HOST:PORT."
        )
    return value


def _uses_proxy(target: SplitResult, no_proxy: str) -> bool:
    host = (target.hostname or "").lower()
    port = target.port or _PORTS.get(target.scheme, 443)
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return False
    entries = [entry.strip().lower() for entry in no_proxy.split(",")]
    return not any(_exempts(entry, host, address=address, port=port) for entry in entries if entry)


def _exempts(entry: str, host: str, *, address: _Address | None, port: int) -> bool:
    """Whether one entry of ``NO_PROXY`` lists the host."""
    if entry == "*":
        return True
    if (network := _network(entry)) is not None:
        return address is not None and address in network
    named = _named(entry)
    if named.port not in ("", str(port)):
        return False
    if (listed := _address(named.host)) is not None:
        return listed == address
    suffix = named.host.removeprefix("*") if named.host.startswith("*.") else named.host
    if suffix.startswith("."):
        return host.endswith(suffix)
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))


@dataclass(frozen=True, slots=True)
class _Named:
    host: str
    port: str


def _named(entry: str) -> _Named:
    """An entry as a host and, where it has one, a port; an IPv6 address with a port is in brackets."""
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        return _Named(host, port.removeprefix(":"))
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return _Named(host, port)
    return _Named(entry, "")


def _address(host: str) -> _Address | None:
    """An IP address; an IPv4 address that is written as IPv6 counts as IPv4, as in Go."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in entry:
        return None
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
