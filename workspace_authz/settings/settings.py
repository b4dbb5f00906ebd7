"""All settings. They are read from the environment once, at start.

The variable of a setting is ``WORKSPACE_AUTHZ_<FIELD>``. If the MLflow plugin of Red Hat and Kubeflow has a
setting with the same meaning, its variable works too. A deployment of that plugin can keep its configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import Field, ValidationError
from pydantic_settings import SettingsConfigDict

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings.forward_auth import ForwardAuthSettings
from workspace_authz.settings.proxy_headers import NO_PROXY, ProxyHeaderSettings, check_proxy_headers
from workspace_authz.settings.sign_in import SignInSettings
from workspace_authz.settings.variables import PREFIX, listed, names

SHARED_CACHES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MLFLOW_WEBHOOK_CACHE_TTL": (
            "MLflow's cache of webhooks does not distinguish workspaces, so one workspace's webhooks would "
            "receive events of another"
        ),
        "MLFLOW_GATEWAY_BUDGET_REFRESH_INTERVAL": (
            "MLflow's cache of budgets holds the budgets of one workspace only, so the limits of another "
            "workspace would not apply"
        ),
    }
)
"""Variables of MLflow that set the lifetime of a cache which does not distinguish workspaces
(``webhooks.delivery._webhook_cache``, ``gateway.budget.maybe_refresh_budget_policies``), and the reason why
the cache must be off. MLflow reads the variables at each use."""


BOUNDED_CALLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MLFLOW_MODEL_CATALOG_URI": "",
        "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "5",
        "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "1",
    }
)
"""Variables of MLflow that bound the time for which its handlers wait for other servers, and our values.

Such a handler holds a thread. With MLflow's own values a webhook's test may take two minutes
(``webhooks.delivery``), and the list of models on a server without Internet 12 minutes (``utils.providers``,
98 files). An operator's own values are kept.
"""


CALLERS_WHO_ASK: Final[Mapping[str, Any]] = MappingProxyType(
    {"audiences": None, "audiences_only": False, "session_keys": None, "sign_in": None, **NO_PROXY}
)
"""Overrides for a process that can ask with callers' tokens only, and with no account of its own."""


class Settings(ProxyHeaderSettings, SignInSettings, ForwardAuthSettings):
    """The settings of one server. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    kubeconfig: str | None = Field(
        default=None,
        description="The kubeconfig file of the server itself. Default: KUBECONFIG, otherwise the pod's "
        "service account.",
    )
    authorization_mode: Literal["self_subject_access_review", "subject_access_review"] = Field(
        default="self_subject_access_review",
        validation_alias=names("authorization_mode", "MLFLOW_K8S_AUTH_AUTHORIZATION_MODE"),
        description="The plugin's setting. With `subject_access_review` a proxy names the callers, so the "
        "server does not start until it is told how to recognize the proxy (`proxy_secret_file`, "
        "`proxy_service_accounts` or `proxy_addresses`). Tokens work beside it, and identity headers work in "
        "either mode.",
    )
    allow_seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        validation_alias=names("allow_seconds", "MLFLOW_K8S_AUTH_CACHE_TTL_SECONDS"),
        description="How long an allowing decision is cached while changes of RBAC are not watched.",
    )
    deny_seconds: float = Field(
        default=5.0,
        gt=0,
        le=3600,
        description="How long a denying decision is cached while changes of RBAC are not watched.",
    )
    watched_seconds: float = Field(
        default=60.0,
        gt=0,
        le=60,
        description="How long a decision is cached while changes of RBAC are watched. A change that can "
        "affect the decision ends this time at once.",
    )
    settling_seconds: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="How long after a change of RBAC the decisions that it can affect are cached for 100 ms "
        "only. The API server's own authorizers may see the change later than this server.",
    )
    workspace_candidates: Literal["rbac", "all"] = Field(
        default="rbac",
        description="Which workspaces are reviewed for a caller's list of workspaces. `rbac`: those in which "
        "RBAC objects name the caller. `all`: every workspace, for clusters with another authorizer beside "
        "RBAC. Changes of such an authorizer cannot be watched, so with `all` decisions are cached for "
        "allow_seconds and deny_seconds.",
    )
    identity_seconds: float = Field(
        default=15.0, gt=0, le=300, description="How long the user of a token is cached."
    )
    rejections_per_second: float = Field(
        default=10.0,
        gt=0,
        le=10_000,
        description="How many new tokens of one client address the API server may reject per second, with a "
        "burst of ten times as many. Beyond that, new tokens from the address are answered 429.",
    )
    audiences: str | None = Field(
        default=None,
        description="Comma-separated audiences of this server, for example `mlflow`. Tokens that were made "
        "for one of them are accepted ([how](clients.md#tokens-for-mlflow-only)); they are worthless against "
        "the Kubernetes API. The server's account then needs the ClusterRole `mlflow-server-reviews`. Must "
        "not hold the API server's own audience. None unless set.",
    )
    audiences_only: bool = Field(
        default=False,
        description="Whether tokens for the audiences in `audiences`, and for no others, are the only ones "
        "that are accepted. Then no token that reaches the server can be used against the Kubernetes API.",
    )
    oauth_proxy: bool = Field(
        default=False,
        description="Whether every request comes through an OAuth proxy that sends a Basic password of its "
        "own (oauth2-proxy's `--basic-auth-password`). Then `Authorization: Basic` beside "
        "`X-Forwarded-Access-Token` is not read. An empty password needs no setting.",
    )
    username_claim: str | None = Field(
        default=None,
        validation_alias=names("username_claim", "MLFLOW_K8S_AUTH_USERNAME_CLAIM"),
        description="Has no effect: the API server determines the username. Kept because the plugin has it.",
    )
    workspaces_enabled: bool | None = Field(
        default=None,
        validation_alias=names("workspaces_enabled", "MLFLOW_K8S_AUTH_WORKSPACES_ENABLED"),
        description="Must agree with MLflow's --enable-workspaces. Default: the value of that flag.",
    )
    namespace: str | None = Field(
        default=None,
        validation_alias=names("namespace", "MLFLOW_K8S_AUTH_NAMESPACE"),
        description="On a server without workspaces: the namespace in which every request is authorized.",
    )
    workspace_label_selector: str | None = Field(
        default=None,
        validation_alias=names("workspace_label_selector", "MLFLOW_K8S_WORKSPACE_LABEL_SELECTOR"),
        description="Only namespaces that match this label selector are workspaces.",
    )
    default_workspace: str | None = Field(
        default=None,
        validation_alias=names("default_workspace", "MLFLOW_K8S_DEFAULT_WORKSPACE"),
        description="The workspace of requests that name no workspace.",
    )
    namespace_exclude_globs: str | None = Field(
        default=None,
        validation_alias=names("namespace_exclude_globs", "MLFLOW_K8S_NAMESPACE_EXCLUDE_GLOBS"),
        description="Comma-separated glob patterns of namespaces that are not workspaces.",
    )
    public_url: str | None = Field(
        default=None,
        description="The URL, or the comma-separated URLs, at which browsers and clients reach the server, "
        "for example `https://mlflow.example.com`. MLflow answers to their host names and accepts their "
        "origins, beside those in its own variables.",
    )
    model_sources: str | None = Field(
        default=None,
        description="Comma-separated prefixes, as `s3://models/shared`, below which models may be registered "
        "that no run logged, by every workspace. The server reads them with its own credentials. The "
        "annotation `mlflow.kubeflow.org/model-sources` of a namespace narrows them. None are allowed unless "
        "set.",
    )
    artifact_buckets: str | None = Field(
        default=None,
        description="Comma-separated buckets in which namespaces may keep the artifacts of their new "
        "experiments, by an [`MLflowConfig`](namespaces.md#an-artifact-root-for-a-namespace); "
        "`team-data=team-a` or `ml-data=ml-*` lets only these namespaces choose it. The server's account "
        "then needs the ClusterRole `mlflow-server-artifact-roots`. Unless set, MLflowConfigs have no effect "
        "and are not looked at.",
    )
    service_account_workspace: bool = Field(
        default=False, description="Whether the default workspace of a service account is its own namespace."
    )
    strict: bool = Field(
        default=False,
        description="Whether the server refuses to start when MLflow has a route without a rule, or lacks a "
        "function that is relied on.",
    )
    assistant: bool = Field(
        default=False,
        description="Whether MLflow's assistant is served, to callers with rights on `assistants`.",
    )
    impersonate_for_grants: bool = Field(
        default=False,
        description="Whether what people grant in the browser is written by the server's own account acting "
        "as them, where they have no token of the cluster: a proxy names them, or a provider that the "
        "cluster does not trust. [Dangerous](permissions.md#people-without-a-token-of-the-cluster): the "
        "account then needs the right to impersonate them.",
    )
    api_timeout_seconds: float = Field(
        default=4.0, gt=0, le=9, description="The longest time that a review may take, including retries."
    )
    api_connections: int = Field(
        default=64,
        ge=2,
        le=1024,
        description="How many reviews a worker sends at the same time. A quarter is reserved for new tokens. "
        "With `audiences` or a proxy's identity headers, as many again with the server's "
        "own account.",
    )
    body_bytes: int = Field(
        default=64 * 2**20,
        ge=1024,
        description="The largest request body that is read: to find the names of objects, or to write the "
        "caller's name. A larger one is answered 400 where it must be read; others stream through.",
    )
    end_users: Literal["kept", "caller"] = Field(
        default="kept",
        description="What is recorded for people whom an application names. `kept`: a trace's end user as it "
        "was sent, and so the human source of an assessment that a service account records. `caller`: the "
        "caller, in both places.",
    )
    request_bytes: int = Field(
        default=256 * 2**20,
        ge=1024,
        description="The largest request body of all, except in uploads of artifacts, which stream. A larger "
        "one is answered 400.",
    )
    handler_threads: int = Field(
        default=40,
        ge=5,
        le=1000,
        description="How many of MLflow's handlers run at the same time in a worker, each in a thread. A "
        "fifth is left to the UI's files and to other public routes.",
    )
    caller_requests: int = Field(
        default=10,
        ge=1,
        description="How many of these threads one caller may use at the same time.",
    )
    workspace_requests: int = Field(
        default=16,
        ge=1,
        description="How many of these threads one workspace may use at the same time.",
    )
    waiting_requests: int = Field(
        default=100,
        ge=0,
        description="How many requests of one caller may wait for a thread in a worker, and half of how many "
        "of one workspace. More are answered 429.",
    )
    waiting_seconds: float = Field(
        default=30.0,
        gt=0,
        description="How long a request waits for a thread before it is answered 429.",
    )
    audit_sink: str = Field(
        default="stderr",
        description="Where audit records are written: `stderr`, `stdout`, `off`, or the path of a file.",
    )
    audit_max_bytes: int = Field(
        default=100 * 2**20,
        ge=0,
        description="The size at which an audit file is rotated. One old file is kept. 0: never.",
    )
    audit_queue: int = Field(
        default=10_000,
        ge=1,
        description="How many audit records may wait to be written. More are dropped and counted.",
    )

    audit_history_days: int = Field(
        default=7,
        ge=0,
        le=366,
        description="For how many days decisions are kept in MLflow's database, for "
        "[the audit page](operations.md#audit-in-the-browser). 0: none are kept.",
    )
    audit_history_rows: int = Field(
        default=500_000,
        ge=1_000,
        le=100_000_000,
        description="How many rows of them are kept in all. The oldest are deleted first.",
    )

    @property
    def audience_names(self) -> tuple[str, ...]:
        """The names in ``audiences``, in their order."""
        return listed(self.audiences)

    @property
    def needs_own_reviews(self) -> Sequence[str]:
        """The variables that are set and make the server ask about callers with its own account."""
        audiences = ("WORKSPACE_AUTHZ_AUDIENCES",) if self.audience_names else ()
        people = ("WORKSPACE_AUTHZ_SIGN_IN",) if self.reviews_people_by_name else ()
        return (*audiences, *self.trusts_proxies, *people)

    @property
    def asks_with_own_account(self) -> bool:
        """Whether the server asks about callers with its own account, which needs rights for that."""
        return bool(self.needs_own_reviews)


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; ``overrides`` take precedence.

    Raises :class:`ConfigurationError`, which names the setting, when a value is invalid or not supported.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"The setting {first['loc'][0]} is not usable: {first['msg']}.") from error
    _refuse_unsupported(settings)
    return settings


def _refuse_unsupported(settings: Settings) -> None:
    check_proxy_headers(settings, mode=settings.authorization_mode)
    if settings.audiences_only and not settings.audience_names:
        raise ConfigurationError(
            "WORKSPACE_AUTHZ_AUDIENCES_ONLY is set, but no audience is: set WORKSPACE_AUTHZ_AUDIENCES, for "
            "example to mlflow."
        )
    if settings.audiences_only and settings.people_by_api_token:
        providers = " and ".join(settings.people_by_api_token)
        raise ConfigurationError(
            "WORKSPACE_AUTHZ_AUDIENCES_ONLY refuses tokens for the Kubernetes API, but people who sign in at "
            f"{providers} would have one: set trustedByAPIServer to false, or "
            "leave out the scope user:full."
        )
    if settings.sign_in_configuration is not None and not settings.public_url:
        raise ConfigurationError(
            "WORKSPACE_AUTHZ_SESSION_KEYS is set, but browsers' address of the server is not: set "
            "WORKSPACE_AUTHZ_PUBLIC_URL, for example to https://mlflow.example.com."
        )


def refuse_shared_caches(environ: Mapping[str, str]) -> None:
    """Raises :class:`ConfigurationError` when ``environ`` switches one of :data:`SHARED_CACHES` on."""
    for variable, reason in SHARED_CACHES.items():
        if environ.get(variable, "0").strip() != "0":
            raise ConfigurationError(f"{variable} must be 0: {reason}. Unset it.")


def resolve_single_namespace(settings: Settings, *, mlflow_workspaces: bool) -> str | None:
    """The one namespace of a server without workspaces; None on a server with workspaces.

    Raises :class:`ConfigurationError` when the settings contradict each other or MLflow's options.
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
    "BOUNDED_CALLS",
    "CALLERS_WHO_ASK",
    "SHARED_CACHES",
    "Settings",
    "load_settings",
    "refuse_shared_caches",
    "resolve_single_namespace",
]
