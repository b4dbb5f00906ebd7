"""Jobs of the MLflow server. Rights on a job are rights on the experiment in its parameters.

Starting a job is refused. A job runs in a process of the server and calls the server back. It has no identity
of its own, so its calls are answered 401: the request would succeed and the job would fail.
"""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    EXPERIMENT,
    ajax,
    experiments,
    listed,
    path,
    response,
    rpc,
)
from workspace_authz.catalog.model import Identifier, Refused, Route, Server
from workspace_authz.types import Resource, Verb

SERVER_JOB: Final = Refused(
    "This would start a job on the MLflow server that calls the server back, "
    "and jobs have no identity yet with which it could be allowed."
)

_ANY_JOB: Final = Refused(
    "Jobs with parameters of the caller's choice are refused: MLflow checks neither the user, "
    "the experiment nor the traces that they name."
)

_JOB: Final = path("job_id", Identifier.JOB_ID)
_GET: Final = experiments(Verb.GET, _JOB)
_UPDATE: Final = experiments(Verb.UPDATE, _JOB)

_NATIVE_ROUTES: Final[tuple[Route, ...]] = (
    *ajax("GET", "3.0/jobs/{job_id}", "GetServerJob", _GET, server=Server.FASTAPI),
    *ajax("POST", "3.0/jobs/", "SubmitServerJob", _ANY_JOB, server=Server.FASTAPI),
    *ajax("PATCH", "3.0/jobs/cancel/{job_id}", "CancelServerJob", _UPDATE, server=Server.FASTAPI),
    *ajax(
        "POST",
        "3.0/jobs/search",
        "SearchServerJobs",
        listed(
            Verb.LIST,
            Resource.EXPERIMENTS,
            response("jobs[].params.experiment_id", Identifier.EXPERIMENT_ID),
        ),
        server=Server.FASTAPI,
    ),
)

_UI_ROUTES: Final[tuple[Route, ...]] = (
    *ajax("GET", "3.0/mlflow/jobs/{job_id}", "GetJob", _GET),
    *ajax("PATCH", "3.0/mlflow/jobs/cancel/{job_id}", "CancelJob", _UPDATE),
    *ajax("POST", "3.0/mlflow/scorer/invoke", "InvokeScorer", SERVER_JOB),
    *ajax("POST", "3.0/mlflow/genai/evaluate/invoke", "InvokeGenaiEvaluate", SERVER_JOB),
    *ajax("POST", "3.0/mlflow/issues/invoke", "InvokeIssueDetection", SERVER_JOB),
    *ajax("POST", "3.0/mlflow/issues/schedule/state", "SyncIssueDetectionSchedule", SERVER_JOB, since="3.18"),
)

_OPTIMIZATION: Final = "3.0/mlflow/prompt-optimization/jobs"
_SEARCH: Final = experiments(Verb.GET, EXPERIMENT)
_OPTIMIZATION_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("POST", _OPTIMIZATION, "CreatePromptOptimizationJob", SERVER_JOB),
    *rpc("GET", f"{_OPTIMIZATION}/{{job_id}}", "GetPromptOptimizationJob", _GET),
    *rpc("GET", f"{_OPTIMIZATION}/search", "SearchPromptOptimizationJobs", _SEARCH),
    *rpc("POST", f"{_OPTIMIZATION}/search", "SearchPromptOptimizationJobs", _SEARCH),
    *rpc("POST", f"{_OPTIMIZATION}/{{job_id}}/cancel", "CancelPromptOptimizationJob", _UPDATE),
    *rpc("DELETE", f"{_OPTIMIZATION}/{{job_id}}", "DeletePromptOptimizationJob", _UPDATE),
)

ROUTES: Final[tuple[Route, ...]] = (*_NATIVE_ROUTES, *_UI_ROUTES, *_OPTIMIZATION_ROUTES)
