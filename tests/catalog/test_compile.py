"""From method and path to a route: what matches, what does not, and which of two matches."""

from __future__ import annotations

import pytest

from workspace_authz.catalog.build import all_of, at_path, experiments
from workspace_authz.catalog.compile import LONGEST_PATH, CompiledCatalog, compile_catalog, compile_routes
from workspace_authz.catalog.entries import ServedRoute
from workspace_authz.catalog.model import Guarded, Public, Refused, Server
from workspace_authz.types import Resource, Verb

MCP = "/api/3.0/mlflow/mcp-servers"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def catalog() -> CompiledCatalog:
    return compile_catalog()


@pytest.fixture(scope="module")
def prefixed() -> CompiledCatalog:
    return compile_catalog(static_prefix="/mlflow")


def found(catalog: CompiledCatalog, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    match = catalog.match(method, path)
    return None if match is None else (match.route.operation, dict(match.parameters))


def test_a_static_path_is_found_in_both_spellings(catalog: CompiledCatalog) -> None:
    assert found(catalog, "GET", "/api/2.0/mlflow/runs/get") == ("GetRun", {})
    assert found(catalog, "GET", "/ajax-api/2.0/mlflow/runs/get") == ("GetRun", {})


def test_a_parameter_is_one_segment(catalog: CompiledCatalog) -> None:
    traces = "/api/3.0/mlflow/traces"
    assert found(catalog, "GET", f"{traces}/tr-1") == ("GetTraceInfoV3", {"trace_id": "tr-1"})
    assert found(catalog, "GET", f"{traces}/tr-1/assessments/a-2") == (
        "GetAssessmentRequest",
        {"trace_id": "tr-1", "assessment_id": "a-2"},
    )
    assert found(catalog, "GET", f"{traces}/tr/1") is None


def test_a_static_path_comes_before_a_template_of_the_same_method(catalog: CompiledCatalog) -> None:
    assert found(catalog, "GET", "/api/3.0/mlflow/traces/get") == ("GetTrace", {})
    assert found(catalog, "PATCH", "/api/2.0/mlflow/traces/get") == ("EndTrace", {"request_id": "get"})


def test_head_is_judged_as_get(catalog: CompiledCatalog) -> None:
    assert found(catalog, "HEAD", "/version") == found(catalog, "GET", "/version")
    assert found(catalog, "HEAD", f"{ARTIFACTS}/1/a") == ("DownloadArtifact", {"artifact_path": "1/a"})
    assert found(catalog, "HEAD", "/api/2.0/mlflow/runs/create") is None


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "get", "*", ""])
def test_another_method_is_another_route(catalog: CompiledCatalog, method: str) -> None:
    assert catalog.match(method, "/api/2.0/mlflow/runs/get") is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//",
        "/api/2.0/mlflow/runs/get/",
        "//api/2.0/mlflow/runs/get",
        "/api//2.0/mlflow/runs/get",
        "/api/2.0/mlflow/./runs/get",
        "/api/2.0/mlflow/experiments/../runs/get",
        "/api/2.0/mlflow/runs/get\n",
        "/API/2.0/mlflow/runs/get",
        "/api/2.0/mlflow/runs%2Fget",
        "api/2.0/mlflow/runs/get",
        "/version/x",
        "/healthz",
        "/static-files",
        "/static-files/",
        "/static-files//x",
        "/metrics/x",
        "/mlflow/version",
    ],
)
def test_nothing_is_normalised(catalog: CompiledCatalog, path: str) -> None:
    assert catalog.match("GET", path) is None


def test_decoded_names_may_hold_anything_but_a_slash(catalog: CompiledCatalog) -> None:
    assert found(catalog, "GET", "/api/3.0/mlflow/datasets/ä b%2F;x") == (
        "GetDataset",
        {"dataset_id": "ä b%2F;x"},
    )


def test_fastapis_artifact_paths_take_slashes_and_flasks_none_in_front(catalog: CompiledCatalog) -> None:
    for inner in ("1/a/b", "/etc/passwd", "a//b", "../x", "a/"):
        assert found(catalog, "GET", f"{ARTIFACTS}/{inner}") == ("DownloadArtifact", {"artifact_path": inner})
    for inner in ("1/a/b", "a//b", "../x", "a/"):
        assert found(catalog, "DELETE", f"{ARTIFACTS}/{inner}") == (
            "DeleteArtifact",
            {"artifact_path": inner},
        )
    assert found(catalog, "DELETE", f"{ARTIFACTS}//a") is None


def test_an_artifact_without_a_path_is_no_artifact(catalog: CompiledCatalog) -> None:
    assert found(catalog, "GET", ARTIFACTS) == ("ListArtifactsMlflowArtifacts", {})
    assert catalog.match("GET", f"{ARTIFACTS}/") is None


@pytest.mark.parametrize(
    ("method", "path", "operation", "parameters"),
    [
        ("GET", "/team/slug", "GetMcpServer", {"name": "team/slug"}),
        ("GET", "/endpoints", "SearchMcpAccessEndpoints", {}),
        ("GET", "/team/endpoints", "SearchMcpServerAccessEndpoints", {"name": "team"}),
        ("DELETE", "/team/endpoints", "DeleteMcpServer", {"name": "team/endpoints"}),
        ("GET", "/team/slug/versions/1", "GetMcpServerVersion", {"name": "team/slug", "version": "1"}),
        ("GET", "/a/versions/b/versions/c", "GetMcpServerVersion", {"name": "a/versions/b", "version": "c"}),
        (
            "DELETE",
            "/a/b/versions/1/tags/k/v",
            "DeleteMcpServerVersionTag",
            {"name": "a/b", "version": "1", "key": "k/v"},
        ),
        ("DELETE", "/a/b/tags/k", "DeleteMcpServerTag", {"name": "a/b", "key": "k"}),
        ("GET", "/a/b/aliases/prod", "GetMcpServerVersionByAlias", {"name": "a/b", "alias": "prod"}),
        ("GET", "/a/b/endpoints/7", "GetMcpAccessEndpoint", {"name": "a/b", "endpoint_id": "7"}),
    ],
)
def test_mcp_names_take_two_segments(
    catalog: CompiledCatalog, method: str, path: str, operation: str, parameters: dict[str, str]
) -> None:
    assert found(catalog, method, MCP + path) == (operation, parameters)


def test_an_empty_parameter_does_not_fall_through_to_the_next_template(catalog: CompiledCatalog) -> None:
    assert catalog.match("GET", f"{MCP}/team/slug/versions/") is None


def test_gateway_templates_keep_mlflows_order(catalog: CompiledCatalog) -> None:
    gateway = "/gateway/proxy"
    assert found(catalog, "POST", f"{gateway}/mlflow/invocations") == (
        "Invocations",
        {"endpoint_name": "proxy"},
    )
    assert found(catalog, "POST", f"{gateway}/chat/v1/x") == (
        "RawProxy",
        {"endpoint_name": "chat", "path": "v1/x"},
    )
    assert found(catalog, "POST", "/gateway/gemini/v1beta/models/chat:generateContent") == (
        "GeminiGenerateContent",
        {"endpoint_name": "chat"},
    )


def test_paths_of_any_length_are_answered(catalog: CompiledCatalog) -> None:
    longest = f"{ARTIFACTS}/".ljust(LONGEST_PATH, "a")
    assert catalog.match("GET", longest) is not None
    assert catalog.match("GET", longest + "a") is None


def test_a_line_break_matches_no_template(catalog: CompiledCatalog) -> None:
    assert catalog.match("GET", f"{ARTIFACTS}/1/a\n") is None
    assert catalog.match("GET", "/api/3.0/mlflow/traces/tr\n1") is None


def test_the_static_prefix_moves_what_mlflow_moves(prefixed: CompiledCatalog) -> None:
    assert found(prefixed, "GET", "/mlflow/api/2.0/mlflow/runs/get") == ("GetRun", {})
    assert prefixed.match("GET", "/api/2.0/mlflow/runs/get") is None
    assert found(prefixed, "POST", "/mlflow/v1/traces") == ("ExportTraces", {})
    assert found(prefixed, "GET", "/mlflow/health") == ("Health", {})
    assert prefixed.match("GET", "/health") is None
    assert found(prefixed, "GET", f"/mlflow{MCP}/a/b") == ("GetMcpServer", {"name": "a/b"})


def test_the_index_is_served_with_and_without_its_slash(prefixed: CompiledCatalog) -> None:
    assert found(prefixed, "GET", "/mlflow/") == ("Index", {})
    assert found(prefixed, "GET", "/mlflow") == ("Index", {})
    assert prefixed.match("GET", "/") is None
    assert prefixed.match("GET", "/mlflow//") is None


def test_some_routes_ignore_the_static_prefix(prefixed: CompiledCatalog) -> None:
    assert found(prefixed, "GET", "/build/index.html") == ("StaticFolder", {"filename": "index.html"})
    assert prefixed.match("GET", "/mlflow/build/index.html") is None
    assert found(prefixed, "GET", "/metrics") == ("PrometheusMetrics", {})


def test_artifacts_are_native_at_the_root_and_flasks_below_the_prefix(prefixed: CompiledCatalog) -> None:
    assert found(prefixed, "PUT", f"{ARTIFACTS}//a") == ("UploadArtifact", {"artifact_path": "/a"})
    assert found(prefixed, "PUT", f"/mlflow{ARTIFACTS}/a") == ("UploadArtifact", {"artifact_path": "a"})
    assert prefixed.match("PUT", f"/mlflow{ARTIFACTS}//a") is None
    assert prefixed.match("DELETE", f"{ARTIFACTS}/a") is None


def test_a_trailing_slash_of_the_prefix_is_dropped_as_mlflow_does(prefixed: CompiledCatalog) -> None:
    assert compile_catalog(static_prefix="/mlflow/").entries == prefixed.entries
    assert compile_catalog(static_prefix="/").entries == compile_catalog().entries


def test_the_assistant_is_refused_unless_switched_on() -> None:
    path = "/ajax-api/3.0/mlflow/assistant/message"
    off, on = compile_catalog().match("POST", path), compile_catalog(assistant=True).match("POST", path)
    assert off is not None
    assert isinstance(off.route.policy, Refused)
    assert on is not None
    assert isinstance(on.route.policy, Guarded)
    assert [(need.verb, need.resource) for need in on.route.policy.requirements] == [
        (Verb.CREATE, Resource.ASSISTANTS)
    ]


def test_coverage_is_by_shape_not_by_the_names_of_parameters(catalog: CompiledCatalog) -> None:
    assert catalog.covers("GET", "/api/3.0/mlflow/traces/{any}")
    assert not catalog.covers("GET", "/api/3.0/mlflow/traces/{any:path}")
    assert not catalog.covers("GET", "/api/3.0/mlflow/traces/{any:int}")
    assert not catalog.covers("PUT", "/api/3.0/mlflow/traces/{any}")


def test_an_unknown_route_does_not_pass_for_a_known_one(catalog: CompiledCatalog) -> None:
    traces = "/api/3.0/mlflow/traces"
    aware = catalog.without([ServedRoute("GET", f"{traces}/new", Server.FLASK)])
    assert found(catalog, "GET", f"{traces}/new") == ("GetTraceInfoV3", {"trace_id": "new"})
    assert aware.match("GET", f"{traces}/new") is None
    assert found(aware, "GET", f"{traces}/tr-1") == ("GetTraceInfoV3", {"trace_id": "tr-1"})
    assert found(aware, "GET", f"{traces}/get") == ("GetTrace", {})


def test_an_unknown_native_template_hides_what_it_would_take(catalog: CompiledCatalog) -> None:
    aware = catalog.without([ServedRoute("GET", "/api/2.0/mlflow/runs/{name:str}", Server.FASTAPI)])
    assert aware.match("GET", "/api/2.0/mlflow/runs/get") is None
    assert aware.match("POST", "/api/2.0/mlflow/runs/create") is not None
    behind = catalog.without([ServedRoute("GET", "/api/2.0/mlflow/runs/{name}", Server.FLASK)])
    assert behind.match("GET", "/api/2.0/mlflow/runs/get") is not None


def test_known_routes_and_unreadable_ones_change_nothing(catalog: CompiledCatalog) -> None:
    aware = catalog.without(
        [
            ServedRoute("GET", "/version", Server.FLASK),
            ServedRoute("*", " (some.Route)", Server.FASTAPI),
        ]
    )
    assert aware.match("GET", "/version") is not None
    assert aware.entries == catalog.entries


def test_templates_of_one_path_differ_by_method() -> None:
    need = experiments(Verb.GET)
    catalog = compile_routes(
        (*at_path("GET", "/x/{a}", "Get", Public()), *at_path("PUT", "/x/{b}", "Put", all_of(need)))
    )
    assert found(catalog, "GET", "/x/1") == ("Get", {"a": "1"})
    assert found(catalog, "PUT", "/x/1") == ("Put", {"b": "1"})


def test_operations_are_refused_by_name_and_reason() -> None:
    """What is refused anyway keeps its own reason, and its paths stay covered."""
    usual = compile_catalog(static_prefix="/p")
    catalog = compile_catalog(static_prefix="/p", refused={"CreateRun": "why", "CreateWorkspace": "why"})
    changed = {
        (before.route.operation, after.route.policy)
        for before, after in zip(usual.entries, catalog.entries, strict=True)
        if before != after
    }
    assert changed == {("CreateRun", Refused("why"))}
    match = catalog.match("POST", "/p/api/2.0/mlflow/runs/create")
    assert match is not None
    assert match.route.policy == Refused("why")
