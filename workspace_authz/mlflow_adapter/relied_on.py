"""What this package uses of MLflow beside its public interface, and what each of it protects.

The public interface is exceptions, entities, environment variables, protobuf messages and the client; it may
be imported by name. Everything else is reached as ``module.name`` where it is used, so that a release without
it can be imported, and stands here. :mod:`.compat` looks for it. Nothing here imports MLflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from workspace_authz.catalog import gateway_calls
from workspace_authz.catalog.model import Guarded
from workspace_authz.mlflow_adapter.store.tables import NAMED_TABLES, table_uses
from workspace_authz.types import Resource

COMMAND: Final = "workspace-authz workspaces"
DATABASE_COMMAND: Final = "workspace-authz database"
GC_COMMAND: Final = "workspace-authz gc"
ARCHIVE_COMMAND: Final = "workspace-authz archive-traces"
DATABASES: Final = "mlflow.store.db.utils"
"""The server and all commands need it."""


@dataclass(frozen=True, slots=True)
class Stops:
    """Without it nothing is served: the hole would be everywhere."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Refuses:
    """Without it these operations are refused to everybody."""

    operations: frozenset[str]

    def __str__(self) -> str:
        return f"refused are {', '.join(sorted(self.operations))}"


@dataclass(frozen=True, slots=True)
class RefusesCommand:
    """Without it a command stops. The server does not need it."""

    commands: tuple[str, ...] = (COMMAND,)

    def __str__(self) -> str:
        return f"refused is the command {' and '.join(f'`{command}`' for command in self.commands)}"


@dataclass(frozen=True, slots=True)
class Replaced:
    """Without it something else protects the same."""

    by: str

    def __str__(self) -> str:
        return self.by


Without = Stops | Refuses | RefusesCommand | Replaced


@dataclass(frozen=True, slots=True)
class Reliance:
    """One thing that is relied on."""

    module: str
    names: tuple[str, ...]
    """Its dotted name in the module. One of several suffices: releases may call it differently."""
    without: Without
    since: str = ""
    """The first release that needs it, if that is newer than 3.16."""

    def __str__(self) -> str:
        return " or ".join(f"{self.module}.{name}" for name in self.names)


def _of(module: str, without: Without, *names: str, since: str = "") -> tuple[Reliance, ...]:
    """Each of ``names``, in which "|" separates alternatives."""
    return tuple(Reliance(module, tuple(name.split("|")), without, since) for name in names)


SEARCH_PARSERS: Final[Mapping[str, str]] = {
    "SearchExperiments": "SearchExperimentsUtils",
    "SearchRegisteredModels": "SearchModelUtils",
    "SearchModelVersions": "SearchModelVersionUtils",
    "SearchEvaluationDatasets": "SearchEvaluationDatasetsUtils",
    "SearchMcpServers": "SearchMCPServerUtils",
    "SearchMcpAccessEndpoints": "SearchMCPAccessEndpointUtils",
}
"""Which class of ``mlflow.utils.search_utils`` the operation's store parses its filter with."""

GATEWAY_CALLS: Final = frozenset(
    route.operation
    for route in gateway_calls.ROUTES
    if route.path.startswith("/gateway/") and not (isinstance(route.policy, Guarded) and route.policy.reads)
)
"""The calls of endpoints: guardrails run in them, and budgets are checked."""

_CALLS: Final = Refuses(GATEWAY_CALLS)
_GRAPHQL: Final = Refuses(frozenset({"GraphQL"}))
_OTLP: Final = Refuses(frozenset({"ExportTraces"}))
_CREATORS: Final = Refuses(
    frozenset({"CreateGatewayGuardrail", "AddGuardrailToEndpoint", "CreatePromptOptimizationJob"})
)
_JOBS: Final = Refuses(frozenset({"InvokeGenaiEvaluate", "InvokeIssueDetection"}))
_BUDGETS: Final = Refuses(frozenset({"CreateGatewayBudgetPolicy", "UpdateGatewayBudgetPolicy"}))
PATCHED: Final = frozenset[str]().union(
    *(refused.operations for refused in (_CALLS, _CREATORS, _JOBS, _BUDGETS))
)
"""The operations that are protected by patches in MLflow's own process."""

_FILTERED: Final = Replaced(
    "lists for rights on single objects are filtered in the answer, and refused in GraphQL"
)

_OWN_WORDS: Final = Replaced("what MLflow would refuse anyway is refused in the guard's own words")

_NO_APP: Final = Stops("without it there is no app to guard")
_NO_ORIGINS: Final = Stops("pages of other sites could change data with a browser's credentials")
_NO_MESSAGES: Final = Stops("it reads which objects a request names")
_NO_WORKSPACE: Final = Stops("MLflow learns by it in which workspace a request works")
_NO_STORE: Final = Stops("it says which objects there are, and whose they are")


_SERVER: Final = "mlflow.server"
_CONTEXT: Final = "mlflow.utils.workspace_context"


def _everywhere() -> Iterator[Reliance]:
    """What every request needs."""
    yield from _of(_SERVER, _NO_APP, "app")
    yield from _of(f"{_SERVER}.fastapi_app", _NO_APP, "create_fastapi_app")
    yield from _of(
        f"{_SERVER}.fastapi_security",
        _NO_ORIGINS,
        "CORSBlockingMiddleware",
        "HostValidationMiddleware",
        "get_allowed_origins",
    )
    yield from _of(
        f"{_SERVER}.security_utils", _NO_ORIGINS, "is_localhost_origin", "should_block_cors_request"
    )
    yield from _of(f"{_SERVER}.handlers", _NO_MESSAGES, "_get_request_message")
    yield from _of(f"{_SERVER}.handlers", _NO_STORE, "_get_model_registry_store", "_get_tracking_store")
    yield from _of(
        f"{_SERVER}.workspace_helpers",
        _NO_WORKSPACE,
        "WORKSPACE_HEADER_NAME",
        "resolve_workspace_for_request_if_enabled",
    )
    yield from _of(_CONTEXT, _NO_WORKSPACE, "clear_server_request_workspace", "set_server_request_workspace")
    yield from _of(DATABASES, _NO_STORE, "Base")


def _somewhere() -> Iterator[Reliance]:
    """What some operations need, apart from calls of gateway endpoints."""
    yield from _of(f"{_SERVER}.handlers", _GRAPHQL, "_get_request_json")
    yield from _of(f"{_SERVER}.graphql.graphql_no_batching", _GRAPHQL, "check_query_safety")
    yield from _of(f"{_SERVER}.graphql.graphql_schema_extensions", _GRAPHQL, "schema")
    yield from _of(f"{_SERVER}.otel_api", _OTLP, "otel_router")
    yield from _of("mlflow.tracing.utils", _OTLP, "generate_mlflow_trace_id_from_otel_trace_id")
    yield from _of(f"{_SERVER}.handlers", _CREATORS, "_get_user")
    yield from _of("mlflow.tracking.context.default_context", _CREATORS, "_get_user")
    yield from _of(f"{_SERVER}.handlers", _JOBS, "MlflowClient")
    yield from _of("mlflow.tracking.context.registry", _JOBS, "_run_context_provider_registry.register")
    yield from _of(f"{_SERVER}.handlers", _BUDGETS, "_is_server_auth_enabled")
    yield from _of(f"{_SERVER}.handlers", _OWN_WORDS, "HANDLERS")
    yield from _of("mlflow.utils.uri", _OWN_WORDS, "validate_path_is_safe")
    parsers = (f"{parser}.parse_search_filter" for parser in SEARCH_PARSERS.values())
    yield from _of("mlflow.utils.search_utils", _FILTERED, *parsers)


def _for_gateway_calls() -> Iterator[Reliance]:
    gateway, genai = "mlflow.gateway", "mlflow.genai"
    yield from _of(f"{gateway}.budget", _CALLS, "calculate_existing_cost_for_windows")
    yield from _of(_CONTEXT, _CALLS, "get_request_workspace")
    yield from _of(f"{gateway}.constants", _CALLS, "MLFLOW_GATEWAY_CALLER_HEADER")
    yield from _of(f"{gateway}.guardrail_utils", _CALLS, "get_server_base_url|get_server_self_url")
    yield from _of(f"{gateway}.guardrails", _CALLS, "_SANITIZE_BYPASS_HEADER", "send_request")
    yield from _of(f"{gateway}.providers.utils", _CALLS, "provider_call_duration_ms")
    yield from _of(f"{genai}.judges.adapters.utils", _CALLS, "requests")
    yield from _of(f"{genai}.judges.structured_judge", _CALLS, "_resolve_gateway_uri", since="3.17")
    yield from _of(f"{genai}.utils.gateway_utils", _CALLS, "_resolve_gateway_uri", since="3.17")


def _for_the_command() -> Iterator[Reliance]:
    """Purging, counting and upgrading, which the command line does."""
    command, both = RefusesCommand(), RefusesCommand((COMMAND, DATABASE_COMMAND))
    registry = "mlflow.store.artifact.artifact_repository_registry"
    yield from _of(DATABASES, both, "_verify_schema", "create_sqlalchemy_engine")
    upgrading = ("_get_alembic_config", "_get_schema_version", "_initialize_tables", "_upgrade_db")
    yield from _of(DATABASES, both, "_make_parent_dirs_if_sqlite")
    yield from _of(DATABASES, both, *upgrading)
    yield from _of(registry, RefusesCommand((COMMAND, GC_COMMAND)), "get_artifact_repository")
    yield from _of("mlflow.utils.file_utils", command, "local_file_uri_to_path")
    yield from _of("mlflow.utils.uri", command, "append_to_uri_path", "is_local_uri")
    yield from _of("mlflow.utils.workspace_utils", command, "WORKSPACES_DIR_NAME")


def _for_upkeep() -> Iterator[Reliance]:
    """Collecting garbage and archiving traces, which the command line does, too."""
    collecting, archiving = RefusesCommand((GC_COMMAND,)), RefusesCommand((ARCHIVE_COMMAND,))
    yield from _of("mlflow.cli", collecting, "cli")
    yield from _of("mlflow.tracking._tracking_service.utils", collecting, "_get_store")
    yield from _of(_CONTEXT, collecting, "WorkspaceContext")
    yield from _of("mlflow.server.constants", archiving, "BACKEND_STORE_URI_ENV_VAR")
    service = "mlflow.tracing.trace_archival_service"
    names = ("_get_trace_archival_scheduler_settings", "run_trace_archival_scheduler")
    yield from _of(service, archiving, *names, "_TRACE_ARCHIVAL_SCHEDULER_LAST_RUN_MONOTONIC")


def _tables() -> Iterator[Reliance]:
    for (module, table), use in table_uses().items():
        without = Refuses(use.operations) if table != NAMED_TABLES[Resource.EXPERIMENTS].table else _NO_STORE
        yield from _of(module, without, *(f"{table}.{column}" for column in sorted(use.columns)))


RELIED_ON: Final[tuple[Reliance, ...]] = (
    *_everywhere(),
    *_somewhere(),
    *_for_gateway_calls(),
    *_for_the_command(),
    *_tables(),
)

FOR_UPKEEP: Final = tuple(_for_upkeep())
"""What only commands of upkeep use. A server must not import it: that takes seconds."""
