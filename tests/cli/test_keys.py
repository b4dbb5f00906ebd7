"""``keys`` against real API servers: each key is a token that ends with its Secret."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Run
from tests.cli.planes import ALICE, EDNA, LONGEST_TOKEN_SECONDS, MALLORY, TEAM, Plane
from workspace_authz.errors import ConflictError
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.kubernetes.objects import ApiObjects

SECRETS = f"/api/v1/namespaces/{TEAM}/secrets"
AUDIENCE = "mlflow"
_PATIENCE_SECONDS = 120.0
_BETWEEN_SECONDS = 120
"""Between the Secret of a key and its token on a busy machine; what is told apart differs by days."""


@pytest.fixture(autouse=True)
def in_team_a(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WORKSPACE", TEAM)


def asked(plane: Plane, method: str, path: str, document: dict[str, Any] | None = None) -> Any:
    """What the API answers an administrator."""

    async def ask() -> Any:
        connection = server_connection(await load_configuration(str(plane.admin)))
        try:
            objects = ApiObjects(connection, None, 10.0)
            match method:
                case "GET":
                    return await objects.get(path)
                case "PUT":
                    return await objects.replace(path, document or {})
                case _:
                    return await objects.create(path, document or {})
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.fixture
def made(run: Run, plane: Plane) -> Iterator[dict[str, Any]]:
    """A key for MLflow only, of the account ``nightly``."""
    created = run(
        *as_edna(plane), "create", "nightly", "--for", "nightly runs", "--audience", AUDIENCE, "-o", "json"
    )
    assert created.status == 0, created.err
    yield created.json()
    names = [key["name"] for key in run(*as_edna(plane), "list", "-o", "json").json()["keys"]]
    for name in names:
        run(*as_edna(plane), "revoke", name)


def as_edna(plane: Plane, token: str = EDNA) -> tuple[str | Path, ...]:
    return ("keys", "--kubeconfig", plane.server, "--token", token)


def owner(run: Run, plane: Plane, key: str, audience: str = AUDIENCE) -> Any:
    """Who a key's owner is; None where it does not work."""
    result = run("whoami", "--kubeconfig", plane.admin, "--token", key, "--audience", audience, "-o", "json")
    return result.json()["username"] if result.status == 0 else None


def test_a_key_has_the_rights_of_its_account_until_it_is_revoked(
    run: Run, plane: Plane, made: dict[str, Any]
) -> None:
    """Given a key, then it is its account's; when its Secret is gone, it is soon nobody's."""
    assert owner(run, plane, made["key"]) == f"system:serviceaccount:{TEAM}:nightly"
    ended = run(*as_edna(plane), "revoke", made["name"])
    assert ended.out == f"The key {made['name']} ends within 30 seconds.\n"
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while owner(run, plane, made["key"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_secret_says_who_when_until_when_and_for_what(plane: Plane, made: dict[str, Any]) -> None:
    secret = asked(plane, "GET", f"{SECRETS}/{made['name']}")
    assert secret["metadata"]["annotations"] == {
        "workspace-authz/service-account": "nightly",
        "workspace-authz/purpose": "nightly runs",
        "workspace-authz/made-by": "edna",
        "workspace-authz/audience": AUDIENCE,
        "workspace-authz/expires": made["expires"],
    }
    assert secret["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "workspace-authz"
    assert (secret["type"], secret.get("data")) == ("workspace-authz/access-key", None)
    assert made["key"] not in json.dumps(secret)
    lives = datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["made"])
    assert abs(lives.total_seconds() - 90 * 86_400) < _BETWEEN_SECONDS
    assert made["shortened"] is False


def test_the_list_shows_keys_and_no_other_secrets(run: Run, plane: Plane, made: dict[str, Any]) -> None:
    listed = run(*as_edna(plane), "list")
    _, line = listed.out.splitlines()
    assert line.split()[:5] == [made["name"], "nightly", "active", made["expires"], AUDIENCE]
    assert line.endswith("edna     nightly runs")
    assert made["key"] not in listed.out


def test_a_cluster_that_shortens_it_is_told(run: Run, plane: Plane, made: dict[str, Any]) -> None:
    created = run(*as_edna(plane), "create", "nightly", "--for", "x", "--days", "365", "--audience", AUDIENCE)
    assert "a shorter life than you asked for" in created.err
    keys = run(*as_edna(plane), "list", "-o", "json").json()["keys"]
    latest = next(key for key in keys if key["name"] != made["name"])
    lives = datetime.fromisoformat(latest["expires"]) - datetime.fromisoformat(latest["made"])
    assert abs(lives.total_seconds() - LONGEST_TOKEN_SECONDS) < _BETWEEN_SECONDS


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("shell", "export MLFLOW_TRACKING_URI=https://mlflow.test\nexport MLFLOW_TRACKING_TOKEN={key}\n"),
        (
            "env",
            "MLFLOW_TRACKING_URI=https://mlflow.test\nMLFLOW_TRACKING_TOKEN={key}\nMLFLOW_WORKSPACE=team-a\n",
        ),
        ("ci", '  MLFLOW_TRACKING_TOKEN: "${{{{ secrets.MLFLOW_TRACKING_TOKEN }}}}"\n'),
    ],
)
def test_lines_to_copy(
    run: Run, plane: Plane, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch, lines: str, expected: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.test")
    monkeypatch.setenv("WORKSPACE_AUTHZ_AUDIENCES", f"{AUDIENCE}, other")
    created = run(*as_edna(plane), "create", "nightly", "--for", "x", "--print", lines)
    key = next((word for word in created.out.replace("=", " ").split() if word.startswith("ey")), "")
    assert expected.format(key=key) in created.out
    if key:
        assert owner(run, plane, key)


def test_lines_for_python_and_for_a_secret_can_be_read(run: Run, plane: Plane, made: dict[str, Any]) -> None:
    command = (*as_edna(plane), "create", "nightly", "--for", "x", "--audience", AUDIENCE, "--print")
    set_by: dict[str, str] = {}
    code = run(*command, "python").out
    exec(compile(code.replace("os.environ", "set_by"), "lines", "exec"), {"set_by": set_by})
    manifest = yaml.safe_load(run(*command, "secret").out)
    assert (manifest["kind"], manifest["metadata"]["namespace"]) == ("Secret", TEAM)
    for variables in (set_by, manifest["stringData"]):
        assert variables.keys() == {"MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_WORKSPACE"}
        assert owner(run, plane, variables["MLFLOW_TRACKING_TOKEN"])


def test_without_an_audience_it_warns(run: Run, plane: Plane, made: dict[str, Any]) -> None:
    """Given an account with rights on MLflow only, then one word of warning is enough."""
    created = run(*as_edna(plane), "create", "nightly", "--for", "x")
    assert created.status == 0
    assert "also a credential for the Kubernetes API" in created.err
    assert run("whoami", "--kubeconfig", plane.server, "--token", created.out.strip()).status == 0


def test_an_account_that_may_do_more_is_asked_about(run: Run, plane: Plane, made: dict[str, Any]) -> None:
    """Given rights beyond MLflow, then no key is made, and none is left, until somebody insists."""
    command = (*as_edna(plane), "create", "deployer", "--for", "x")
    refused = run(*command)
    assert (refused.status, refused.out) == (1, "")
    assert "may do more in team-a than MLflow" in refused.err
    assert "secrets" in refused.err
    assert [key["name"] for key in listed(run, plane)] == [made["name"]]
    assert run(*command, "--yes").status == 0
    assert run(*command, "--audience", AUDIENCE).status == 0
    assert len(listed(run, plane)) == 3


@pytest.mark.parametrize(("said", "status"), [("y\n", 0), ("no\n", 1), ("", 1)])
def test_somebody_at_a_terminal_is_asked(
    run: Run, plane: Plane, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch, said: str, status: int
) -> None:
    terminal = io.StringIO(said)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    result = run(*as_edna(plane), "create", "deployer", "--for", "x")
    assert result.status == status
    assert "Make it? [y/N]" in result.err
    assert len(listed(run, plane)) == 2 - status


def listed(run: Run, plane: Plane) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = run(*as_edna(plane), "list", "-o", "json").json()["keys"]
    return keys


def test_mlflows_own_roles_are_not_enough(run: Run, plane: Plane) -> None:
    for command in (("create", "nightly", "--for", "x"), ("list",), ("revoke", "mlflow-key-x")):
        refused = run(*as_edna(plane, ALICE), *command)
        assert (refused.status, refused.out) == (2, "")
        assert 'User "alice" cannot' in refused.err
        assert "mlflow-admin alone has not" in refused.err


def test_without_the_right_to_tokens_no_secret_is_left(run: Run, plane: Plane) -> None:
    """Given who may write Secrets and make no tokens, then the refusal says so and nothing is left."""
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "list", "update", "delete"]}]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{TEAM}"
    asked(plane, "POST", f"{rbac}/roles", {"metadata": {"name": "secrets-only"}, "rules": rules})
    subject = {"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "secrets-only"}
    binding = {"metadata": {"name": "secrets-only"}, "roleRef": role, "subjects": [subject]}
    asked(plane, "POST", f"{rbac}/rolebindings", binding)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while run(*as_edna(plane, MALLORY), "list").status != 0:
        assert time.monotonic() < deadline
    refused = run(*as_edna(plane, MALLORY), "create", "nightly", "--for", "x")
    assert refused.status == 2
    assert 'cannot create resource "serviceaccounts/token"' in refused.err
    assert listed(run, plane) == []


def test_an_account_that_is_not_there_leaves_no_secret(run: Run, plane: Plane) -> None:
    refused = run(*as_edna(plane), "create", "absent", "--for", "x")
    assert refused.status == 2
    assert '"absent" not found' in refused.err
    assert listed(run, plane) == []


@pytest.mark.parametrize("name", ["other", "mlflow-key-nobody", "default-token", "../../x", "A", "x,y"])
def test_what_is_no_key_is_not_revoked(run: Run, plane: Plane, name: str) -> None:
    """Given a Secret that is no key, and names that no Secret can have, then nothing is deleted."""
    with_other_secret(plane)
    refused = run(*as_edna(plane), "revoke", name)
    assert refused.status == 2
    assert "no access key" in refused.err or "Name the key" in refused.err
    assert asked(plane, "GET", f"{SECRETS}/other")["data"] == {"password": "eA=="}


def with_other_secret(plane: Plane) -> None:
    metadata = {"name": "other", "labels": {"app.kubernetes.io/managed-by": "workspace-authz"}}
    with suppress(ConflictError):
        asked(plane, "POST", SECRETS, {"metadata": metadata, "data": {"password": "eA=="}})


def test_expired_and_unfinished_keys_say_so_and_can_be_removed(
    run: Run, plane: Plane, made: dict[str, Any]
) -> None:
    secret = asked(plane, "GET", f"{SECRETS}/{made['name']}")
    secret["metadata"]["annotations"]["workspace-authz/expires"] = "2020-01-01T00:00:00Z"
    secret["metadata"]["annotations"]["workspace-authz/purpose"] = "\x1b[31mred"
    asked(plane, "PUT", f"{SECRETS}/{made['name']}", secret)
    assert [key["state"] for key in listed(run, plane)] == ["expired"]
    assert "\x1b" not in run(*as_edna(plane), "list").out
    assert run(*as_edna(plane), "revoke", made["name"]).status == 0
    assert listed(run, plane) == []


def test_a_certificates_user_makes_keys_too(run: Run, plane: Plane, made: dict[str, Any]) -> None:
    """Given a kubeconfig without a token, then the new key is still asked about as itself."""
    command = ("keys", "--kubeconfig", plane.certificate, "create")
    created = run(*command, "nightly", "--for", "x", "-o", "json")
    assert created.status == 0, created.err
    assert created.json()["made_by"] == "admin"
    assert run(*command, "deployer", "--for", "x").status == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create",), "create takes an ACCOUNT"),
        (("list", "x"), "list neither"),
        (("create", "nightly"), "with --for"),
        (("create", "nightly", "--for", "x", "--days", "366"), "1 to 365 days"),
        (("create", "nightly", "--for", "x", "--days", "1_0"), "1 to 365 days"),
        (("create", "nightly", "--for", "x\ny"), "printable characters"),
        (("create", "nightly", "--for", "x" * 201), "printable characters"),
        (("create", "team-a/nightly", "--for", "x"), "Name a service account"),
        (("create", "nightly", "--for", "x", "--audience", "a b"), "An audience has"),
        (("list", "-n", "Team_A"), "Name the workspace"),
    ],
)
def test_what_cannot_be_meant(run: Run, plane: Plane, arguments: tuple[str, ...], said: str) -> None:
    result = run(*as_edna(plane), *arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err


def test_times_are_the_api_servers(made: dict[str, Any]) -> None:
    assert abs((datetime.now(UTC) - datetime.fromisoformat(made["made"])).total_seconds()) < 300
