"""The tables themselves: the golden list, and rules that hold for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.golden import check
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.expand import as_text
from workspace_authz.catalog.model import (
    AnyRight,
    Authenticated,
    Guarded,
    Identifier,
    Origin,
    Public,
    Refused,
    Requirement,
    Restriction,
    Route,
)
from workspace_authz.catalog.routes import all_routes
from workspace_authz.catalog.template import is_static
from workspace_authz.types import USE, Resource, Verb

ROUTES = all_routes(assistant=True)


def requirements() -> Iterator[tuple[Route, Requirement]]:
    for route in ROUTES:
        if isinstance(route.policy, Guarded):
            for requirement in route.policy.requirements:
                yield route, requirement


def operations(kind: type[object]) -> set[str]:
    return {route.operation for route in all_routes() if isinstance(route.policy, kind)}


def test_the_table_is_the_one_that_was_reviewed() -> None:
    plain = compile_catalog()
    assistant = [entry for entry in compile_catalog(assistant=True).entries if entry not in plain.entries]
    moved = {(entry.method, f"/mlflow{entry.path}") for entry in plain.entries}
    prefixed = compile_catalog(static_prefix="/mlflow").entries
    below = [entry for entry in prefixed if (entry.method, entry.path) not in moved]
    check(
        "routes.txt",
        f"{as_text(plain.entries)}\n"
        f"# With the assistant switched on\n{as_text(assistant)}\n"
        "# With --static-prefix /mlflow all but /build and /metrics are below it; these besides\n"
        f"{as_text(below)}",
    )


def test_public_is_what_a_browser_and_a_probe_need_before_they_have_a_credential() -> None:
    assert {route.path for route in ROUTES if isinstance(route.policy, Public)} == {
        "/",
        "/build/{filename:path}",
        "/static-files/{path:path}",
        "/health",
        "/version",
        "/api/3.0/mlflow/server-info",
        "/ajax-api/3.0/mlflow/server-info",
    }
    assert {route.method for route in ROUTES if isinstance(route.policy, Public)} == {"GET"}


def test_only_the_uis_telemetry_needs_no_right() -> None:
    assert operations(Authenticated) == {"GetUiTelemetry", "PostUiTelemetry"}
    assert operations(AnyRight) == {"ListWorkspaces", "GetWorkspace", "GetSecretsConfig"}


def test_what_is_refused_and_why() -> None:
    reasons: dict[str, set[str]] = {}
    for route in all_routes():
        if isinstance(route.policy, Refused) and "assistant" not in route.path:
            reasons.setdefault(route.policy.reason.split()[0], set()).add(route.operation)
    assert reasons == {
        "Workspaces": {"CreateWorkspace", "UpdateWorkspace", "DeleteWorkspace"},
        "Jobs": {"SubmitServerJob"},
        "Making": {"GenerateDemo"},
        "This": {
            "InvokeScorer",
            "InvokeGenaiEvaluate",
            "InvokeIssueDetection",
            "SyncIssueDetectionSchedule",
            "CreatePromptOptimizationJob",
            "UpsertOnlineScoringConfig",
        },
        "MLflow": {"SearchDatasets", "SearchUnifiedTraces", "GetOnlineTraceDetails"},
        "MLflow's": {"PrometheusMetrics"},
    }


def test_the_assistant_is_the_only_thing_that_a_setting_opens() -> None:
    closed, opened = all_routes(), all_routes(assistant=True)
    changed = [route for route, other in zip(closed, opened, strict=True) if route != other]
    assert len(changed) == 11
    assert all("/assistant/" in route.path and isinstance(route.policy, Refused) for route in changed)


@pytest.mark.parametrize(
    "reason", sorted({r.policy.reason for r in all_routes() if isinstance(r.policy, Refused)})
)
def test_a_reason_is_one_sentence(reason: str) -> None:
    assert reason.endswith(".")
    assert ". " not in reason


def test_a_name_in_the_path_is_a_parameter_of_that_path() -> None:
    for route, requirement in requirements():
        for source in requirement.names:
            if source.origin is Origin.PATH:
                assert f"{{{source.field}" in route.path, route


def test_what_has_parameters_is_judged_by_one_of_them_or_says_why_not() -> None:
    nameless = {
        route.operation
        for route in ROUTES
        if not is_static(route.path)
        and isinstance(route.policy, Guarded)
        and not any(
            source.origin is Origin.PATH for need in route.policy.requirements for source in need.names
        )
    }
    webhooks = {"GetWebhook", "UpdateWebhook", "DeleteWebhook", "TestWebhook"}
    assert {operation for operation in nameless if "Assistant" not in operation} == webhooks


def test_creation_is_never_scoped_to_a_name() -> None:
    for route, requirement in requirements():
        if requirement.verb is Verb.CREATE and requirement.subresource != USE and requirement.names:
            assert requirement.when_present or requirement.unless_present, route


def test_a_list_is_kept_to_the_allowed() -> None:
    for route, requirement in requirements():
        if requirement.listing is not None:
            assert not route.stamps, route  # a request is written anew for one reason only
            # MLflow has the scorers of all experiments in one answer; the right to read one is enough.
            assert requirement.verb is Verb.LIST or route.operation == "ListScorers", route
        elif requirement.verb is Verb.LIST and requirement.names:
            # Figures over several experiments, which cannot be taken apart.
            assert route.operation in {"CalculateTraceFilterCorrelation", "QueryTraceMetrics", "GraphQL"}, (
                route
            )


def test_reading_routes_demand_no_right_to_write() -> None:
    writing = {Verb.UPDATE, Verb.DELETE}
    for route, requirement in requirements():
        if route.method == "GET":
            assert requirement.verb not in writing, route


def test_each_resource_is_reached_by_the_verbs_that_roles_grant() -> None:
    reached: dict[str, set[str]] = {}
    for _, requirement in requirements():
        reached.setdefault(requirement.qualified_resource, set()).add(str(requirement.verb))
    every = {"get", "list", "create", "update", "delete"}
    assert reached == {
        "experiments": every,
        "registeredmodels": every,
        "datasets": every,
        "mcpservers": every,
        "skills": every,
        "gatewayendpoints": every,
        "gatewayendpoints/use": {"create"},
        "gatewaysecrets": every,
        "gatewaysecrets/use": {"create"},
        "gatewaymodeldefinitions": every,
        "gatewaymodeldefinitions/use": {"create"},
        "gatewayguardrails": every - {"update"},
        "gatewaybudgets": every,
        "assistants": every - {"list", "delete"},
    }


def test_webhooks_are_read_with_list_and_written_with_update_of_all_models() -> None:
    found = {
        (route.method, str(requirement)) for route, requirement in requirements() if "/webhooks" in route.path
    }
    assert found == {
        ("GET", "list registeredmodels"),
        *((method, "update registeredmodels") for method in ("POST", "PATCH", "DELETE")),
    }


def test_jobs_follow_their_experiment() -> None:
    jobs = [requirement for route, requirement in requirements() if "/jobs" in route.path]
    assert jobs
    assert {requirement.resource for requirement in jobs} == {Resource.EXPERIMENTS}


def test_one_operation_demands_the_same_on_all_its_paths() -> None:
    demands: dict[tuple[str, str], set[object]] = {}
    for route in ROUTES:
        if "@{organization}" not in route.path:  # where the name of the skill has another part
            demands.setdefault((route.operation, route.method), set()).add(route.policy)
    # MLflow serves SearchDatasets on a path with a missing slash too, where it does nothing.
    assert {key for key, found in demands.items() if len(found) > 1} == {("SearchDatasets", "POST")}


def test_only_resources_with_names_have_name_sources() -> None:
    for route, requirement in requirements():
        if requirement.resource in (Resource.GATEWAY_BUDGETS, Resource.ASSISTANTS):
            assert not requirement.names, route


def test_switches_are_conditions_and_never_names() -> None:
    for route, requirement in requirements():
        if any(source.identifies is Identifier.FLAG for source in requirement.names):
            assert requirement.when_present, route
            assert requirement.verb is Verb.CREATE, route


def test_what_requests_may_contain_is_restricted_wherever_they_could_cross_workspaces() -> None:
    restricted: dict[Restriction, set[str]] = {}
    for route in all_routes():
        for restriction in route.restrictions:
            restricted.setdefault(restriction, set()).add(route.operation)
    uploads = {"CreateMultipartUpload", "CompleteMultipartUpload", "AbortMultipartUpload"}
    assert restricted == {
        Restriction.NO_TRACE_LOCATION: {
            *("StartTrace", "StartTraceV3", "EndTrace"),
            *("SetTraceTag", "SetTraceTagV3", "DeleteTraceTag", "DeleteTraceTagV3"),
        },
        Restriction.NO_SPAN_TRACE_LOCATION: {"ExportTraces"},
        Restriction.NO_GATEWAY_TAG: {"SetTraceTag", "SetTraceTagV3", "ExportTraces"},
        Restriction.NO_GATEWAY_TRACE: {"StartTraceV3", "EndTrace", "ExportTraces"},
        Restriction.OWN_ARTIFACT: {
            *("DownloadArtifact", "UploadArtifact", "DeleteArtifact", "GetPresignedDownloadUrl"),
            *uploads,
        },
        Restriction.OWN_ARTIFACT_LIST: {"ListArtifactsMlflowArtifacts"},
        Restriction.FILE_NAME: uploads,
        Restriction.OWN_SOURCE: {"CreateModelVersion"},
        Restriction.UPSTREAM_PATH: {"RawProxy"},
        Restriction.NO_SCHEDULE_TAG: {"CreateExperiment", "SetExperimentTag"},
        Restriction.ARTIFACT_ROOT: {"CreateExperiment"},
        Restriction.NO_GLOBAL_BUDGET: {"CreateGatewayBudgetPolicy", "UpdateGatewayBudgetPolicy"},
    }


def test_every_path_of_an_operation_is_restricted_alike() -> None:
    found: dict[str, set[tuple[Restriction, ...]]] = {}
    for route in all_routes():
        found.setdefault(route.operation, set()).add(route.restrictions)
    assert [operation for operation, kinds in found.items() if len(kinds) > 1] == []
    proxied = [route for route in all_routes() if "/mlflow-artifacts/" in route.path]
    assert all(
        {Restriction.OWN_ARTIFACT, Restriction.OWN_ARTIFACT_LIST} & {*route.restrictions} for route in proxied
    )
