"""Everything that compat relies on, taken away one by one from a real MLflow before the guard starts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness.processes import ROOT, clean_environment
from tests.harness.releases import NEWEST, USUAL, has, programs_of
from workspace_authz.catalog.model import Refused
from workspace_authz.catalog.routes import all_routes
from workspace_authz.mlflow_adapter.relied_on import (
    RELIED_ON,
    Refuses,
    RefusesCommand,
    Reliance,
    Replaced,
    Stops,
)

RELEASE: Final = metadata.version("mlflow")

ESSENTIAL: Final[Mapping[str, str]] = {
    "mlflow.server.app": "no app",
    "mlflow.server.fastapi_app.create_fastapi_app": "no app",
    "mlflow.server.fastapi_security.CORSBlockingMiddleware": "pages of other sites",
    "mlflow.server.fastapi_security.HostValidationMiddleware": "pages of other sites",
    "mlflow.server.fastapi_security.get_allowed_origins": "pages of other sites",
    "mlflow.server.security_utils.is_localhost_origin": "pages of other sites",
    "mlflow.server.security_utils.should_block_cors_request": "pages of other sites",
    "mlflow.server.handlers._get_request_message": "which objects a request names",
    "mlflow.server.handlers._get_model_registry_store": "whose they are",
    "mlflow.server.handlers._get_tracking_store": "whose they are",
    "mlflow.server.workspace_helpers.WORKSPACE_HEADER_NAME": "in which workspace",
    "mlflow.server.workspace_helpers.resolve_workspace_for_request_if_enabled": "in which workspace",
    "mlflow.utils.workspace_context.clear_server_request_workspace": "in which workspace",
    "mlflow.utils.workspace_context.set_server_request_workspace": "in which workspace",
    "mlflow.store.db.utils.Base": "whose they are",
    "mlflow.store.tracking.dbmodels.models.SqlExperiment": "whose they are",
}
"""The short list: what stops the start, and a word of the reason."""


def _is_table(reliance: Reliance) -> bool:
    return "dbmodels" in reliance.module


def _tables() -> Iterator[Reliance]:
    """Each table once: :mod:`.test_compat` takes their columns away."""
    found = {}
    for each in filter(_is_table, RELIED_ON):
        found[each.module, each.names[0].partition(".")[0]] = each.without
    for (module, table), without in found.items():
        yield Reliance(module, (table,), without)


SERVED: Final = frozenset(route.operation for route in all_routes() if has(USUAL, route))
"""By the usual release."""


def _is_used(reliance: Reliance) -> bool:
    return not (isinstance(reliance.without, Refuses) and reliance.without.operations.isdisjoint(SERVED))


TAKEN: Final = (*(each for each in RELIED_ON if not _is_table(each)), *_tables())

ALREADY_REFUSED: Final = frozenset(
    route.operation for route in all_routes() if isinstance(route.policy, Refused)
)
"""On every release, for a reason of their own."""

Lacking = Callable[[Reliance], Mapping[str, Any]]


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lacking]:
    """Start the guard on an MLflow without something, which says what came of it."""
    with guards_lacking(USUAL, tmp_path_factory.mktemp("lacking")) as ask:
        yield ask


@contextmanager
def guards_lacking(release: str, state: Path) -> Iterator[Lacking]:
    """The same for any release."""
    environment = {
        **clean_environment(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_K8S_AUTH_NAMESPACE": "team-a",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{state / 'mlflow.db'}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(state / "artifacts"),
        "HOME": str(state),
    }
    with (
        (state / "log").open("w") as log,
        subprocess.Popen(
            [programs_of(release) / "python", "-m", "tests.mlflow_adapter.lacking"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            env=environment,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(reliance: Reliance) -> Mapping[str, Any]:
            process.stdin.write(json.dumps([reliance.module, *reliance.names]) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            answer = process.stdout.readline()  # type: ignore[union-attr]
            assert answer, (state / "log").read_text()
            result: Mapping[str, Any] = json.loads(answer)
            assert "failed" not in result, result["failed"]
            return result

        yield ask
        process.stdin.close()


def test_what_only_the_newest_release_has(tmp_path: Path) -> None:
    """Given MLflow 3.18 without a table or a function of its own, then what they protect is refused."""
    (skills,) = (each for each in TAKEN if each.names == ("SqlSkill",))
    (address,) = (each for each in TAKEN if "get_server_self_url" in each.names)
    with guards_lacking(NEWEST, tmp_path) as ask:
        for reliance in (skills, address):
            result = ask(reliance)
            assert isinstance(reliance.without, Refuses)
            assert set(result["refused"]) == reliance.without.operations
            assert any(f"lacks {reliance}" in text for text in result["warned"])
            assert result["served"][0] == 200


@pytest.mark.parametrize(
    "module",
    [
        "mlflow.gateway.guardrails",
        "mlflow.genai.judges.structured_judge",
        "mlflow.server.graphql.graphql_schema_extensions",
        "mlflow.server.otel_api",
        "mlflow.utils.search_utils",
    ],
)
def test_without_the_whole_module(module: str, lacking: Lacking) -> None:
    """Given an MLflow without it, then all that its functions protect is refused, and the rest serves."""
    result = lacking(Reliance(module, ("",), RefusesCommand()))
    lacked = [each for each in RELIED_ON if each.module == module]
    expected = {
        operation
        for each in lacked
        if isinstance(each.without, Refuses)
        for operation in each.without.operations
    }
    assert result["refused"].keys() == expected
    assert len(result["warned"]) == result["counted"] == len(lacked)
    assert (result["served"][0], result["searched"][0]) == (200, 200)


def test_the_short_list_is_complete() -> None:
    assert {str(each) for each in TAKEN if isinstance(each.without, Stops)} == ESSENTIAL.keys()


@pytest.mark.parametrize("reliance", [each for each in TAKEN if _is_used(each)], ids=str)
def test_without_it(reliance: Reliance, lacking: Lacking) -> None:
    """Given an MLflow without it, then what it protects is refused and named, and the rest serves."""
    result = lacking(reliance)
    if isinstance(reliance.without, Stops):
        assert f"MLflow {RELEASE} lacks what workspace-authz relies on: {reliance}" in result["stopped"]
        assert ESSENTIAL[str(reliance)] in result["stopped"]
        return
    named = f"MLflow {RELEASE} lacks {reliance}"
    warned = [text for text in result["warned"] if text.startswith(named)]
    assert warned
    assert sorted(warned) == sorted(result["warned"])
    assert result["counted"] == len(warned)
    operations = reliance.without.operations if isinstance(reliance.without, Refuses) else frozenset()
    assert set(result["refused"]) == operations - ALREADY_REFUSED
    for operation, (status, text) in result["refused"].items():
        assert (operation, status, named in json.loads(text)["message"]) == (operation, 403, True)
        assert operation in warned[0]
    assert result["served"][0] == 200, result["served"]
    assert json.loads(result["served"][1])["experiment"]["experiment_id"] == "0"
    assert result["searched"][0] == (403 if "SearchExperiments" in operations else 200)
    lacks = isinstance(reliance.without, RefusesCommand)
    assert (str(reliance) in result["command"]) is lacks
    if isinstance(reliance.without, Replaced):
        assert reliance.without.by in warned[0]
