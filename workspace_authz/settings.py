"""Every setting, read from the environment once at start.

Each has the name ``WORKSPACE_AUTHZ_<FIELD>``; where Red Hat's and Kubeflow's plugin has a setting of the
same meaning, its name works too, so that a deployment swaps the image and keeps its configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from workspace_authz.errors import ConfigurationError

_PREFIX = "WORKSPACE_AUTHZ_"

FORGETFUL_CACHES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MLFLOW_WEBHOOK_CACHE_TTL": (
            "MLflow's cache of webhooks forgets the workspace, so that one "
            "workspace's webhooks would receive another's events"
        ),
        "MLFLOW_GATEWAY_BUDGET_REFRESH_INTERVAL": (
            "MLflow's memory of budgets holds those of one workspace, whoever asked last, so that another's "
            "limits would not be kept"
        ),
    }
)
"""By MLflow's own environment variables: the seconds for which it remembers something without its workspace
(``webhooks.delivery._webhook_cache``, ``gateway.budget.maybe_refresh_budget_policies``), and what is wrong
with that. MLflow reads them each time."""


def _names(field: str, plugin: str) -> AliasChoices:
    return AliasChoices(_PREFIX + field.upper(), plugin)


class Settings(BaseSettings):
    """The settings of one server. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    kubeconfig: str | None = Field(
        default=None,
        description="A kubeconfig file for the server itself; unset: KUBECONFIG, else the pod's own account.",
    )
    authorization_mode: Literal["self_subject_access_review", "subject_access_review"] = Field(
        default="self_subject_access_review",
        validation_alias=_names("authorization_mode", "MLFLOW_K8S_AUTH_AUTHORIZATION_MODE"),
        description="Only self_subject_access_review is built in this release.",
    )
    allow_seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        validation_alias=_names("allow_seconds", "MLFLOW_K8S_AUTH_CACHE_TTL_SECONDS"),
        description="Seconds for which a yes of the API server is cached while changes of RBAC cannot be "
        "followed.",
    )
    deny_seconds: float = Field(
        default=5.0, gt=0, le=3600, description="Seconds for which a no is cached in that case."
    )
    watched_seconds: float = Field(
        default=60.0,
        gt=0,
        le=60,
        description="Seconds for which a decision is cached while changes of RBAC are followed. A change "
        "that can touch it ends it at once.",
    )
    settling_seconds: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="Seconds after a change in which decisions that it can touch are cached for 100 ms only: "
        "the API server's own authorizers may learn of the change later than this server.",
    )
    workspace_candidates: Literal["rbac", "all"] = Field(
        default="rbac",
        description="Where a caller's workspaces are looked for. `rbac`: where roles and bindings name the "
        "caller. `all`: in every namespace, for clusters where an authorizer beside RBAC allows requests. No "
        "watch reports the changes of such an authorizer, so with `all` decisions are cached for "
        "allow_seconds and deny_seconds.",
    )
    identity_seconds: float = Field(
        default=15.0, gt=0, le=300, description="Seconds for which the owner of a token is cached."
    )
    rejections_per_second: float = Field(
        default=10.0,
        gt=0,
        le=10_000,
        description="How many new tokens of one client address the API server may reject in a second, or ten "
        "times as many at once. Beyond that, other new tokens from this address are answered with 429.",
    )
    username_claim: str | None = Field(
        default=None,
        validation_alias=_names("username_claim", "MLFLOW_K8S_AUTH_USERNAME_CLAIM"),
        description="Has no effect: the API server names the user. Accepted from the plugin's configuration.",
    )
    remote_user_header: str | None = Field(
        default=None,
        validation_alias=_names("remote_user_header", "MLFLOW_K8S_AUTH_REMOTE_USER_HEADER"),
        description="Not supported in this release: identity headers come later. Setting it stops the start.",
    )
    remote_groups_header: str | None = Field(
        default=None,
        validation_alias=_names("remote_groups_header", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_HEADER"),
        description="Not supported in this release, as remote_user_header.",
    )
    remote_groups_separator: str | None = Field(
        default=None,
        validation_alias=_names("remote_groups_separator", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_SEPARATOR"),
        description="Not supported in this release, as remote_user_header.",
    )
    workspaces_enabled: bool | None = Field(
        default=None,
        validation_alias=_names("workspaces_enabled", "MLFLOW_K8S_AUTH_WORKSPACES_ENABLED"),
        description="Must agree with MLflow's --enable-workspaces; unset follows it.",
    )
    namespace: str | None = Field(
        default=None,
        validation_alias=_names("namespace", "MLFLOW_K8S_AUTH_NAMESPACE"),
        description="Without workspaces: the one namespace in which every request is judged.",
    )
    workspace_label_selector: str | None = Field(
        default=None,
        validation_alias=_names("workspace_label_selector", "MLFLOW_K8S_WORKSPACE_LABEL_SELECTOR"),
        description="Only namespaces with these labels are workspaces.",
    )
    default_workspace: str | None = Field(
        default=None,
        validation_alias=_names("default_workspace", "MLFLOW_K8S_DEFAULT_WORKSPACE"),
        description="The workspace of requests that name none.",
    )
    namespace_exclude_globs: str | None = Field(
        default=None,
        validation_alias=_names("namespace_exclude_globs", "MLFLOW_K8S_NAMESPACE_EXCLUDE_GLOBS"),
        description="Comma-separated patterns of namespaces that are no workspaces.",
    )
    service_account_workspace: bool = Field(
        default=False, description="A service account's own namespace is its default workspace."
    )
    strict: bool = Field(default=False, description="A route of MLflow without a rule stops the start.")
    assistant: bool = Field(default=False, description="Serve MLflow's assistant to holders of `assistants`.")
    api_timeout_seconds: float = Field(
        default=4.0, gt=0, le=9, description="The longest that one review may take, in seconds."
    )
    api_connections: int = Field(
        default=64,
        ge=2,
        le=1024,
        description="Reviews per worker that are asked at once; a quarter is for tokens not seen before.",
    )
    body_bytes: int = Field(
        default=4 * 2**20,
        ge=1024,
        description="The largest request body, in bytes, that is searched for the names of objects.",
    )
    audit_sink: str = Field(
        default="stderr", description="`stderr`, `stdout`, `off`, or the path of a file for audit records."
    )
    audit_max_bytes: int = Field(
        default=100 * 2**20, ge=0, description="Bytes at which an audit file is rotated once; 0 never."
    )
    audit_queue: int = Field(
        default=10_000, ge=1, description="Records that may wait for the sink; more are dropped and counted."
    )


def load_settings(**overrides: Any) -> Settings:
    """Read the environment. Raises :class:`ConfigurationError` naming the variable that is wrong."""
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"The setting {first['loc'][0]} is not usable: {first['msg']}.") from error
    _refuse_what_is_not_built(settings)
    return settings


def _refuse_what_is_not_built(settings: Settings) -> None:
    if settings.authorization_mode != "self_subject_access_review":
        raise ConfigurationError(
            "The authorization mode subject_access_review is not built in this release: "
            "set MLFLOW_K8S_AUTH_AUTHORIZATION_MODE=self_subject_access_review."
        )
    for field in ("remote_user_header", "remote_groups_header", "remote_groups_separator"):
        if getattr(settings, field) is not None:
            raise ConfigurationError(
                f"MLFLOW_K8S_AUTH_{field.upper()} is set, but this release has no identity headers: "
                "unset it and let callers send tokens."
            )


def refuse_forgetful_caches(environ: Mapping[str, str]) -> None:
    """Raise :class:`ConfigurationError` unless these caches are off, or left to us to switch off."""
    for variable, reason in FORGETFUL_CACHES.items():
        if environ.get(variable, "0").strip() != "0":
            raise ConfigurationError(f"{variable} must be 0: {reason}. Unset it.")


def resolve_single_namespace(settings: Settings, *, mlflow_workspaces: bool) -> str | None:
    """The one namespace of a server without workspaces, or None with workspaces.

    Raises :class:`ConfigurationError` when the settings contradict each other or MLflow's own.
    """
    if settings.workspaces_enabled is not None and settings.workspaces_enabled != mlflow_workspaces:
        raise ConfigurationError(
            "MLFLOW_K8S_AUTH_WORKSPACES_ENABLED and MLflow's --enable-workspaces disagree; set both alike."
        )
    if mlflow_workspaces:
        if settings.namespace:
            raise ConfigurationError(
                "MLFLOW_K8S_AUTH_NAMESPACE is for a server without workspaces; "
                "unset it, or start without --enable-workspaces."
            )
        return None
    if not settings.namespace:
        raise ConfigurationError(
            "Workspaces are off, so one namespace must be given: set MLFLOW_K8S_AUTH_NAMESPACE, "
            "or start with --enable-workspaces --workspace-store-uri kubernetes://."
        )
    return settings.namespace


__all__ = [
    "FORGETFUL_CACHES",
    "Settings",
    "load_settings",
    "refuse_forgetful_caches",
    "resolve_single_namespace",
]
