"""``routes`` and its filters."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run
from workspace_authz.catalog.compile import compile_catalog


def paths(run: Run, *arguments: str) -> set[str]:
    return {f"{row['method']} {row['path']}" for row in run("routes", "-o", "json", *arguments).json()}


def test_every_route_is_one_line(run: Run) -> None:
    result = run("routes")
    assert result.status == 0
    # The fields of GraphQL documents stand indented below their route.
    rows = [line for line in result.out.splitlines() if not line.startswith(" ")]
    assert len(rows) == len(compile_catalog().entries)
    assert any(
        line.split()[:4] == ["POST", "/api/2.0/mlflow/experiments/create", "create", "experiments"]
        for line in result.out.splitlines()
    )


def test_a_resource_and_a_verb_must_hold_for_one_requirement(run: Run) -> None:
    both = paths(run, "--resource", "gatewaysecrets", "--verb", "create")
    assert "POST /api/3.0/mlflow/gateway/secrets/create" in both
    assert both < paths(run, "--resource", "gatewaysecrets")
    assert not any("/experiments/" in path for path in both)


def test_a_use_is_a_resource_of_its_own(run: Run) -> None:
    used = paths(run, "--resource", "gatewayendpoints/use")
    assert used
    assert used != paths(run, "--resource", "gatewayendpoints")


def test_policies_divide_the_table(run: Run) -> None:
    policies = ("public", "authenticated", "any-right", "refused", "guarded")
    parts = [paths(run, "--policy", policy) for policy in policies]
    assert all(parts)
    assert sum(map(len, parts)) == len(paths(run))
    assert "GET /health" in parts[0]


def test_grep_looks_into_path_operation_and_rule(run: Run) -> None:
    assert paths(run, "--grep", "^post /api/2.0/mlflow/runs/create ") == {"POST /api/2.0/mlflow/runs/create"}
    assert "POST /api/2.0/mlflow/runs/create" in paths(run, "--grep", "CREATErun")
    assert paths(run, "--grep", "update gatewaybudgets") == paths(
        run, "--resource", "gatewaybudgets", "--verb", "update"
    )


def test_the_static_prefix_moves_routes(run: Run) -> None:
    assert "POST /mlflow/api/2.0/mlflow/runs/create" in paths(run, "--static-prefix", "/mlflow")


def test_the_assistant_is_refused_unless_it_is_turned_on(run: Run) -> None:
    assert not paths(run, "--resource", "assistants")
    assert paths(run, "--resource", "assistants", "--assistant")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--grep", "("), "--grep is no regular expression"),
        (("--resource", "runs"), "invalid choice: 'runs'"),
        (("--static-prefix", "mlflow"), "must start with a slash"),
    ],
)
def test_wrong_filters(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run("routes", *arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
