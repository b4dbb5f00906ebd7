"""MLflow's app as the adapter makes it: patched, with the guard in its place and the background work."""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from mlflow.gateway import budget, guardrail_utils, guardrails
from mlflow.genai.judges import structured_judge
from mlflow.genai.judges.adapters import utils as judges
from mlflow.server import app as flask_app
from mlflow.server import handlers
from mlflow.server.fastapi_security import init_fastapi_security
from mlflow.tracking.context import registry

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.mlflow_adapter import patches, server
from workspace_authz.mlflow_adapter.patches import (
    attribution,
    budgets,
    judge_cache,
)
from workspace_authz.mlflow_adapter.patches import (
    guardrails as guardrail_patch,
)
from workspace_authz.mlflow_adapter.server import (
    GuardMiddlewares,
    add_background,
    add_guard,
    create_patched_app,
)

MODULES = [module.name for module in pkgutil.iter_modules(patches.__path__)]
REPLACED = (
    (handlers, "_get_user", attribution.current_username),
    (handlers, "MlflowClient", attribution.CurrentUserClient),
    (handlers, "_is_server_auth_enabled", attribution.is_server_auth_enabled),
    (budget, "calculate_existing_cost_for_windows", budgets.workspace_cost_for_windows),
    (guardrails, "send_request", guardrail_patch.send_request),
    (structured_judge, "_resolve_gateway_uri", judge_cache.gateway_uri),
)
OTHERS = ((guardrail_utils, "get_server_base_url"), (judges, "requests"))


@pytest.fixture
def mlflow_restored() -> Iterator[None]:
    """MLflow is afterwards as it was."""
    names = [(module, name) for module, name, _ in REPLACED] + list(OTHERS)
    before = [(module, name, getattr(module, name)) for module, name in names]
    providers = [*registry._run_context_provider_registry._registry]
    functions = [*flask_app.before_request_funcs.get(None, ())]
    yield
    for module, name, value in before:
        setattr(module, name, value)
    registry._run_context_provider_registry._registry[:] = providers
    flask_app.before_request_funcs[None] = functions


@pytest.mark.usefixtures("mlflow_restored")
def test_the_app_comes_with_every_process_wide_patch() -> None:
    assert isinstance(create_patched_app(static_prefix="/p"), FastAPI)
    for module, name, replacement in REPLACED:
        assert getattr(module, name) is replacement, name
    assert guardrail_utils.get_server_base_url.args == ("/p",)
    assert isinstance(judges.requests, guardrail_patch.JudgeRequests)
    assert flask_app.before_request_funcs[None][0] is attribution.set_flask_user


def _source(path: str | None) -> ast.Module:
    assert path is not None
    return ast.parse(Path(path).read_text())


@pytest.mark.parametrize("name", MODULES)
def test_every_patch_is_applied_by_the_server(name: str) -> None:
    module = f"{patches.__name__}.{name}"
    imported, used = set(), set()
    for node in ast.walk(_source(server.__file__)):
        if isinstance(node, ast.ImportFrom) and node.module == patches.__name__:
            imported |= {f"{name}.apply" for alias in node.names if alias.name == name}
        elif isinstance(node, ast.ImportFrom) and node.module == module:
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call):
            used |= {ast.unparse(node.func), *map(ast.unparse, node.args)}
    assert imported
    assert imported <= used


@pytest.mark.parametrize("name", MODULES)
def test_every_patch_names_the_version_the_symbol_and_what_goes_wrong(name: str) -> None:
    text = " ".join((import_module(f"{patches.__name__}.{name}").__doc__ or "").split())
    assert re.search(r"^[^.]+ \(MLflow 3\.\d+\.\d+(, 3\.\d+\.\d+)*( and 3\.\d+\.\d+)?\)\.", text)
    assert re.search(r"``mlflow\.[a-z_.]+", text)
    assert "Without this patch" in text


@pytest.mark.parametrize("name", MODULES)
def test_a_patch_replaces_nothing_that_mlflow_lacks(name: str) -> None:
    """A replacement that nobody calls would only look like one, so ``replace_attribute`` sets it."""
    tree = _source(import_module(f"{patches.__name__}.{name}").__file__)
    assigned = {ast.unparse(node.targets[0]) for node in ast.walk(tree) if isinstance(node, ast.Assign)}
    modules = {"budget", "guardrail_utils", "guardrails", "handlers", "judges", "structured_judge"}
    assert [target for target in assigned if target.partition(".")[0] in modules and "." in target] == []


class Recorder:
    """A middleware that records when it is entered."""

    def __init__(self, app: App, *, name: str, entered: list[str]) -> None:
        self._app = app
        self._name = name
        self._entered = entered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._entered.append(self._name)
        await self._app(scope, receive, send)


async def _ask(app: App, *headers: tuple[bytes, bytes]) -> int:
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/none",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *headers],
    }
    await app(scope, receive, send)
    return statuses[0]


async def test_the_guard_is_asked_from_the_outside_and_behind_mlflows_protection() -> None:
    app, entered = FastAPI(), list[str]()
    init_fastapi_security(app)
    wrap = [partial(Recorder, name=name, entered=entered) for name in ("a", "b", "c", "d")]
    add_guard(app, GuardMiddlewares(public=wrap[:2], protected=wrap[2:]), static_prefix="")
    assert await _ask(app) == 404
    assert entered == ["a", "b", "c", "d"]
    entered.clear()
    assert await _ask(app, (b"origin", b"https://evil.example")) == 403
    assert entered == ["a", "b"]


async def test_background_work_surrounds_the_apps_own_lifespan() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def noting(name: str, state: Any = None) -> AsyncIterator[Any]:
        events.append(f"{name} starts")
        yield state
        events.append(f"{name} ends")

    app = FastAPI(lifespan=lambda _: noting("MLflow", {"its": "state"}))
    add_background(app, lambda: noting("guard"))
    async with app.router.lifespan_context(app) as state:
        assert state == {"its": "state"}
    assert events == ["guard starts", "MLflow starts", "MLflow ends", "guard ends"]


def test_every_protection_that_mlflow_has_is_one_that_we_know() -> None:
    """A later MLflow's other one would stand behind the guard: a decision is needed first."""
    app = FastAPI()
    init_fastapi_security(app)
    assert {getattr(each.cls, "__name__", "") for each in app.user_middleware} <= {
        "HostValidationMiddleware",
        "CORSMiddleware",
        "CORSBlockingMiddleware",
        "SecurityHeadersMiddleware",
    }
