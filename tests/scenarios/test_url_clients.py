"""Clients that can send only a URL and a key work in the workspace in the URL; so does today's SDK."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer
from tests.harness.url_clients import PROGRAMS, clients_programs, java_command, outcome
from tests.scenarios import steps
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.stamps.test_traces import spans

RUN = "/api/2.0/mlflow/runs/get?run_id="
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
WITHIN = f"/workspaces/{TEAM_A}"


def a_new(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def programs() -> Path:
    return clients_programs()


@pytest.fixture
def alices(server: MlflowServer, cluster: Cluster) -> Mapping[str, str]:
    """All that alice's clients are told."""
    return {
        "MLFLOW_TRACKING_URI": server.uri + WITHIN,
        "MLFLOW_TRACKING_TOKEN": cluster.people.alice.token,
    }


def accuracy(server: MlflowServer, cluster: Cluster, run: str, *, workspace: str = TEAM_A) -> object:
    """What somebody who names the workspace in the header finds in a run; None where there is no such run."""
    token = cluster.people.root.token
    answer = server.ask("GET", RUN + run, token=token, workspace=workspace)
    if answer.status == 404:
        return None
    (metric,) = answer.json["run"]["data"]["metrics"]
    return metric["value"]


def test_the_java_client(
    server: MlflowServer, cluster: Cluster, alices: Mapping[str, str], programs: Path, tmp_path: Path
) -> None:
    """MLflow's Java client starts Python for artifacts, with the same URL and token."""
    (tmp_path / "note.txt").write_text("from Java")
    environment = {"MLFLOW_PYTHON_EXECUTABLE": str(programs / "python")}
    given = (*alices.values(), a_new("java"), str(tmp_path / "note.txt"))
    command = (*java_command("Tracking.java"), *given)
    done = outcome(*command, environment=environment, home=tmp_path)
    assert done.returncode == 0, done.stderr
    run, metric, uri = done.stdout.splitlines()
    assert metric == "0.5"
    path = uri.removeprefix("mlflow-artifacts:")
    stored = server.ask("GET", ARTIFACTS + path, token=cluster.people.root.token, workspace=TEAM_A)
    assert (stored.status, stored.text) == (200, "from Java")
    assert accuracy(server, cluster, run) == 0.5
    assert accuracy(server, cluster, run, workspace=TEAM_B) is None


def older(programs: Path, environment: Mapping[str, str], name: str, home: Path) -> tuple[str, str]:
    command = (programs / "python", "-W", "ignore", PROGRAMS / "older_sdk.py", name)
    done = outcome(*command, environment=environment, home=home)
    return done.stdout, done.stderr


def test_an_sdk_from_before_workspaces(
    server: MlflowServer, cluster: Cluster, alices: Mapping[str, str], programs: Path, tmp_path: Path
) -> None:
    """Its own joins keep the workspace: artifacts of runs and of models come from there."""
    said, errors = older(programs, alices, a_new("older"), tmp_path)
    assert said, errors
    seen = json.loads(said)
    assert seen["sdk"] == "2.9.2"
    assert (seen["listed"], seen["text"], seen["model"]) == (["model/a note.txt"], "content", "content")
    assert accuracy(server, cluster, seen["run"]) == seen["metrics"]["accuracy"] == 0.5


def test_the_same_by_the_user_name_of_basic(
    server: MlflowServer, cluster: Cluster, programs: Path, tmp_path: Path
) -> None:
    environment = {
        "MLFLOW_TRACKING_URI": server.uri,
        "MLFLOW_TRACKING_USERNAME": f"workspace:{TEAM_A}",
        "MLFLOW_TRACKING_PASSWORD": cluster.people.alice.token,
    }
    said, errors = older(programs, environment, a_new("older"), tmp_path)
    assert said, errors
    assert accuracy(server, cluster, json.loads(said)["run"]) == 0.5


def test_it_is_told_what_to_do_where_it_names_none(
    server: MlflowServer, alices: Mapping[str, str], programs: Path, tmp_path: Path
) -> None:
    environment = {**alices, "MLFLOW_TRACKING_URI": server.uri, "MLFLOW_WORKSPACE": TEAM_A}
    said, errors = older(programs, environment, a_new("older"), tmp_path)
    assert said == ""
    assert "mlflow-python-client/2.9 does not know MLFLOW_WORKSPACE" in errors
    assert "MLFLOW_TRACKING_URI: …/workspaces/<namespace>" in errors


def test_mlflow_export_import(
    server: MlflowServer, cluster: Cluster, alices: Mapping[str, str], programs: Path, tmp_path: Path
) -> None:
    """An experiment with a run and a file goes out of one workspace, and into another one."""
    token, name = cluster.people.alice.token, a_new("exported")
    with sdk(server.uri, tmp_path / "alice", token=token, workspace=TEAM_A) as alice:
        experiment = alice.run(steps.create_experiment, name)
        run = alice.run(steps.create_run, experiment)
        alice.run(steps.upload, run, "note.txt", b"exported")
    arguments = ("--experiment", name, "--output-dir", tmp_path / "out")
    done = outcome(programs / "export-experiment", *arguments, environment=alices, home=tmp_path)
    assert done.returncode == 0, done.stderr
    carols = {
        "MLFLOW_TRACKING_URI": f"{server.uri}/workspaces/{TEAM_B}",
        "MLFLOW_TRACKING_TOKEN": cluster.people.carol.token,
    }
    arguments = ("--experiment-name", name, "--input-dir", tmp_path / "out")
    done = outcome(programs / "import-experiment", *arguments, environment=carols, home=tmp_path)
    assert done.returncode == 0, done.stderr
    with sdk(
        server.uri, tmp_path / "carol", token=carols["MLFLOW_TRACKING_TOKEN"], workspace=TEAM_B
    ) as carol:
        there = carol.run(steps.experiment_by_name, name)
        assert there is not None
        (imported,) = carol.run(steps.run_ids, [there])
        assert imported != run
        assert carol.run(steps.download, imported, "note.txt") == b"exported"


def test_todays_sdk(server: MlflowServer, cluster: Cluster, tmp_path: Path) -> None:
    """Runs, artifacts, logged models, traces, models that are loaded, prompts: all by the URL alone.

    What is open to everybody has no such address. The SDK does without, unless it is told a workspace, too.
    """
    token, name = cluster.people.alice.token, a_new("net")
    server.skip_records()
    with sdk(f"{server.uri}{WITHIN}/", tmp_path / "home", token=token) as alice:
        run, _, trace = alice.run(steps.work_by_name, a_new("url"))
        alice.run(steps.upload, run, "data.bin", b"x" * 3000)
        assert alice.run(steps.artifacts, run) == ["data.bin", "note.txt"]
        assert alice.run(steps.download, run, "data.bin") == b"x" * 3000
        assert alice.run(steps.trace_names, trace) == ["think"]
        alice.run(steps.log_model, name)
        assert alice.run(steps.predict, name, "hello") == ["hello"]
        assert alice.run(steps.register_prompt, a_new("prompt"), "Say {{it}}") == 1
        assert TEAM_A in alice.run(steps.workspace_names)
    records = server.records(20)
    assert {record["user"] for record in records} == {"alice"}
    public = {f"{WITHIN}/version", f"{WITHIN}/api/3.0/mlflow/server-info"}
    assert {record["path"] for record in records if record["route"] is None} == public
    decided = [each for each in records if each["route"] and each["operation"] != "ListWorkspaces"]
    assert {record["workspace"] for record in decided} == {TEAM_A}
    with sdk(server.uri + WITHIN, tmp_path / "other", token=token, workspace=TEAM_A) as twice:
        assert f"Active workspace '{TEAM_A}' cannot be used" in twice.fails(steps.run_content, run).message


@pytest.mark.parametrize(
    ("path", "workspace", "status"),
    [
        (f"{WITHIN}{SEARCH}", None, 200),
        (f"{WITHIN}{SEARCH}", TEAM_A, 200),
        (f"{WITHIN}{SEARCH}", TEAM_B, 400),
        (f"/workspaces/{TEAM_B}{SEARCH}", None, 403),
        (f"/workspaces/{TEAM_B}/workspaces/{TEAM_A}{SEARCH}", None, 404),
        (f"/workspaces/{TEAM_B}{WITHIN}{SEARCH}", TEAM_A, 404),
        (f"/workspaces/api{SEARCH}", None, 403),
        (f"/workspaces/Team-A{SEARCH}", None, 400),
        (f"/workspaces%2F{TEAM_A}{SEARCH}", None, 404),
        (f"{WITHIN}%2Fapi/2.0/mlflow/experiments/search?max_results=1", None, 404),
        (f"/workspaces/{TEAM_B}/..{WITHIN}{SEARCH}", None, 404),
        (f"/workspaces/{TEAM_B}/%2e%2e/{TEAM_A}{SEARCH}", None, 404),
        (f"/workspaces/{TEAM_B}/api/../..{WITHIN}{SEARCH}", None, 404),
        (f"/{WITHIN}{SEARCH}", None, 200),  # as stock MLflow takes //api for /api
        (f"{WITHIN}/{SEARCH}", None, 404),
        (f"{WITHIN}/ajax-api/2.0/mlflow/experiments/search?max_results=1", None, 404),
        *((f"{WITHIN}{public}", None, 404) for public in ("/", "/health", "/version", "/static-files/x")),
        (f"{WITHIN}/api/3.0/mlflow/server-info", None, 404),
        (f"{WITHIN}/readyz", None, 404),
        (f"{WITHIN}/metrics", None, 404),
        (f"{WITHIN}/api/3.0/mlflow/workspaces", None, 200),
        (f"{WITHIN}/api/3.0/mlflow/workspaces/{TEAM_A}", None, 200),
        (f"{WITHIN}/api/3.0/mlflow/workspaces/{TEAM_B}", None, 400),
    ],
)
def test_paths_that_confuse(
    server: MlflowServer, cluster: Cluster, path: str, workspace: str | None, status: int
) -> None:
    """Given alice, who holds rights in team-a only, then no spelling takes her elsewhere."""
    alice = cluster.people.alice.token
    answer = server.ask("GET", path, token=alice, workspace=workspace)
    assert answer.status == status, answer.text
    assert server.ask("GET", path, workspace=workspace).status == 401


def test_an_exporter_of_opentelemetry(server: MlflowServer, cluster: Cluster) -> None:
    """``mlflow.otel.autolog`` knows no workspace. Its address of spans is the tracking URI's own."""
    token, trace = cluster.people.alice.token, f"tr-{secrets.token_hex(16)}"
    made = server.ask(
        "POST",
        f"{WITHIN}/api/2.0/mlflow/experiments/create",
        token=token,
        json_body={"name": a_new("spans")},
    )
    headers = {
        "X-MLflow-Experiment-Id": made.json["experiment_id"],
        "Content-Type": "application/x-protobuf",
    }
    content = spans(trace).SerializeToString()
    sent = server.ask("POST", f"{WITHIN}/v1/traces", token=token, headers=headers, body=content)
    assert sent.status == 200, sent.text
    path = f"/api/3.0/mlflow/traces/{trace}"
    assert server.ask("GET", path, token=cluster.people.root.token, workspace=TEAM_A).status == 200
    assert server.ask("GET", path, token=cluster.people.root.token, workspace=TEAM_B).status == 404


@pytest.mark.parametrize("by_url", [True, False], ids=["URL", "header"])
def test_opentelemetrys_own_exporter(
    server: MlflowServer, cluster: Cluster, programs: Path, tmp_path: Path, by_url: bool
) -> None:
    """Given an instrumented program without MLflow, then variables of OpenTelemetry's say all."""
    token, root = cluster.people.alice.token, cluster.people.root.token
    with sdk(server.uri, tmp_path / "alice", token=token, workspace=TEAM_A) as alice:
        experiment = alice.run(steps.create_experiment, a_new("spans"))
    headers = [f"authorization=Bearer%20{token}", f"x-mlflow-experiment-id={experiment}"]
    headers += [] if by_url else [f"x-mlflow-workspace={TEAM_A}"]
    environment = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{server.uri}{WITHIN if by_url else ''}/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": ",".join(headers),
    }
    done = outcome(programs / "python", PROGRAMS / "otlp_exporter.py", environment=environment, home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    path = f"/api/3.0/mlflow/traces/{done.stdout.strip()}"
    found = server.ask("GET", path, token=root, workspace=TEAM_A)
    assert found.status == 200, found.text
    assert server.ask("GET", path, token=root, workspace=TEAM_B).status == 404


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "null"])
def test_a_foreign_page_cannot_use_the_url_in_place_of_the_header(
    server: MlflowServer, cluster: Cluster, origin: str
) -> None:
    """Given a browser that remembers a password, then another site's form, without a header, is refused."""
    basic = base64.b64encode(f"me:{cluster.people.alice.token}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Origin": origin, "Content-Type": "text/plain"}
    path = f"{WITHIN}/api/2.0/mlflow/experiments/create"
    refused = server.ask("POST", path, headers=headers, body=b'{"name": "forged"}')
    assert (refused.status, refused.text) == (403, "Cross-origin request blocked")


def test_the_artifacts_of_another_workspace_stay_out_of_reach(server: MlflowServer, cluster: Cluster) -> None:
    """Given a path that names a workspace twice, then the second one is checked as ever."""
    alice, root = cluster.people.alice.token, cluster.people.root.token
    made = {
        workspace: server.ask(
            "POST",
            f"/workspaces/{workspace}/api/2.0/mlflow/experiments/create",
            token=root,
            json_body={"name": a_new("twice")},
        ).json["experiment_id"]
        for workspace in (TEAM_A, TEAM_B)
    }
    for workspace, experiment in made.items():
        path = f"/workspaces/{workspace}{ARTIFACTS}/workspaces/{workspace}/{experiment}/a.txt"
        assert server.ask("PUT", path, token=root, body=b"of " + workspace.encode()).status == 200
        plain = f"{ARTIFACTS}/{experiment}/a.txt"
        stored = server.ask("GET", plain, token=root, workspace=workspace)
        assert (stored.status, stored.body) == (200, b"of " + workspace.encode())
        assert server.ask("GET", path, token=alice).status == (200 if workspace == TEAM_A else 403)
    across = f"{WITHIN}{ARTIFACTS}/workspaces/{TEAM_B}/{made[TEAM_B]}/a.txt"
    by_header = server.ask("GET", across.removeprefix(WITHIN), token=root, workspace=TEAM_A)
    by_url = server.ask("GET", across, token=root)
    assert by_url.status == by_header.status >= 400
    assert by_url.text == by_header.text


def test_a_user_name_that_names_another_workspace_is_refused(server: MlflowServer, cluster: Cluster) -> None:
    token = cluster.people.alice.token

    def ask(user: str, path: str, workspace: str | None = None) -> int:
        basic = base64.b64encode(f"{user}:{token}".encode()).decode()
        answer = server.ask("GET", path, headers={"Authorization": f"Basic {basic}"}, workspace=workspace)
        return answer.status

    assert ask(f"workspace:{TEAM_A}", SEARCH) == 200
    assert ask(f"workspace:{TEAM_A}", f"{WITHIN}{SEARCH}", TEAM_A) == 200
    assert ask(f"workspace:{TEAM_B}", SEARCH) == 403
    assert ask(f"workspace:{TEAM_B}", SEARCH, TEAM_A) == 400
    assert ask(f"workspace:{TEAM_B}", f"{WITHIN}{SEARCH}") == 400
    assert ask(TEAM_A, SEARCH) == 400  # names nothing
    assert ask(TEAM_B, SEARCH, TEAM_A) == 200
