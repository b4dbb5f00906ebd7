"""Settings of ``workspace-authz serve``, which answers proxies in front of an MLflow of its own."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import BaseSettings

from workspace_authz.errors import ConfigurationError


class ForwardAuthSettings(BaseSettings):
    """Where MLflow is, who may ask, and what may pass."""

    mlflow_url: str | None = Field(
        default=None,
        description="Of `workspace-authz serve` ([how](forward-auth.md)): the URL at which it reaches MLflow "
        "without the proxy, with MLflow's static prefix, as `http://mlflow.mlflow.svc:5000`.",
    )
    mlflow_token_file: str | None = Field(
        default=None,
        description="Of `workspace-authz serve`: a file with a bearer token that it sends to MLflow. Read "
        "again for each look-up. None unless set.",
    )
    mlflow_artifact_root: str | None = Field(
        default=None,
        description="Of `workspace-authz serve`: the value of MLflow's `--default-artifact-root`, where it "
        "has one.",
    )
    forward_auth_secret_file: str | None = Field(
        default=None,
        description="Of `workspace-authz serve`: a file with the secret that a proxy sends in "
        "`X-Workspace-Authz-Secret`, one to a line, so that an old one may hold beside a new one. Read again "
        "every second.",
    )
    forward_auth_addresses: str | None = Field(
        default=None,
        description="Of `workspace-authz serve`: comma-separated addresses or networks of proxies, as "
        "`10.0.0.7` or `10.1.0.0/16`, that need no secret.",
    )
    forward_auth_stamps: Literal["demanded", "omitted"] = Field(
        default="demanded",
        description="Of `workspace-authz serve`: what becomes of a request in which MLflow records a person. "
        "`demanded`: it is refused unless it names the caller already. `omitted`: it passes, and MLflow "
        "records whom the client names.",
    )

    @property
    def mlflow_origin(self) -> tuple[str, str]:
        """The URL of MLflow without its path, and the path, which is the static prefix.

        Raises :class:`ConfigurationError`.
        """
        url = urlsplit((self.mlflow_url or "").rstrip("/"))
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.username:
            raise ConfigurationError(
                "WORKSPACE_AUTHZ_MLFLOW_URL must be the URL at which this server reaches MLflow, for example "
                "http://mlflow.mlflow.svc:5000."
            )
        return f"{url.scheme}://{url.netloc}", url.path

    @property
    def forward_auth_networks(self) -> Sequence[IPv4Network | IPv6Network]:
        """The networks in ``forward_auth_addresses``. Raises :class:`ConfigurationError`."""
        given = filter(None, map(str.strip, (self.forward_auth_addresses or "").split(",")))
        try:
            return tuple(map(ip_network, given))
        except ValueError as error:
            raise ConfigurationError(
                f"WORKSPACE_AUTHZ_FORWARD_AUTH_ADDRESSES holds what is no address or network: {error}."
            ) from error
