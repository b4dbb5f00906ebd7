"""Traces, assessments, issues and OpenTelemetry spans. Rights on them are rights on their experiment."""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    EXPERIMENT,
    ajax,
    all_of,
    at_path,
    body,
    experiments,
    header,
    linked,
    listed,
    models,
    path,
    query,
    response,
    restricted,
    rpc,
    spans,
)
from workspace_authz.catalog.experiments import NOT_IMPLEMENTED
from workspace_authz.catalog.model import Identifier, Requirement, Restriction, Route, Server
from workspace_authz.types import Resource, Verb

_EXPERIMENTS: Final = body("experiment_ids[]", Identifier.EXPERIMENT_ID)
_TRACE: Final = path("trace_id", Identifier.TRACE_ID)
_TRACE_V2: Final = path("request_id", Identifier.TRACE_ID)
_TRACES: Final = body("trace_ids[]", Identifier.TRACE_ID)
_ISSUE: Final = path("issue_id", Identifier.ISSUE_ID)
_SOURCE_RUN: Final = body("source_run_id", Identifier.RUN_ID)
_ARTIFACT: Final = experiments(Verb.GET, query("request_id", Identifier.TRACE_ID))
_INFO: Final = "trace.trace_info"
_LOCATION: Final = "trace_location.mlflow_experiment.experiment_id"


def _mentioned(assessment: str) -> Requirement:
    """The issue that an assessment links to a trace. MLflow counts such traces of any workspace."""
    return linked(experiments(Verb.GET, body(f"{assessment}.assessment_name", Identifier.ISSUE_MENTION)))


# The server reads a trace's data from wherever its tags say.
_WRITE_ROUTES: Final[tuple[Route, ...]] = restricted(
    Restriction.NO_TRACE_LOCATION,
    (
        *restricted(
            Restriction.NO_GATEWAY_TRACE,
            rpc(
                "POST",
                "3.0/mlflow/traces",
                "StartTraceV3",
                all_of(
                    experiments(Verb.UPDATE, body(f"{_INFO}.{_LOCATION}", Identifier.EXPERIMENT_ID)),
                    # The trace stays in its experiment, whichever is named beside it.
                    experiments(
                        Verb.UPDATE, body(f"{_INFO}.trace_id", Identifier.NEW_TRACE_ID), when_present=True
                    ),
                    _mentioned(f"{_INFO}.assessments[]"),
                ),
            ),
        ),
        *rpc("POST", "2.0/mlflow/traces", "StartTrace", experiments(Verb.UPDATE, EXPERIMENT)),
        *restricted(
            Restriction.NO_GATEWAY_TRACE,
            rpc("PATCH", "2.0/mlflow/traces/{request_id}", "EndTrace", experiments(Verb.UPDATE, _TRACE_V2)),
        ),
        *restricted(
            Restriction.NO_GATEWAY_TAG,
            (
                *rpc(
                    "PATCH",
                    "2.0/mlflow/traces/{request_id}/tags",
                    "SetTraceTag",
                    experiments(Verb.UPDATE, _TRACE_V2),
                ),
                *rpc(
                    "PATCH",
                    "3.0/mlflow/traces/{trace_id}/tags",
                    "SetTraceTagV3",
                    experiments(Verb.UPDATE, _TRACE),
                ),
            ),
        ),
        *rpc(
            "DELETE",
            "2.0/mlflow/traces/{request_id}/tags",
            "DeleteTraceTag",
            experiments(Verb.UPDATE, _TRACE_V2),
        ),
        *rpc(
            "DELETE",
            "3.0/mlflow/traces/{trace_id}/tags",
            "DeleteTraceTagV3",
            experiments(Verb.UPDATE, _TRACE),
        ),
    ),
)

_TRACE_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("GET", "2.0/mlflow/traces/{request_id}/info", "GetTraceInfo", experiments(Verb.GET, _TRACE_V2)),
    *rpc("GET", "3.0/mlflow/traces/{trace_id}", "GetTraceInfoV3", experiments(Verb.GET, _TRACE)),
    *rpc(
        "GET",
        "3.0/mlflow/traces/get",
        "GetTrace",
        experiments(Verb.GET, body("trace_id", Identifier.TRACE_ID)),
    ),
    *rpc("GET", "3.0/mlflow/traces/batchGet", "BatchGetTraces", experiments(Verb.GET, _TRACES)),
    *rpc("POST", "3.0/mlflow/traces/batchGetInfos", "BatchGetTraceInfos", experiments(Verb.GET, _TRACES)),
    *rpc("GET", "2.0/mlflow/traces", "SearchTraces", listed(Verb.LIST, Resource.EXPERIMENTS, _EXPERIMENTS)),
    *rpc(
        "POST",
        "3.0/mlflow/traces/search",
        "SearchTracesV3",
        listed(
            Verb.LIST,
            Resource.EXPERIMENTS,
            body("locations[].mlflow_experiment.experiment_id", Identifier.EXPERIMENT_ID),
        ),
    ),
    *rpc(
        "POST",
        "3.0/mlflow/traces/calculate-filter-correlation",
        "CalculateTraceFilterCorrelation",
        experiments(Verb.LIST, _EXPERIMENTS),
    ),
    *rpc("POST", "3.0/mlflow/traces/metrics", "QueryTraceMetrics", experiments(Verb.LIST, _EXPERIMENTS)),
    *rpc("POST", "2.0/mlflow/traces/delete-traces", "DeleteTraces", experiments(Verb.UPDATE, EXPERIMENT)),
    *rpc("POST", "3.0/mlflow/traces/delete-traces", "DeleteTracesV3", experiments(Verb.UPDATE, EXPERIMENT)),
    *rpc(
        "POST",
        "2.0/mlflow/traces/link-to-run",
        "LinkTracesToRun",
        all_of(
            experiments(Verb.UPDATE, body("run_id", Identifier.RUN_ID)),
            experiments(Verb.GET, _TRACES),
        ),
    ),
    *rpc(
        "POST",
        "2.0/mlflow/traces/link-prompts",
        "LinkPromptsToTrace",
        all_of(
            experiments(Verb.UPDATE, body("trace_id", Identifier.TRACE_ID)),
            models(Verb.GET, body("prompt_versions[].name")),
        ),
    ),
    *ajax("GET", "2.0/mlflow/get-trace-artifact", "GetTraceArtifact", _ARTIFACT),
    *ajax("GET", "3.0/mlflow/get-trace-artifact", "GetTraceArtifact", _ARTIFACT),
    *rpc("GET", "2.0/mlflow/unified-traces", "SearchUnifiedTraces", NOT_IMPLEMENTED),
    *rpc("GET", "2.0/mlflow/get-online-trace-details", "GetOnlineTraceDetails", NOT_IMPLEMENTED),
)

# The trace in the path wins over assessment.trace_id in the body (handlers._create_assessment).
_ASSESSMENTS: Final = "3.0/mlflow/traces/{trace_id}/assessments"
_ASSESSMENT: Final = f"{_ASSESSMENTS}/{{assessment_id}}"
_ASSESS: Final = all_of(experiments(Verb.UPDATE, _TRACE), _mentioned("assessment"))
_ASSESSMENT_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("POST", _ASSESSMENTS, "CreateAssessment", _ASSESS),
    *rpc("GET", _ASSESSMENT, "GetAssessmentRequest", experiments(Verb.GET, _TRACE)),
    *rpc("PATCH", _ASSESSMENT, "UpdateAssessment", _ASSESS),
    *rpc("DELETE", _ASSESSMENT, "DeleteAssessment", experiments(Verb.UPDATE, _TRACE)),
)

_ISSUE_ROUTES: Final[tuple[Route, ...]] = (
    *rpc(
        "POST",
        "3.0/mlflow/issues",
        "CreateIssue",
        all_of(
            experiments(Verb.UPDATE, EXPERIMENT),
            linked(experiments(Verb.GET, _SOURCE_RUN)),
        ),
    ),
    *rpc("GET", "3.0/mlflow/issues/{issue_id}", "GetIssue", experiments(Verb.GET, _ISSUE)),
    *rpc("PATCH", "3.0/mlflow/issues/{issue_id}", "UpdateIssue", experiments(Verb.UPDATE, _ISSUE)),
    # Without an experiment it searches the whole workspace.
    *rpc(
        "POST",
        "3.0/mlflow/issues/search",
        "SearchIssues",
        listed(
            Verb.LIST,
            Resource.EXPERIMENTS,
            EXPERIMENT,
            response("issues[].experiment_id", Identifier.EXPERIMENT_ID),
            paged=True,
        ),
    ),
)

_EXPORT: Final = restricted(
    Restriction.NO_GATEWAY_TRACE,
    at_path(
        "POST",
        "/v1/traces",
        "ExportTraces",
        all_of(
            experiments(Verb.UPDATE, header("x-mlflow-experiment-id", Identifier.EXPERIMENT_ID)),
            experiments(Verb.UPDATE, header("x-mlflow-run-id", Identifier.RUN_ID), when_present=True),
            experiments(Verb.UPDATE, spans("trace_id", Identifier.NEW_TRACE_ID), when_present=True),
        ),
        server=Server.FASTAPI,
    ),
)
_OPENTELEMETRY_ROUTES: Final[tuple[Route, ...]] = restricted(
    Restriction.NO_GATEWAY_TAG, restricted(Restriction.NO_SPAN_TRACE_LOCATION, _EXPORT)
)

ROUTES: Final[tuple[Route, ...]] = (
    *_OPENTELEMETRY_ROUTES,
    *_WRITE_ROUTES,
    *_TRACE_ROUTES,
    *_ASSESSMENT_ROUTES,
    *_ISSUE_ROUTES,
)
