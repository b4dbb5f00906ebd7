"""Settings about identity headers of a proxy."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from workspace_authz.settings.variables import names


class ProxyHeaderSettings(BaseSettings):
    """How a proxy in front of the server names the caller."""

    remote_user_header: str | None = Field(
        default=None,
        validation_alias=names("remote_user_header", "MLFLOW_K8S_AUTH_REMOTE_USER_HEADER"),
        description="Not supported in this release: the server does not start when it is set.",
    )
    remote_groups_header: str | None = Field(
        default=None,
        validation_alias=names("remote_groups_header", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_HEADER"),
        description="Not supported in this release, as remote_user_header.",
    )
    remote_groups_separator: str | None = Field(
        default=None,
        validation_alias=names("remote_groups_separator", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_SEPARATOR"),
        description="Not supported in this release, as remote_user_header.",
    )
