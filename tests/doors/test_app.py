"""The app that MLflow hosts: who stands before whom, and what the parent and the workers are told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from fastapi import FastAPI
from mlflow.server.fastapi_app import create_fastapi_app
from mlflow.utils.plugins import get_entry_points

from workspace_authz.doors import app as entry_point
from workspace_authz.doors import assembly
from workspace_authz.doors.preflight import check, check_parent, namespace_policy
from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.options import ServerOptions, from_environment, from_parent
from workspace_authz.settings.settings import load_settings
from workspace_authz.telemetry.workers import RUN_DIRECTORY, WORKERS

GOOD = ServerOptions(
    server="uvicorn",
    workspaces=True,
    workspace_store_uri="kubernetes://",
    static_prefix="",
    serve_artifacts=True,
    artifacts_only=False,
)
WORKER = {
    "_MLFLOW_SGI_NAME": "uvicorn",
    "_MLFLOW_STATIC_PREFIX": "/mlflow",
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    "MLFLOW_ENABLE_WORKSPACES": "true",
    "MLFLOW_WORKSPACE_STORE_URI": "kubernetes://",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "_MLFLOW_", "WORKSPACE_AUTHZ_", "KUBE")):
            monkeypatch.delenv(name)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mapping[str, str]:
    for name, value in {**WORKER, RUN_DIRECTORY: str(tmp_path), WORKERS: "1"}.items():
        monkeypatch.setenv(name, value)
    return WORKER


def guarded_app() -> FastAPI:
    app = assembly.guarded_app()
    assert isinstance(app, FastAPI)
    return app


def names_of(app: FastAPI) -> list[str]:
    """The classes of the middlewares, from the outside."""
    classes = [getattr(middleware.cls, "func", middleware.cls) for middleware in app.user_middleware]
    return [getattr(each, "__name__", "") for each in classes]


def test_both_names_lead_to_the_same_app() -> None:
    found = {entry.name: entry.value for entry in get_entry_points("mlflow.app")}
    assert found["workspace-authz"] == found["kubernetes-auth"] == "workspace_authz.doors.app:create_app"


def test_a_worker_gets_the_app() -> None:
    assert entry_point.create_app is assembly.create_app


_PARENT = """
import sys, click
with click.Context(click.Command("server")) as context:
    context.params = {"gunicorn_opts": None, "enable_workspaces": True, "workspace_store_uri": "kubernetes://"}
    from workspace_authz.doors.app import create_app
heavy = {"mlflow", "fastapi", "starlette", "flask", "workspace_authz.runtime.build"}
print(type(create_app).__name__, *sorted(heavy & set(sys.modules)))
"""


def test_the_parent_imports_no_app(tmp_path: Path) -> None:
    """The workers wait for it, and import all that themselves."""
    kubeconfig = tmp_path / "kubeconfig"
    cluster, user = '{server: "https://127.0.0.1:1"}', "{token: abc}"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: a, "
        "contexts: [{name: a, context: {cluster: c, user: u}}], "
        f"clusters: [{{name: c, cluster: {cluster}}}], users: [{{name: u, user: {user}}}]}}"
    )
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    said = subprocess.check_output([sys.executable, "-c", _PARENT], env=environment, text=True)
    assert said.split() == ["function"]


def test_the_guard_stands_before_mlflows_workspaces_and_behind_its_protection(
    worker: Mapping[str, str],
) -> None:
    names = names_of(guarded_app())
    assert names[:2] == ["ProbesMiddleware", "MetricsMiddleware"]
    guard = names.index("GuardMiddleware")
    assert names[guard - 3 : guard] == ["BrowserMiddleware", "ExplainMiddleware", "OwnRoutesMiddleware"]
    before, behind = names[2 : guard - 3], names[guard + 1 :]
    assert before[-1] == "OriginMiddleware"
    assert set(before[:-1]) == {"HostValidationMiddleware", "CORSMiddleware", "CORSBlockingMiddleware"}
    assert not set(behind) & set(before)
    assert behind  # MLflow's own workspace middleware is among them


def test_without_mlflows_protection_there_is_none_of_ours(
    worker: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true")
    assert "OriginMiddleware" not in names_of(guarded_app())


def test_no_middleware_of_mlflows_is_lost(worker: Mapping[str, str]) -> None:
    stock = create_fastapi_app()
    ours = {
        "ProbesMiddleware",
        "MetricsMiddleware",
        "OriginMiddleware",
        "BrowserMiddleware",
        "ExplainMiddleware",
        "OwnRoutesMiddleware",
        "GuardMiddleware",
        "StoreErrorsMiddleware",
    }
    same_as = {"WorkspaceMiddleware": "BaseHTTPMiddleware", "PathPrefixMiddleware": "BaseHTTPMiddleware"}
    guarded = [same_as.get(name, name) for name in names_of(guarded_app()) if name not in ours]
    assert sorted(guarded) == sorted(names_of(stock))


def test_a_worker_that_is_started_wrongly_builds_no_app(
    worker: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_MLFLOW_SGI_NAME", "gunicorn")
    with pytest.raises(ConfigurationError, match="not gunicorn"):
        assembly.guarded_app()


def test_a_worker_finds_its_options_in_the_environment() -> None:
    assert from_environment(WORKER) == replace(GOOD, static_prefix="/mlflow")
    assert from_environment({}) == replace(
        GOOD, workspaces=False, workspace_store_uri=None, serve_artifacts=False
    )


@pytest.fixture
def command() -> Iterator[click.Context]:
    """``mlflow server`` as its parent process sees it."""
    with click.Context(click.Command("server")) as context:
        context.params = {
            "gunicorn_opts": None,
            "waitress_opts": None,
            "enable_workspaces": True,
            "workspace_store_uri": "kubernetes://",
            "static_prefix": None,
            "serve_artifacts": True,
            "artifacts_only": False,
        }
        yield context


def test_the_parent_finds_them_in_its_command_line(command: click.Context) -> None:
    assert from_parent() == replace(GOOD, workers=4)
    command.params |= {"gunicorn_opts": "", "static_prefix": "/p"}
    options = from_parent()
    assert options is not None
    assert (options.server, options.static_prefix) == ("gunicorn", "/p")
    command.params |= {"gunicorn_opts": None, "waitress_opts": "--threads=1"}
    options = from_parent()
    assert options is not None
    assert options.server == "waitress"


@pytest.mark.parametrize(
    ("parameters", "workers"),
    [
        ({"workers": 2}, 2),
        ({"workers": None, "uvicorn_opts": "--http h11"}, 4),
        ({"workers": 2, "uvicorn_opts": "--reload --log-level debug"}, 1),
        ({"workers": 2, "dev": True}, 1),
    ],
)
def test_the_parent_knows_how_many_will_serve(
    command: click.Context, parameters: dict[str, Any], workers: int
) -> None:
    command.params |= parameters
    options = from_parent()
    assert options is not None
    assert options.workers == workers


@pytest.mark.parametrize(
    ("uvicorn_opts", "http"),
    [
        (None, None),
        ("--log-level debug", None),
        ("--http httptools", "httptools"),
        ("--http=httptools --no-access-log", "httptools"),
        ("--http httptools --http=h11", "h11"),
        ("--http", ""),
    ],
)
def test_the_parent_knows_which_parser_is_asked_for(
    command: click.Context, uvicorn_opts: str | None, http: str | None
) -> None:
    command.params |= {"uvicorn_opts": uvicorn_opts}
    options = from_parent()
    assert options is not None
    assert options.http == http


def test_any_other_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSPACE_AUTHZ_ALLOW_SECONDS", "nonsense")
    assert from_parent() is None
    check_parent()
    with click.Context(click.Command("gc")):
        assert from_parent() is None
        check_parent()


def test_the_parent_stops_with_the_sentence(command: click.Context, tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="set KUBECONFIG"):
        check_parent()


def test_a_kubernetes_store_is_demanded_with_workspaces_only() -> None:
    settings = load_settings()
    assert namespace_policy(GOOD, settings) is not None
    for uri in (None, "sqlite:///x.db", "kubernetes"):
        other = replace(GOOD, workspace_store_uri=uri)
        with pytest.raises(ConfigurationError, match="kubernetes://"):
            namespace_policy(other, settings)
    assert namespace_policy(replace(GOOD, workspaces=False, workspace_store_uri=None), settings) is None


def test_the_uris_parameters_and_the_settings_say_which_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_K8S_WORKSPACE_LABEL_SELECTOR", "from=setting")
    by_setting = namespace_policy(GOOD, load_settings())
    uri = "kubernetes://?label_selector=from%3Duri&default_workspace=shared"
    by_uri = namespace_policy(replace(GOOD, workspace_store_uri=uri), load_settings())
    assert by_setting is not None
    assert by_uri is not None
    assert by_setting.label_selector == "from=setting"
    assert (by_uri.label_selector, by_uri.default_workspace) == ("from=uri", "shared")


def test_a_setting_without_effect_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_K8S_AUTH_USERNAME_CLAIM", "email")
    check(GOOD, load_settings(), environ={})
    assert "MLFLOW_K8S_AUTH_USERNAME_CLAIM has no effect" in caplog.text
