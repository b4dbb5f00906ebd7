"""Skills, which MLflow has since 3.18: by its own client, with rights on all of them or on one."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness.bucket import S3, s3_server
from tests.harness.http import Answer
from tests.harness.plane import EMBEDDED, GROUP, rights
from tests.harness.releases import NEWEST, programs_of
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.people import LABEL, TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until

SKILLS: Final = "/api/3.0/mlflow/skills"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
CONTENT: Final = "---\nname: {name}\ndescription: Reviews code.\n---\nRead the code.\n"
CLIENT: Final = Path(__file__).parent / "clients" / "skills.py"

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works in one workspace."""

    server: MlflowServer
    token: str = field(repr=False)
    home: Path
    workspace: str = TEAM_A

    def ask(self, method: str, path: str, document: object = None, *, body: bytes | None = None) -> Answer:
        """One request."""
        return self.server.ask(
            method, path, token=self.token, workspace=self.workspace, json_body=document, body=body
        )

    def skills(self, *arguments: str) -> Any:
        """MLflow's client. Raises ``RuntimeError`` with its last line."""
        done = subprocess.run(
            [programs_of(NEWEST) / "python", "-W", "ignore", CLIENT, *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "MLFLOW_TRACKING_URI": self.server.uri,
                "MLFLOW_TRACKING_TOKEN": self.token,
                "MLFLOW_WORKSPACE": self.workspace,
                "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "GIT_PYTHON_REFRESH": "quiet",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return json.loads(done.stdout)


@dataclass(frozen=True, slots=True)
class Registry:
    """Skills of team-a whose content alice has uploaded, and people with rights on them."""

    alice: Person
    reader: Person
    """Holds every right on the two skills ``shown``, and none on others."""
    tracker: Person
    """Holds every right on experiments, and none on skills."""
    shown: str
    hidden: str
    paths: Mapping[str, str]
    """Where the content of each lies, by name. The one in an organization is ``@acme/<shown>``."""


@pytest.fixture(scope="module")
def registry(
    newest_server: MlflowServer, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Registry:
    mark = secrets.token_hex(4)
    shown, hidden = f"shown-{mark}", f"hidden-{mark}"

    def person(token: str) -> Person:
        return Person(newest_server, token, tmp_path_factory.mktemp("home"))

    def account(name: str, rules: list[Any]) -> Person:
        token = cluster.plane.service_account(TEAM_A, name)
        cluster.plane.role(TEAM_A, name, rules=rules)
        cluster.plane.bind(TEAM_A, name, account=(TEAM_A, name), kind="Role")
        return person(token)

    verbs = ["get", "list", "update", "delete"]
    named = {"apiGroups": [GROUP], "resources": ["skills"], "verbs": verbs}
    reader = account(f"reader-{mark}", [{**named, "resourceNames": [shown, f"@acme/{shown}"]}])
    tracker = account(f"tracker-{mark}", rights(*(f"{verb} experiments" for verb in (*verbs, "create"))))
    cluster.plane.wait_for_access(tracker.token, TEAM_A, verb="get", resource="experiments")
    alice = person(cluster.people.alice.token)
    paths = {}
    for name, organization in ((shown, ""), (shown, "acme"), (hidden, "")):
        folder = tmp_path_factory.mktemp("skill")
        (folder / "SKILL.md").write_text(CONTENT.format(name=name))
        made = alice.skills("register", str(folder), organization)
        paths[f"@{organization}/{name}" if organization else name] = made["source"]
    return Registry(alice, reader, tracker, shown, hidden, paths)


def below(uri: str) -> str:
    return uri.removeprefix("mlflow-artifacts:/")


def test_what_was_uploaded_comes_back_and_bears_its_author(registry: Registry, tmp_path: Path) -> None:
    for name in registry.paths:
        pulled = Path(
            registry.alice.skills("pull", f"skills:/{name}/1", str(tmp_path / name.replace("/", "_")))
        )
        assert "Read the code." in (pulled / "SKILL.md").read_text()
    listed = {(found[0], found[1]): found[2] for found in registry.alice.skills("list")}
    assert listed["", registry.shown] == listed["acme", registry.shown] == "alice"


def test_rights_on_one_skill_reach_it_and_no_other(registry: Registry, tmp_path: Path) -> None:
    registry.reader.skills("pull", f"skills:/@acme/{registry.shown}", str(tmp_path / "own"))
    assert (tmp_path / "own" / "SKILL.md").exists()
    with pytest.raises(RuntimeError, match="cannot get resource"):
        registry.reader.skills("pull", f"skills:/{registry.hidden}", str(tmp_path / "other"))


def test_a_list_has_the_skills_that_may_be_seen(registry: Registry) -> None:
    own = {("", registry.shown), ("acme", registry.shown)}
    assert {(found[0], found[1]) for found in registry.reader.skills("list")} == own

    def listed(query: str) -> set[tuple[str, str]]:
        answer = registry.reader.ask("GET", f"{SKILLS}?{query}")
        assert answer.status == 200, answer.text
        return {(skill["organization"], skill["name"]) for skill in answer.json["skills"]}

    some = "include_skill_identities="
    assert listed(f"{some}{registry.shown}&{some}{registry.hidden}") == {("", registry.shown)}
    assert listed(some) == set()
    assert listed("max_results=1") < own
    assert registry.reader.ask("GET", f"{SKILLS}?{some}{registry.hidden}").status == 403
    assert registry.tracker.ask("GET", SKILLS).status == 403


@pytest.mark.parametrize("prefix", ["", f"workspaces/{TEAM_A}/", "%73kills/../"])
def test_content_is_read_with_the_right_on_its_skill(registry: Registry, prefix: str) -> None:
    for name, uri in registry.paths.items():
        folder = f"{prefix}{below(uri)}"
        for path in (f"{ARTIFACTS}/{folder}/SKILL.md", f"{ARTIFACTS}?path={folder}"):
            own = name.endswith(registry.shown)
            if ".." in prefix:
                assert registry.alice.ask("GET", path).status in (400, 403)
                continue
            assert registry.alice.ask("GET", path).status == 200
            assert registry.reader.ask("GET", path).status == (200 if own else 403)
            # Rights on experiments are none on skills, whatever lies beside them.
            assert registry.tracker.ask("GET", path).status == 403


@pytest.mark.parametrize(
    "spelling", ["SKILLS", "Skills", "%2573kills", "skills%2F%2F", "./skills", "skills/."]
)
def test_other_spellings_of_the_folder_reach_nothing(registry: Registry, spelling: str) -> None:
    rest = below(registry.paths[registry.hidden]).removeprefix("skills/")
    for person in (registry.reader, registry.tracker):
        answer = person.ask("GET", f"{ARTIFACTS}/{spelling}/{rest}/SKILL.md")
        assert answer.status in (400, 403), answer.text
        assert b"Read the code." not in answer.body


@pytest.mark.parametrize("path", ["skills", "skills/", "skills/@acme", f"workspaces/{TEAM_A}/skills"])
def test_the_root_of_skills_is_neither_listed_nor_deleted(registry: Registry, path: str) -> None:
    """Not even by who holds every right on skills."""
    listing = registry.alice.ask("GET", f"{ARTIFACTS}?path={path}")
    assert listing.status == 403, listing.text
    assert "several skills" in listing.text
    assert registry.alice.ask("DELETE", f"{ARTIFACTS}/{path}").status == 403


def test_content_is_never_changed(registry: Registry) -> None:
    file = f"{below(registry.paths[registry.shown])}/SKILL.md"
    multipart = f"/api/2.0/mlflow-artifacts/mpu/create/{below(registry.paths[registry.shown])}"
    for person in (registry.alice, registry.reader):
        for answer in (
            person.ask("PUT", f"{ARTIFACTS}/{file}", body=b"mine"),
            person.ask("DELETE", f"{ARTIFACTS}/{file}"),
            person.ask("POST", multipart, {"path": "SKILL.md", "num_parts": 1}),
        ):
            assert answer.status == 403
            assert person is not registry.alice or "register a new version" in answer.text
    assert b"Read the code." in registry.alice.ask("GET", f"{ARTIFACTS}/{file}").body


def test_a_skill_that_is_not_there_is_told_to_who_may_see_it(registry: Registry) -> None:
    missing = f"{ARTIFACTS}/skills/gone-{secrets.token_hex(4)}/{'0' * 32}/SKILL.md"
    assert registry.alice.ask("GET", missing).status == 404
    assert registry.reader.ask("GET", missing).status == 403


def test_another_workspace_has_other_skills(
    registry: Registry, newest_server: MlflowServer, cluster: Cluster, tmp_path: Path
) -> None:
    carol = Person(newest_server, cluster.people.carol.token, tmp_path, TEAM_B)
    name, folder = registry.shown, below(registry.paths[registry.shown])
    assert carol.ask("GET", f"{SKILLS}/{name}").status == 404
    assert carol.ask("GET", f"{ARTIFACTS}/workspaces/{TEAM_A}/{folder}/SKILL.md").status == 403
    assert carol.ask("GET", f"{ARTIFACTS}/{folder}/SKILL.md").status == 404
    made = carol.ask("POST", SKILLS, {"name": name})
    assert (made.status, made.json["created_by"]) == (200, "carol")


def test_a_forged_author_is_refused(registry: Registry) -> None:
    document = {"name": f"forged-{secrets.token_hex(4)}", "created_by": "somebody"}
    assert registry.alice.ask("POST", SKILLS, document).status == 400


def test_schedules_of_jobs_are_refused(registry: Registry) -> None:
    """They would start jobs without a request, with any secret of the workspace."""
    name = f"scheduled-{secrets.token_hex(4)}"
    made = registry.tracker.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": name})
    experiment = made.json["experiment_id"]
    for key in ("mlflow.issueDetection.schedule", " MLFLOW.issueDetection.scheduleState"):
        tag = {"experiment_id": experiment, "key": key, "value": "{}"}
        answer = registry.tracker.ask("POST", "/api/2.0/mlflow/experiments/set-experiment-tag", tag)
        assert answer.status == 403
        assert "start jobs" in answer.text
    tags = [{"key": "mlflow.issueDetection.schedule", "value": "{}"}]
    created = registry.tracker.ask(
        "POST", "/api/2.0/mlflow/experiments/create", {"name": f"{name}-2", "tags": tags}
    )
    assert created.status == 403


def test_the_server_says_how_its_clients_authenticate(registry: Registry) -> None:
    info = registry.alice.server.ask("GET", "/api/3.0/mlflow/server-info")
    assert info.json["tracking_auth"] == "kubernetes-namespaced"


TABLES: Final = ("skills", "skill_versions", "skill_tags", "skill_version_tags", "skill_aliases")


def workspaces(server: MlflowServer, cluster: Cluster, *arguments: str) -> Any:
    """What the newest MLflow's ``workspace-authz workspaces`` prints on the server's stores."""
    given = ["--backend-store-uri", server.database, "--kubeconfig", str(cluster.plane.admin_kubeconfig)]
    if arguments[0] == "purge":
        given += ["--artifacts-destination", str(server.state / "artifacts")]
    program = programs_of(NEWEST) / "workspace-authz"
    done = subprocess.run(
        [program, "workspaces", *arguments, *given, "-o", "json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_skills_are_counted_and_purged_with_their_workspace(
    newest_server: MlflowServer, cluster: Cluster, registry: Registry, tmp_path: Path
) -> None:
    """Given a namespace that is gone, when its data are purged, then so are its skills and no others."""
    name = f"skilled-{secrets.token_hex(4)}"
    cluster.plane.namespace(name, labels=LABEL)
    root = Person(newest_server, cluster.people.root.token, tmp_path, name)
    (tmp_path / "SKILL.md").write_text(CONTENT.format(name="doomed"))
    root.skills("register", str(tmp_path), "")
    for path, document in (
        ("/tags", {"key": "k", "value": "v"}),
        ("/versions/1/tags", {"key": "k", "value": "v"}),
        ("/aliases", {"alias": "best", "version": 1}),
    ):
        assert root.ask("POST", f"{SKILLS}/doomed{path}", document).status == 200
    folder = newest_server.state / "artifacts" / "workspaces" / name / "skills"
    assert list(folder.rglob("SKILL.md"))
    counted = {found["workspace"]: found for found in workspaces(newest_server, cluster, "list")}
    assert counted[name]["objects"]["skills"] == 1
    cluster.plane.delete(f"/api/v1/namespaces/{name}")
    until(lambda: cluster.plane.ask("GET", f"/api/v1/namespaces/{name}").status == 404)
    purged = workspaces(newest_server, cluster, "purge", name, "--yes")
    assert {table: purged["rows"].get(table) for table in TABLES} == dict.fromkeys(TABLES, 1)
    assert not folder.exists()
    assert registry.alice.ask("GET", f"{SKILLS}/{registry.shown}").status == 200


def _presigned_only(cluster: Cluster, s3: S3) -> ServerOptions:
    return ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        programs=programs_of(NEWEST),
        arguments=("--artifacts-destination", "s3://bucket/mlflow"),
        environment={**s3.environment, "MLFLOW_ARTIFACTS_PRESIGNED_ONLY": "true"},
    )


def test_a_server_without_proxied_transfers_still_asks_for_rights(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Given MLFLOW_ARTIFACTS_PRESIGNED_ONLY, then MLflow refuses transfers, but only of those who may."""
    state = tmp_path_factory.mktemp("presigned")
    alice, mallory = cluster.people.alice.token, cluster.people.mallory.token
    with s3_server(state / "s3") as s3, ExitStack() as stack:
        s3.put("s3://bucket/there", b"")
        server = stack.enter_context(mlflow_server(state, _presigned_only(cluster, s3)))
        made = server.ask(
            "POST",
            "/api/2.0/mlflow/experiments/create",
            token=alice,
            workspace=TEAM_A,
            json_body={"name": "presigned"},
        )
        path = f"{made.json['experiment_id']}/note.txt"
        for method, url in (
            ("PUT", f"{ARTIFACTS}/{path}"),
            ("GET", f"{ARTIFACTS}/{path}"),
            ("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={'0' * 32}&path=note.txt"),
        ):
            body = b"note" if method != "GET" else None
            refused = server.ask(method, url, token=mallory, workspace=TEAM_A, body=body)
            assert (refused.status, "presigned" in refused.text) == (403, False), refused.text
            answer = server.ask(method, url, token=alice, workspace=TEAM_A, body=body)
            assert answer.status == 403
            assert answer.json["artifacts_presigned_only"] is True
        info = server.ask("GET", "/api/3.0/mlflow/server-info")
        assert info.json["artifacts_presigned_only"] is True
