"""MLflow's allowed hosts and origins, which follow from the server's public URLs.

Browsers send ``Origin`` with every POST, and MLflow does not know its own origin (MLflow 3.17.2,
``mlflow.server.security_utils``). MLflow reads both variables when a worker builds the app.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from workspace_authz.aio.asgi import Scope
from workspace_authz.errors import ConfigurationError
from workspace_authz.settings.variables import listed

HOSTS: Final = "MLFLOW_SERVER_ALLOWED_HOSTS"
ORIGINS: Final = "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"

LOOPBACK_HOSTS: Final = (
    *("localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*"),
    *("[::1]", "[[]::1]:*"),  # MLflow matches an entry with an asterisk by fnmatch
)
"""Host headers of a port-forward and of the machine itself."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """One URL of the server, as browsers write its parts."""

    origin: str
    hosts: Sequence[str]
    """Values of the Host header: a proxy may leave the port out, and a client may write the default one."""


def public_urls(setting: str | None) -> Sequence[PublicUrl]:
    """The URLs of the setting ``public_url``. Raises :class:`ConfigurationError` for an unusable one."""
    return [_public_url(each) for each in listed(setting)]


def origin_of(scope: Scope, urls: Sequence[PublicUrl]) -> str:
    """The public URL by which a browser came; the first one where it came by none of them."""
    host = next((value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"), "")
    return next((url.origin for url in urls if host in url.hosts), urls[0].origin)


def allow_public_urls(setting: str | None, environ: MutableMapping[str, str]) -> None:
    """Add the URLs' hosts and origins to MLflow's variables. What is set there by hand is kept.

    Without a list of hosts set by hand, MLflow then answers to the URLs and to the loopback addresses only.
    Raises :class:`ConfigurationError` for a URL that cannot be used.
    """
    urls = public_urls(setting)
    if not urls:
        return
    hosts = [host for url in urls for host in url.hosts]
    environ[HOSTS] = _merged(environ.get(HOSTS) or ",".join(LOOPBACK_HOSTS), hosts)
    environ[ORIGINS] = _merged(environ.get(ORIGINS, ""), (url.origin for url in urls))


def _merged(given: str, more: Iterable[str]) -> str:
    entries = listed(given)
    return ",".join(entries if "*" in entries else dict.fromkeys([*entries, *more]))


def _public_url(text: str) -> PublicUrl:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigurationError(_unusable(text)) from None
    host = _host(parts)
    if parts.scheme not in _DEFAULT_PORTS or parts.query or parts.fragment or not _HOST.fullmatch(host):
        raise ConfigurationError(_unusable(text))
    default = _DEFAULT_PORTS[parts.scheme]
    with_port = f"{host}:{port or default}"
    origin = f"{parts.scheme}://{host if port in (None, default) else with_port}"
    return PublicUrl(origin, (host, with_port))


def _host(parts: SplitResult) -> str:
    """In lower case, an IPv6 address in brackets; user info stays in it, so that it is refused."""
    text = parts.netloc.lower()
    return re.sub(r":[0-9]*\Z", "", text)


def _unusable(text: str) -> str:
    return (
        f'WORKSPACE_AUTHZ_PUBLIC_URL has "{text}", which is no URL of a server: '
        "write http:// or https://, one host name without wildcards, and its port unless it is the default."
    )
