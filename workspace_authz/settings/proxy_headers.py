"""Settings about identity headers of a proxy, and about how the proxy proves that it is the one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Any, Final

from pydantic import Field
from pydantic_settings import BaseSettings

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings.variables import PREFIX, listed, names

_PROOFS: Final = ("proxy_secret_file", "proxy_service_accounts", "proxy_addresses")

ADDRESSES_REPLACED: Final = (
    "WORKSPACE_AUTHZ_PROXY_ADDRESSES is set, but uvicorn replaces the address of a proxy by what "
    "X-Forwarded-For says: start with --uvicorn-opts=--no-proxy-headers."
)

NO_PROXY: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "authorization_mode": "self_subject_access_review",
        "remote_user_header": None,
        "remote_groups_header": None,
        "remote_groups_separator": None,
        **dict.fromkeys(_PROOFS),
    }
)
"""Overrides for a process that no proxy stands before, whatever the environment says."""

_HEADER: Final = re.compile(r"[a-z0-9!#$%&'*+.^`|~-]+")
"""RFC 9110, 5.6.2, in lower case, but without the underscore, for which WSGI reads a hyphen."""

_TAKEN: Final = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "authorization", "connection", "content-length"),
        *("content-type", "cookie", "forwarded", "host", "origin", "referer", "transfer-encoding", "upgrade"),
        *("user-agent", "x-forwarded-access-token", "x-mlflow-authorization", "x-mlflow-workspace"),
        *("x-api-key", "x-goog-api-key", "api-key", "x-forwarded-for", "x-forwarded-proto"),
    }
)
"""Headers that mean something else."""


class ProxyHeaderSettings(BaseSettings):
    """How a proxy in front of the server names the caller, and how it proves that it may."""

    remote_user_header: str | None = Field(
        default=None,
        validation_alias=names("remote_user_header", "MLFLOW_K8S_AUTH_REMOTE_USER_HEADER"),
        description="The header in which a proxy names the user ([how](identities.md#identity-headers)). "
        "It is believed only from a sender who proves to be the proxy, by one of `proxy_secret_file`, "
        "`proxy_service_accounts` and `proxy_addresses`. Default: `x-remote-user`.",
    )
    remote_groups_header: str | None = Field(
        default=None,
        validation_alias=names("remote_groups_header", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_HEADER"),
        description="The header in which the proxy names the user's groups. Default: `x-remote-groups`.",
    )
    remote_groups_separator: str | None = Field(
        default=None,
        validation_alias=names("remote_groups_separator", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_SEPARATOR"),
        description="What stands between two groups. Default: a vertical bar, as kube-rbac-proxy has it; "
        "most other proxies send commas.",
    )
    remote_user_prefix: str = Field(
        default="",
        description="Put before the user names of a proxy, as kube-apiserver's `--oidc-username-prefix`.",
    )
    remote_groups_prefix: str = Field(
        default="",
        description="Put before each group of a proxy, as kube-apiserver's `--oidc-groups-prefix`.",
    )
    asserted_system_names: str | None = Field(
        default=None,
        description="Comma-separated users and groups that begin with `system:` and may be asserted "
        "nevertheless, each by its whole name, for example `system:authenticated:oauth`. Not "
        "`system:masters`, and no service accounts.",
    )
    proxy_secret_file: str | None = Field(
        default=None,
        description="A file with the secret that the proxy sends in `proxy_secret_header`, one to a line, so "
        "that an old one may hold beside a new one. Read again every second.",
    )
    proxy_secret_header: str = Field(
        default="x-proxy-secret", description="The header in which the proxy sends its secret."
    )
    proxy_service_accounts: str | None = Field(
        default=None,
        description="Comma-separated service accounts of proxies, as `istio-system/gateway`. Each sends a "
        "token of its own in `proxy_token_header`.",
    )
    proxy_token_header: str = Field(
        default="x-proxy-token", description="The header in which the proxy sends its own token."
    )
    proxy_addresses: str | None = Field(
        default=None,
        description="Comma-separated addresses or networks of proxies, as `10.0.0.7` or `10.1.0.0/16`. Needs "
        "`--uvicorn-opts=--no-proxy-headers`.",
    )

    @property
    def trusts_proxies(self) -> Sequence[str]:
        """The variables by which a proxy can prove who it is; without any, no header names a user."""
        return tuple(PREFIX + field.upper() for field in _PROOFS if getattr(self, field))

    @property
    def identity_headers(self) -> tuple[str, str]:
        """The headers of the user and of the groups, in lower case."""
        user, groups = self.remote_user_header, self.remote_groups_header
        return (user or "x-remote-user").lower(), (groups or "x-remote-groups").lower()

    @property
    def groups_separator(self) -> str:
        """What stands between two groups."""
        return self.remote_groups_separator or "|"

    @property
    def proof_headers(self) -> tuple[str, str]:
        """The headers of the proxy's secret and of its token, in lower case."""
        return self.proxy_secret_header.lower(), self.proxy_token_header.lower()

    @property
    def allowed_system_names(self) -> frozenset[str]:
        """The names in ``asserted_system_names``."""
        return frozenset(listed(self.asserted_system_names))

    @property
    def proxy_accounts(self) -> frozenset[tuple[str, str]]:
        """Namespaces and names of ``proxy_service_accounts``. Raises :class:`ConfigurationError`."""
        return frozenset(map(_account, listed(self.proxy_service_accounts)))

    @property
    def proxy_networks(self) -> Sequence[IPv4Network | IPv6Network]:
        """The networks in ``proxy_addresses``. Raises :class:`ConfigurationError`."""
        return tuple(map(_network, listed(self.proxy_addresses)))


def check_proxy_headers(settings: ProxyHeaderSettings, *, mode: str) -> None:
    """Check what belongs together. ``mode`` is the authorization mode.

    Raises :class:`ConfigurationError` with the setting and the remedy.
    """
    _check_names(settings)
    for name in settings.allowed_system_names:
        if name == "system:masters" or name.startswith("system:serviceaccount"):
            raise ConfigurationError(
                f"WORKSPACE_AUTHZ_ASSERTED_SYSTEM_NAMES must not hold {name}: system:masters is allowed "
                "everything, and a service account proves itself by its token. Leave it out."
            )
    if settings.trusts_proxies:
        _ = settings.proxy_accounts, settings.proxy_networks
        return
    wanted = [field for field in NO_PROXY if field.startswith("remote_") and getattr(settings, field)]
    if mode == "subject_access_review" or wanted:
        why = "AUTHORIZATION_MODE=subject_access_review" if not wanted else wanted[0].upper()
        proofs = ", ".join(PREFIX + field.upper() for field in _PROOFS[:-1])
        raise ConfigurationError(
            f"MLFLOW_K8S_AUTH_{why} is set, but nothing says which proxy may name users: set one of "
            f"{proofs} and {PREFIX}{_PROOFS[-1].upper()}, or callers could name themselves."
        )


def _check_names(settings: ProxyHeaderSettings) -> None:
    headers = (*settings.identity_headers, *settings.proof_headers)
    for name in headers:
        if _HEADER.fullmatch(name) is None or name in _TAKEN:
            raise ConfigurationError(
                f"'{name}' cannot be a header of a proxy: choose a name of its own, with hyphens and without "
                "underscores."
            )
    if len(set(headers)) < len(headers):
        raise ConfigurationError(
            f"The headers of a proxy must be four different ones, and they are {', '.join(headers)}."
        )


def _account(text: str) -> tuple[str, str]:
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise ConfigurationError(
            f"WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS holds '{text}': write namespace/name."
        )
    return namespace, name


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ConfigurationError(
            f"WORKSPACE_AUTHZ_PROXY_ADDRESSES holds what is neither an address nor a network: {error}."
        ) from error
    if network.prefixlen == 0:
        raise ConfigurationError(
            f"WORKSPACE_AUTHZ_PROXY_ADDRESSES holds {text}, which is everybody: name the proxies only."
        )
    return network
