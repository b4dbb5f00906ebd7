"""What is wrong is said before a worker starts: one sentence, and a status that is not zero."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.harness.forked import Ended, mlflow_command
from tests.harness.processes import ROOT, clean_environment, free_port, running
from tests.harness.server import ServerOptions

_SECONDS = 120.0
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:9"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""
"""Of an API server that is not there: nothing of this asks it anything."""

UNKNOWN_ROUTE = '''
"""A later MLflow, which serves a route that nobody has heard of."""
from fastapi.routing import APIRoute

import mlflow.server.fastapi_app as fastapi_app

create_fastapi_app = fastapi_app.create_fastapi_app


def create_app_of_tomorrow(*arguments, **named):
    app = create_fastapi_app(*arguments, **named)
    app.router.routes.insert(0, APIRoute("/api/4.0/mlflow/tomorrow", lambda: {}, methods=["POST"]))
    return app


fastapi_app.create_fastapi_app = create_app_of_tomorrow
'''

MISSING_FUNCTION = """
import mlflow.server.handlers as handlers

del handlers._is_server_auth_enabled
"""
"""A later MLflow, which has renamed something."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that stops the start, and what must be said about it."""

    says: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    workspaces: bool = True
    workspace_store: str = "kubernetes://"
    backend_store: bool = True
    tomorrow: str = ""
    """Code of a later MLflow."""


MISTAKES = {
    "gunicorn": Mistake(
        "runs under uvicorn, not gunicorn.*--uvicorn-opts", ("--gunicorn-opts", "--timeout 60")
    ),
    "waitress": Mistake(
        "runs under uvicorn, not waitress.*--uvicorn-opts", ("--waitress-opts", "--threads=2")
    ),
    "artifacts-only": Mistake("cannot guard --artifacts-only", ("--artifacts-only",), backend_store=False),
    "artifacts of nobody": Mistake(
        "--default-artifact-root mlflow-artifacts:/workspaces/x .*'workspaces'",
        ("--default-artifact-root", "mlflow-artifacts:/workspaces/x"),
        environment={"MLFLOW_K8S_AUTH_NAMESPACE": "team-a"},
        workspaces=False,  # with workspaces MLflow itself refuses it
    ),
    "sources among artifacts": Mistake(
        "WORKSPACE_AUTHZ_MODEL_SOURCES: s3://bucket/mlflow/1 overlaps s3://bucket/mlflow",
        ("--artifacts-destination", "s3://bucket/mlflow"),
        environment={"WORKSPACE_AUTHZ_MODEL_SOURCES": "s3://models/shared,s3://bucket/mlflow/1"},
    ),
    "sources of no store": Mistake(
        "WORKSPACE_AUTHZ_MODEL_SOURCES: file:///models can be no prefix",
        environment={"WORKSPACE_AUTHZ_MODEL_SOURCES": "file:///models"},
    ),
    "custom scorers": Mistake(
        "unset MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS",
        environment={"MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS": "true"},
    ),
    "review for others": Mistake(
        "nothing says which proxy may name users",
        environment={"MLFLOW_K8S_AUTH_AUTHORIZATION_MODE": "subject_access_review"},
    ),
    "identity headers": Mistake(
        "MLFLOW_K8S_AUTH_REMOTE_USER_HEADER is set",
        environment={"MLFLOW_K8S_AUTH_REMOTE_USER_HEADER": "x-remote-user"},
    ),
    "only audiences, and none": Mistake(
        "AUDIENCES_ONLY is set, but no audience is",
        environment={"WORKSPACE_AUTHZ_AUDIENCES_ONLY": "true", "WORKSPACE_AUTHZ_AUDIENCES": " , "},
    ),
    "selector": Mistake("label selector", workspace_store="kubernetes://?label_selector=a%20b%20c"),
    "selector by setting": Mistake(
        "label selector", environment={"MLFLOW_K8S_WORKSPACE_LABEL_SELECTOR": "a in ("}
    ),
    "another store": Mistake("--workspace-store-uri kubernetes://", workspace_store="sqlite:///w.db"),
    "namespace with workspaces": Mistake(
        "MLFLOW_K8S_AUTH_NAMESPACE is for a server without workspaces",
        environment={"MLFLOW_K8S_AUTH_NAMESPACE": "team-a"},
    ),
    "no namespace without workspaces": Mistake("set MLFLOW_K8S_AUTH_NAMESPACE", workspaces=False),
    "contradiction": Mistake(
        "disagree; set both alike", environment={"MLFLOW_K8S_AUTH_WORKSPACES_ENABLED": "false"}
    ),
    "no kubeconfig": Mistake("KUBECONFIG|Kubernetes configuration", environment={"KUBECONFIG": "/nowhere"}),
    "a number": Mistake("allow_seconds|ALLOW_SECONDS", environment={"WORKSPACE_AUTHZ_ALLOW_SECONDS": "soon"}),
    "audit file": Mistake(
        "audit file .* cannot be written", environment={"WORKSPACE_AUTHZ_AUDIT_SINK": "/no/such/folder/audit"}
    ),
    "strict": Mistake(
        "1 of MLflow's routes have no rule: POST /api/4.0/mlflow/tomorrow",
        environment={"WORKSPACE_AUTHZ_STRICT": "true"},
        tomorrow=UNKNOWN_ROUTE,
    ),
    "strict, and a function is gone": Mistake(
        r"MLflow \S+ lacks mlflow\.server\.handlers\._is_server_auth_enabled: refused are CreateGateway",
        environment={"WORKSPACE_AUTHZ_STRICT": "true"},
        tomorrow=MISSING_FUNCTION,
    ),
}


@pytest.fixture
def options(database: Path, tmp_path: Path) -> ServerOptions:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    return ServerOptions(kubeconfig=kubeconfig, database=database)


def started_with(mistake: Mistake, options: ServerOptions, *, workers: int) -> ServerOptions:
    return replace(
        options,
        workers=workers,
        arguments=mistake.arguments,
        environment=mistake.environment,
        workspaces=mistake.workspaces,
        workspace_store=mistake.workspace_store,
        backend_store=mistake.backend_store,
    )


def environment_of(mistake: Mistake, options: ServerOptions, directory: Path) -> dict[str, str]:
    path = [str(ROOT)]
    if mistake.tomorrow:
        (directory / "sitecustomize.py").write_text(mistake.tomorrow)
        path.insert(0, str(directory))
    return {**clean_environment(), **options.variables(directory), "PYTHONPATH": os.pathsep.join(path)}


def then_it_stopped(ended: Ended, mistake: Mistake) -> None:
    """With one clear sentence, before any worker."""
    assert ended.status not in (0, None), ended.output
    complaints = [line for line in ended.output.splitlines() if line.startswith("Error:")]
    assert len(complaints) == 1, ended.output
    assert re.search(mistake.says, complaints[0]), ended.output
    assert "Traceback" not in ended.output
    for sign in ("Started server process", "Started parent process", "Uvicorn running", "Listening at"):
        assert sign not in ended.output


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_stops_the_start(options: ServerOptions, tmp_path: Path, name: str, workers: int) -> None:
    """Given a mistake, when a server is started with any number of workers, then its parent says so."""
    mistake = MISTAKES[name]
    given = started_with(mistake, options, workers=workers)
    given.prepare(tmp_path)
    arguments = [str(part) for part in given.command(tmp_path, free_port())[1:]]
    ended = mlflow_command(
        arguments, environment=environment_of(mistake, given, tmp_path), directory=tmp_path
    )
    then_it_stopped(ended, mistake)


@pytest.mark.parametrize(("name", "workers"), [("custom scorers", 1), ("strict", 4)])
def test_a_mistake_stops_the_very_command(
    options: ServerOptions, tmp_path: Path, name: str, workers: int
) -> None:
    """The same with the command itself, from the shell's point of view."""
    mistake = MISTAKES[name]
    given = started_with(mistake, options, workers=workers)
    given.prepare(tmp_path)
    environment = environment_of(mistake, given, tmp_path)
    command = given.command(tmp_path, free_port())
    with running(command, log=tmp_path / "mlflow.log", environment=environment) as process:
        status = process.process.wait(_SECONDS)
        then_it_stopped(Ended(status, process.output), mistake)


def test_the_other_name_of_the_app(options: ServerOptions, tmp_path: Path) -> None:
    """Given the plugin's name for the app, then it is the same app, with the same checks."""
    mistake = MISTAKES["custom scorers"]
    given = replace(started_with(mistake, options, workers=1), app_name="kubernetes-auth")
    given.prepare(tmp_path)
    arguments = [str(part) for part in given.command(tmp_path, free_port())[1:]]
    ended = mlflow_command(
        arguments, environment=environment_of(mistake, given, tmp_path), directory=tmp_path
    )
    then_it_stopped(ended, mistake)
