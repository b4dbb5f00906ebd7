"""``check`` on installations that are well, and on ones with each kind of trouble."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Result, Run
from tests.cli.kubeconfigs import kubeconfig
from tests.cli.planes import ALICE, Plane
from tests.cli.servers import scripted
from workspace_authz.cli.checks import software
from workspace_authz.cli.checks.finding import Level
from workspace_authz.roles.generate import cluster_roles

ROOT = Path(__file__).parents[2]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
WHO = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews"
MAY = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RULES = "POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
BASIC_USER = f"GET {RBAC}/clusterrolebindings/system:basic-user"
NAMESPACES = "GET /api/v1/namespaces"
REFUSED = (403, {"message": "not allowed"})


def healthy() -> dict[str, tuple[int, Any]]:
    """An API server in which the server may do everything and nothing else is installed."""
    return {
        "GET /version": (200, {"gitVersion": "v1.99.0"}),
        WHO: (201, {"status": {"userInfo": {"username": "system:serviceaccount:mlflow:server"}}}),
        MAY: (201, {"status": {"allowed": True}}),
        RULES: (201, {"status": {"resourceRules": []}}),
        BASIC_USER: (200, {"subjects": [{"kind": "Group", "name": "system:authenticated"}]}),
        NAMESPACES: (200, {"items": [{"metadata": {"name": "team-a", "labels": {"mlflow": "yes"}}}]}),
    }


def findings(result: Result) -> dict[str, dict[str, str]]:
    return {finding["check"]: finding for finding in result.json()}


@pytest.fixture
def check(run: Run, tmp_path: Path) -> Any:
    """Run ``check`` against an API server with these answers."""

    def check(answers: dict[str, tuple[int, Any]], *arguments: str, **headers: str) -> Result:
        with scripted(answers) as server:
            server.headers.update(headers or {"Date": formatdate(usegmt=True)})
            path = kubeconfig(
                tmp_path / "kubeconfig", cluster={"server": server.url}, user={"token": "hidden-token"}
            )
            result = run("check", "--no-routes", "-o", "json", "--kubeconfig", path, *arguments)
        assert "hidden-token" not in result.out + result.err
        return result

    return check


def test_the_server_as_installed_is_well(run: Run, plane: Plane) -> None:
    result = run("check", "--no-routes", "--kubeconfig", plane.server, "-o", "json")
    found = findings(result)
    assert result.status == 0
    assert found["who-am-i"]["what"] == "the server itself is system:serviceaccount:mlflow:mlflow"
    assert {name for name, finding in found.items() if finding["level"] != "ok"} == set()


def test_an_administrator_sees_the_roles_and_is_too_mighty_for_a_server(run: Run, plane: Plane) -> None:
    result = run("check", "--no-routes", "--kubeconfig", plane.admin, "-o", "json")
    found = findings(result)
    assert result.status == 0
    assert {name for name, finding in found.items() if finding["level"] != "ok"} == {"least-privilege"}
    assert "create pods, get secrets" in found["least-privilege"]["what"]


def test_a_server_without_rights_is_told_the_command(run: Run, plane: Plane, tmp_path: Path) -> None:
    config = plane.server.read_text().splitlines()
    text = "\n".join(f"    token: {ALICE}" if line.lstrip().startswith("token:") else line for line in config)
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    result = run("check", "--no-routes", "--kubeconfig", path)
    assert result.status == 1
    assert "failing  own-rights       the server may not get namespaces or list namespaces" in result.out
    assert (
        "kubectl create clusterrolebinding mlflow-server --clusterrole=mlflow-server --user=alice"
        in result.out
    )
    assert ALICE not in result.out


def test_every_level_but_ok_comes_with_a_fix(check: Any) -> None:
    for finding in check({**healthy(), WHO: REFUSED, RULES: REFUSED}).json():
        assert (finding["level"] == "ok") != bool(finding["fix"])


def test_an_api_server_that_is_away(run: Run, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", cluster={"server": "http://127.0.0.1:9"}, user={"token": "t"})
    result = run("check", "--no-routes", "--kubeconfig", path)
    assert result.status == 1
    assert "failing  api-server       http://127.0.0.1:9: no connection" in result.out


def test_without_any_cluster_it_is_a_finding_as_well(run: Run) -> None:
    result = run("check", "--no-routes")
    assert result.status == 1
    assert "failing  api-server       No Kubernetes API server is configured" in result.out


def test_a_webhook_cache_keeps_the_server_from_starting(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_CACHE_TTL", "60")
    settings = findings(check(healthy()))["settings"]
    assert settings["level"] == "failing"
    assert "MLFLOW_WEBHOOK_CACHE_TTL must be 0" in settings["what"]


@pytest.mark.parametrize(
    ("name", "changes", "level", "said"),
    [
        ("api-server", {"GET /version": (401, {})}, "failing", "does not accept the server's own credential"),
        ("who-am-i", {WHO: (404, {})}, "failing", "no SelfSubjectReview"),
        ("who-am-i", {WHO: REFUSED}, "failing", "not allowed"),
        ("reviews", {RULES: REFUSED}, "failing", "reviews are refused"),
        ("reviews", {MAY: REFUSED}, "failing", "reviews are refused"),
        ("reviews", {BASIC_USER: (404, {})}, "failing", "callers may not ask"),
        ("reviews", {BASIC_USER: (200, {"subjects": None})}, "failing", "callers may not ask"),
        ("reviews", {BASIC_USER: (403, {})}, "ok", "are answered"),
        ("own-rights", {MAY: (201, {"status": {"allowed": False}})}, "failing", "may not get namespaces"),
        ("watch", {NAMESPACES: REFUSED}, "failing", "is answered 403"),
        ("watch", {NAMESPACES: (500, {})}, "failing", "is answered 500"),
        ("workspaces", {NAMESPACES: REFUSED}, "failing", "cannot be listed: not allowed"),
        ("workspaces", {NAMESPACES: (200, {"items": []})}, "warning", "no namespace is a workspace"),
        ("least-privilege", {}, "warning", "impersonate users"),
        ("roles", {}, "warning", "not installed: mlflow-view"),
        ("aggregation", {}, "warning", "view, edit, admin hold no MLflow rights"),
        ("roles", {f"GET {RBAC}/clusterroles/mlflow-view": REFUSED}, "unknown", "may not read ClusterRoles"),
    ],
)
def test_each_kind_of_trouble(
    check: Any, name: str, changes: dict[str, tuple[int, Any]], level: str, said: str
) -> None:
    result = check({**healthy(), **changes})
    finding = findings(result)[name]
    assert finding["level"] == level
    assert said in finding["what"]
    assert result.status == (1 if level == "failing" else 0)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_server_with_audiences_needs_the_right_to_review_others(
    check: Any, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    monkeypatch.setenv("WORKSPACE_AUTHZ_AUDIENCES", "mlflow")
    found = findings(check({**healthy(), MAY: (201, {"status": {"allowed": allowed}})}))
    assert found["own-reviews"]["level"] == ("ok" if allowed else "failing")
    if allowed:
        assert "tokenreviews" not in found["least-privilege"]["what"]
    else:
        assert "may not create tokenreviews or create subjectaccessreviews" in found["own-reviews"]["what"]
        role = "mlflow-server-reviews"
        assert (
            f"clusterrolebinding {role} --clusterrole={role} --serviceaccount=mlflow:server"
            in (found["own-reviews"]["fix"])
        )


def test_it_says_from_whom_identity_headers_are_believed(
    check: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Given an address of the pod itself, then it says who else comes from there."""
    secret = tmp_path / "secret"
    monkeypatch.setenv("WORKSPACE_AUTHZ_PROXY_SECRET_FILE", str(secret))
    assert "cannot be read" in findings(check(healthy()))["settings"]["what"]
    secret.write_text("s" * 32)
    monkeypatch.setenv("WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS", "istio-system/gateway")
    found = findings(check(healthy()))
    assert found["proxies"]["level"] == "ok"
    assert "x-remote-user and x-remote-groups are believed from" in found["proxies"]["what"]
    assert "the secret, the service account istio-system/gateway" in found["proxies"]["what"]
    assert "WORKSPACE_AUTHZ_PROXY_SECRET_FILE" in found["own-reviews"]["what"]
    for addresses, level in (("10.0.0.1", "ok"), ("10.0.0.1,127.0.0.1", "warning"), ("::1", "warning")):
        monkeypatch.setenv("WORKSPACE_AUTHZ_PROXY_ADDRESSES", addresses)
        assert findings(check(healthy()))["proxies"]["level"] == level


def test_a_server_without_audiences_needs_no_such_right(check: Any) -> None:
    found = findings(check(healthy()))
    assert "own-reviews" not in found
    assert "proxies" not in found
    assert "create tokenreviews, create subjectaccessreviews" in found["least-privilege"]["what"]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_server_with_buckets_for_namespaces_needs_the_right_to_follow_their_choice(
    check: Any, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    assert "artifact-roots" not in findings(check(healthy()))
    monkeypatch.setenv("WORKSPACE_AUTHZ_ARTIFACT_BUCKETS", "data")
    found = findings(check({**healthy(), MAY: (201, {"status": {"allowed": allowed}})}))
    assert found["artifact-roots"]["level"] == ("ok" if allowed else "failing")
    if not allowed:
        assert "may not list mlflowconfigs or watch mlflowconfigs" in found["artifact-roots"]["what"]
        role = "mlflow-server-artifact-roots"
        assert f"clusterrolebinding {role} --clusterrole={role}" in found["artifact-roots"]["fix"]


def test_roles_of_another_release(check: Any) -> None:
    other: dict[str, tuple[int, Any]] = {
        f"GET {RBAC}/clusterroles/{role['metadata']['name']}": (200, {"rules": []})
        for role in cluster_roles()
    }
    found = findings(check({**healthy(), **other}))
    assert found["roles"]["level"] == "warning"
    assert "other rights than this release's: mlflow-view" in found["roles"]["what"]


def test_clocks_that_differ(check: Any) -> None:
    found = findings(check(healthy(), Date=formatdate(0, usegmt=True)))
    assert found["clock"]["level"] == "warning"
    assert "ahead of the API server's" in found["clock"]["what"]
    assert findings(check(healthy(), Server="no date"))["clock"]["level"] == "warning"


def test_the_selector_of_the_uri_is_checked(check: Any) -> None:
    uri = "--workspace-store-uri=kubernetes://?label_selector=mlflow"
    result = check(healthy(), f"{uri}%20in%20no")
    assert (result.status, findings(result)["settings"]["level"]) == (1, "failing")
    assert "label selector" in findings(result)["settings"]["what"]
    assert findings(check(healthy(), f"{uri}%3Dyes"))["workspaces"]["level"] == "ok"
    refused = (400, {"message": "unable to parse requirement"})
    found = findings(check({**healthy(), NAMESPACES: refused}, f"{uri}%3D-"))["workspaces"]
    assert found["level"] == "failing"
    assert "does not accept the label selector 'mlflow=-': unable to parse requirement" in found["what"]


def test_a_default_workspace_that_does_not_exist(check: Any) -> None:
    found = findings(check(healthy(), "--workspace-store-uri=kubernetes://?default_workspace=missing"))
    assert found["workspaces"]["level"] == "warning"
    assert "missing is none of the 1 workspaces" in found["workspaces"]["what"]


def test_wrong_settings_fail_and_the_rest_is_checked(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSPACE_AUTHZ_ALLOW_SECONDS", "soon")
    result = check(healthy())
    assert result.status == 1
    assert findings(result)["settings"]["level"] == "failing"
    assert findings(result)["api-server"]["level"] == "ok"


def test_without_workspaces_no_right_on_namespaces_is_needed(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_K8S_AUTH_NAMESPACE", "team-a")
    found = findings(check({**healthy(), NAMESPACES: REFUSED}))
    assert not {"own-rights", "watch", "workspaces"} & set(found)


def test_a_server_that_does_not_hear_of_changes_is_told_what_that_means(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_K8S_AUTH_NAMESPACE", "team-a")
    result = check({**healthy(), MAY: (201, {"status": {"allowed": False}})})
    finding = findings(result)["rbac-watch"]
    assert (result.status, finding["level"]) == (0, "warning")
    assert "watch rolebindings: a changed right works on for allow_seconds" in finding["what"]
    assert "--clusterrole=mlflow-server" in finding["fix"]


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("3.17.2", Level.OK),
        ("3.16.0rc1", Level.OK),
        ("3.15.9", Level.FAILING),
        ("3.19.0", Level.WARNING),
        ("4.0.0", Level.WARNING),
        (None, Level.WARNING),
    ],
)
def test_releases_of_mlflow(version: str | None, level: Level) -> None:
    assert software.mlflow(version).level is level


def test_the_supported_releases_are_those_that_are_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest, before = (".".join(map(str, version)) for version in (software.OLDEST, software.BEFORE))
    assert f"mlflow>={oldest},<{before}" in project["optional-dependencies"]["server"]


_PRINTED = "import json; print(json.dumps({{'uncovered': {}, 'gaps': {}}}))"


@pytest.mark.parametrize(
    ("code", "seconds", "level", "said"),
    [
        (_PRINTED.format([], []), 60, Level.OK, "every route"),
        (
            _PRINTED.format(["GET /new"], []),
            60,
            Level.WARNING,
            "1 routes have no rule and are refused: GET /new",
        ),
        (_PRINTED.format([], ["It lacks a", "It lacks b"]), 60, Level.WARNING, "It lacks b"),
        (_PRINTED.format([], []), 60, Level.OK, "all that is relied on"),
        ("raise RuntimeError('broken install')", 60, Level.FAILING, "RuntimeError: broken install"),
        ("import threading; threading.Event().wait()", 0.1, Level.FAILING, "no answer in 0.1 s"),
    ],
)
def test_what_the_installed_mlflow_serves_and_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, seconds: float, level: Level, said: str
) -> None:
    (tmp_path / "stand_in_for_coverage.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    findings = asyncio.run(software.routes_and_functions(module="stand_in_for_coverage", seconds=seconds))
    assert [each.level for each in findings if said in each.what] == [level]


@pytest.mark.parametrize("plane", ["embedded"], indirect=True)  # importing MLflow takes seconds
def test_the_whole_check_as_a_command(plane: Plane) -> None:
    command = (sys.executable, "-m", "workspace_authz.cli.main", "check", "--kubeconfig", str(plane.server))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "ok       routes           every route of this MLflow has a rule" in result.stdout


@pytest.mark.parametrize(
    ("issuer", "answer", "level", "what"),
    [
        ("", {"authorization_endpoint": "a", "token_endpoint": "b"}, Level.OK, "answers at"),
        ("/other", {"authorization_endpoint": "a", "token_endpoint": "b"}, Level.FAILING, "calls itself"),
        ("", {"authorization_endpoint": "a"}, Level.FAILING, "names no token_endpoint"),
        ("", None, Level.FAILING, "does not answer"),
    ],
)
def test_a_provider_at_which_people_sign_in(
    check: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    issuer: str,
    answer: dict[str, str] | None,
    level: Level,
    what: str,
) -> None:
    with scripted({}) as provider:
        document = None if answer is None else {**answer, "issuer": provider.url + issuer}
        status = 404 if document is None else 200
        provider.answers["GET /.well-known/openid-configuration"] = (status, document)
        (tmp_path / "keys").write_text("")
        (tmp_path / "sign-in.yaml").write_text(
            f"providers: [{{name: acme, issuer: {{url: {provider.url}}}, client: {{id: mlflow}}, "
            'claimMappings: {username: {claim: sub, prefix: "x:"}}, trustedByAPIServer: true}]'
        )
        monkeypatch.setenv("WORKSPACE_AUTHZ_SESSION_KEYS", str(tmp_path / "keys"))
        monkeypatch.setenv("WORKSPACE_AUTHZ_SIGN_IN", str(tmp_path / "sign-in.yaml"))
        monkeypatch.setenv("WORKSPACE_AUTHZ_PUBLIC_URL", "https://mlflow.example")
        found = findings(check(healthy()))["sign-in"]
    assert found["level"] == level
    assert what in found["what"]
