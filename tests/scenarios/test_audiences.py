"""Tokens that were made for MLflow: they work here, and nowhere else."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.harness.forked import mlflow_command
from tests.harness.processes import ROOT, clean_environment, free_port
from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer, ServerOptions
from tests.identity.jwts import jwt
from tests.scenarios import steps
from tests.scenarios.audiences import AUDIENCE, OTHER, Site
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
CREATE = "/api/2.0/mlflow/experiments/create"
ACCOUNTS = f"/api/v1/namespaces/{TEAM_A}/serviceaccounts"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def message(server: MlflowServer, token: str | None) -> str:
    """What is said to a caller who is not authenticated."""
    answer = server.ask("GET", SEARCH, token=token, workspace=TEAM_A)
    assert answer.status == 401, answer.text
    return str(answer.json["message"])


def statuses(server: MlflowServer, token: str) -> tuple[int, int]:
    """In a workspace in which the trainer has rights, and in one without."""
    own, foreign = (
        server.ask("GET", SEARCH, token=token, workspace=name).status for name in (TEAM_A, TEAM_B)
    )
    return own, foreign


@pytest.mark.parametrize("strict", [False, True], ids=["beside others", "only"])
def test_it_works_where_its_account_has_rights_and_nowhere_else(site: Site, strict: bool) -> None:
    """Given a token for MLflow, then Kubernetes decides as ever, and its own API does not take it."""
    server = site.strict if strict else site.server
    server.skip_records()
    assert statuses(server, site.trainer) == (200, 403)
    assert [record["user"] for record in server.records(2)] == [f"system:serviceaccount:{TEAM_A}:trainer"] * 2
    created = server.ask(
        "POST", CREATE, token=site.trainer, workspace=TEAM_A, json_body={"name": "by-audience"}
    )
    assert created.status == 200, created.text
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    assert site.cluster.plane.ask("POST", WHO, review, token=site.trainer).status == 401


def test_a_second_audience_counts_as_well(site: Site) -> None:
    assert statuses(site.server, site.token("trainer", OTHER)) == (200, 403)
    assert statuses(site.server, site.token("unbound", OTHER)) == (403, 403)


def test_the_sdk_works_with_it(site: Site, tmp_path: Path) -> None:
    with sdk(site.strict.uri, tmp_path, token=site.trainer, workspace=TEAM_A) as person:
        experiment = person.run(steps.create_experiment, "by-audience-of-the-sdk")
        run = person.run(steps.log_run, experiment, metric=0.25)
        assert person.run(steps.run_content, run)["metrics"] == {"accuracy": 0.25}


def test_a_pod_works_with_it_in_the_place_of_its_usual_token(site: Site, tmp_path: Path) -> None:
    """Given the volume of docs/clients.md, then the SDK needs no more than in any other pod."""
    mounted = tmp_path / "serviceaccount"
    mounted.mkdir()
    (mounted / "token").write_text(site.trainer)
    (mounted / "namespace").write_text(TEAM_A)
    with sdk(site.strict.uri, tmp_path / "home") as pod:
        pod.run(steps.in_a_pod, str(mounted))
        experiment = pod.run(steps.create_experiment, "by-audience-in-a-pod")
        assert pod.run(steps.experiment_by_name, "by-audience-in-a-pod") == experiment


def test_its_owner_sees_their_workspaces(site: Site) -> None:
    """Kubernetes lists nobody's rights to another: roles and bindings say where to ask."""
    for token in (site.trainer, site.cluster.trainer):
        answer = site.server.ask("GET", "/api/3.0/mlflow/workspaces", token=token)
        assert [each["name"] for each in answer.json["workspaces"]] == [TEAM_A]


def test_a_token_for_the_api_server_works_beside_it(site: Site) -> None:
    assert statuses(site.server, site.cluster.trainer) == (200, 403)
    assert statuses(site.server, site.cluster.people.bob.token) == (200, 403)


@pytest.mark.parametrize("kind", ["service account", "opaque", "both audiences"])
def test_a_strict_server_refuses_every_token_of_the_api_server(site: Site, kind: str) -> None:
    """Given a token that could be used against the API server, then it is refused before anybody is asked."""
    claims = json.loads(base64.urlsafe_b64decode(site.cluster.trainer.split(".")[1] + "=="))
    token = {
        "service account": site.cluster.trainer,
        "opaque": site.cluster.people.alice.token,
        "both audiences": site.token("trainer", AUDIENCE, *claims["aud"]),
    }[kind]
    assert f"accepts only tokens for the audience {AUDIENCE} or {OTHER}" in message(site.strict, token)


def test_a_foreign_audience_is_told_ours(site: Site) -> None:
    foreign = site.token("trainer", "vault")
    for server in (site.server, site.strict):
        assert f"tokens for the audience {AUDIENCE} or {OTHER}: `kubectl create token" in message(
            server, foreign
        )
        assert f"--audience {AUDIENCE}`" in message(server, None)


def test_a_forged_audience_is_of_no_use(site: Site) -> None:
    """Given a JWT with our audience that nobody signed, or that was changed after it was signed, then 401."""
    header, payload, signature = site.trainer.split(".")
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    changed = base64.urlsafe_b64encode(text.replace("trainer", "trainee").encode()).rstrip(b"=").decode()
    # A token of the API server's with our audience written into it.
    own = site.cluster.trainer.split(".")
    claims = json.loads(base64.urlsafe_b64decode(own[1] + "=" * (-len(own[1]) % 4)))
    widened = (
        base64.urlsafe_b64encode(json.dumps(claims | {"aud": [AUDIENCE]}).encode()).rstrip(b"=").decode()
    )
    forged = [
        jwt({"aud": [AUDIENCE], "sub": f"system:serviceaccount:{TEAM_A}:trainer", "iss": claims["iss"]}),
        f"{header}.{changed}.{signature}",
        f"{own[0]}.{widened}.{own[2]}",
    ]
    for token in forged:
        for server in (site.server, site.strict):
            assert "does not accept this token for the audience" in message(server, token)


def test_no_token_is_written_anywhere(site: Site) -> None:
    for server in (site.server, site.strict):
        statuses(server, site.trainer)
        server.skip_records()
        written = server.process.output + server.audit_file.read_text()
        signatures = [token.rpartition(".")[2] for token in site.cluster.plane.tokens]
        assert not [signature for signature in signatures if signature in written]


def test_the_token_of_a_deleted_account_ends(site: Site) -> None:
    """Given an account that is deleted and made again, then its old token ends, and stays worthless."""
    plane = site.cluster.plane
    plane.service_account(TEAM_A, "passing")
    token = site.token("passing", AUDIENCE)
    assert statuses(site.server, token) == (403, 403)
    plane.delete(f"{ACCOUNTS}/passing")
    plane.service_account(TEAM_A, "passing")
    until(lambda: site.server.ask("GET", SEARCH, token=token, workspace=TEAM_A).status == 401)
    plane.delete(f"{ACCOUNTS}/passing")


def test_a_binding_that_is_taken_away_counts_at_once(site: Site) -> None:
    plane = site.cluster.plane
    plane.service_account(TEAM_A, "visiting")
    token = site.token("visiting", AUDIENCE)
    assert statuses(site.server, token) == (403, 403)
    binding = plane.bind(TEAM_A, "mlflow-integration", account=(TEAM_A, "visiting"))
    until(lambda: statuses(site.server, token) == (200, 403))
    plane.delete(binding)
    until(lambda: statuses(site.server, token) == (403, 403))
    plane.delete(f"{ACCOUNTS}/visiting")


def test_without_the_right_to_review_nobody_is_authenticated(site: Site) -> None:
    """Given that the server's right is taken away, then it is not ready and answers 503, not 401 or 403."""
    site.account.unbind()
    try:
        until(lambda: site.strict.ask("GET", "/readyz").status == 503)
        assert "may not create reviews about other users" in site.strict.ask("GET", "/readyz?verbose").text
        fresh = site.token("trainer", AUDIENCE)
        answer = site.strict.ask("GET", SEARCH, token=fresh, workspace=TEAM_A)
        assert (answer.status, answer.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert "may not create tokenreviews" in answer.json["message"]
        assert statuses(site.server, site.cluster.people.bob.token) == (200, 403)  # who asks for themselves
    finally:
        site.account.bind()
    for server in (site.server, site.strict):
        until(lambda server=server: server.ask("GET", "/readyz").status == 200)  # type: ignore[misc]
    assert statuses(site.strict, fresh) == (200, 403)


def test_without_the_right_the_start_stops_with_the_command(
    cluster: Cluster, database: Path, tmp_path: Path
) -> None:
    """Given audiences and an account that may not review others, then one sentence says what to run."""
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        database=database,
        environment={"WORKSPACE_AUTHZ_AUDIENCES": AUDIENCE},
    )
    options.prepare(tmp_path)
    environment = {**clean_environment(), **options.variables(tmp_path), "PYTHONPATH": str(ROOT)}
    arguments = [str(part) for part in options.command(tmp_path, free_port())[1:]]
    ended = mlflow_command(arguments, environment=environment, directory=tmp_path)
    assert ended.status not in (0, None), ended.output
    (complaint,) = (line for line in ended.output.splitlines() if line.startswith("Error:"))
    assert "may not create tokenreviews or create subjectaccessreviews" in complaint
    assert (
        "which WORKSPACE_AUTHZ_AUDIENCES needs: run `kubectl create "
        "clusterrolebinding mlflow-server-reviews --clusterrole=mlflow-server-reviews "
        "--serviceaccount=mlflow:mlflow`"
    ) in complaint
    assert "Traceback" not in ended.output
