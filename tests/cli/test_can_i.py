"""``can-i`` against real API servers, and against kubectl."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from tests.cli.conftest import Run
from tests.cli.planes import ALICE, BOB, CAROL, MALLORY, TEAM, Plane
from workspace_authz.types import Resource

REAL_ENGINE = pytest.mark.parametrize("plane", ["kube-apiserver"], indirect=True)
"""The embedded engine has no impersonation."""


@pytest.mark.parametrize(
    ("token", "question", "answer"),
    [
        (ALICE, ("create", "experiments", "-n", TEAM), "yes"),
        (ALICE, ("create", "experiments.mlflow.kubeflow.org", "-n", TEAM), "yes"),
        (ALICE, ("create", "gatewayendpoints/use", "-n", TEAM), "yes"),
        (ALICE, ("create", "experiments", "-n", "team-b"), "no"),
        (ALICE, ("create", "experiments", "-n", "does-not-exist"), "no"),
        (ALICE, ("update", "gatewaybudgets", "-n", TEAM), "no"),
        (BOB, ("get", "experiments", "-n", TEAM), "no"),
        (BOB, ("get", "experiments", "--name", "shared", "-n", TEAM), "yes"),
        (BOB, ("get", "experiments", "--name", "other", "-n", TEAM), "no"),
        (MALLORY, ("list", "experiments", "-n", TEAM), "no"),
    ],
)
def test_the_answer_is_a_word_and_a_status(
    run: Run, plane: Plane, token: str, question: tuple[str, ...], answer: str
) -> None:
    result = run("can-i", *question, "--kubeconfig", plane.server, "--token", token)
    assert (result.out, result.err) == (f"{answer}\n", "")
    assert result.status == (0 if answer == "yes" else 1)


def test_the_answer_as_json_repeats_the_question(run: Run, plane: Plane) -> None:
    question = ("get", "experiments", "--name", "shared", "-n", TEAM, "-o", "json")
    result = run("can-i", *question, "--kubeconfig", plane.server, "--token", MALLORY)
    assert result.status == 1
    assert result.json() == {
        "allowed": False,
        "verb": "get",
        "resource": "experiments",
        "group": "mlflow.kubeflow.org",
        "namespace": TEAM,
        "name": "shared",
    }


def test_a_certificates_user_is_asked_about_too(run: Run, plane: Plane) -> None:
    result = run("can-i", "create", "experiments", "-n", TEAM, "--kubeconfig", plane.certificate)
    assert (result.status, result.out) == (0, "yes\n")


def test_the_list_shows_every_resource(run: Run, plane: Plane) -> None:
    result = run("can-i", "--list", "-n", TEAM, "--kubeconfig", plane.server, "--token", ALICE)
    rows = {line.split()[0]: line.split()[1:] for line in result.out.splitlines()}
    assert result.status == 0
    assert rows["RESOURCE"] == ["get", "list", "create", "update", "delete"]
    assert rows["experiments"] == ["yes"] * 5
    assert rows["gatewaybudgets"] == ["yes", "yes", "-", "-", "-"]
    assert rows["gatewaysecrets/use"] == ["-", "-", "yes", "-", "-"]
    assert rows["assistants"] == ["-"] * 5
    assert set(Resource) <= set(rows)


def test_the_list_about_one_object(run: Run, plane: Plane) -> None:
    arguments = ("--list", "--name", "shared", "-n", TEAM, "-o", "json")
    rights = run("can-i", *arguments, "--kubeconfig", plane.server, "--token", BOB).json()["rights"]
    assert {resource: verbs for resource, verbs in rights.items() if verbs} == {"experiments": ["get"]}


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (("create", "runs"), "no resource 'runs' in Kubernetes; there are experiments, registeredmodels"),
        (("create", "experiments.apps"), "no resource 'experiments.apps'"),
        (("watch", "experiments"), "verb 'watch'; there are get, list, create, update, delete"),
        (("create", "experiments/use"), "no experiments/use; there are gatewayendpoints/use"),
        (("get", "gatewayendpoints/use"), "can-i create gatewayendpoints/use"),
        (("create",), "give a VERB and a RESOURCE, or --list"),
        (("--list", "create", "experiments"), "--list takes no verb"),
    ],
)
def test_a_wrong_question_is_told_what_there_is(run: Run, question: tuple[str, ...], said: str) -> None:
    result = run("can-i", *question, "-n", TEAM)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert result.err.count("\n") == 1


def test_kubectl_says_no_where_the_answer_is_yes(
    run: Run, plane: Plane, kubectl: Path, tmp_path: Path
) -> None:
    caller = ("--kubeconfig", str(plane.server), "--token", ALICE, "-n", TEAM)
    question = ("auth", "can-i", "create", "experiments.mlflow.kubeflow.org")
    command = [str(kubectl), *caller, *question]
    theirs = subprocess.run(command, capture_output=True, text=True, check=False, env={"HOME": str(tmp_path)})
    ours = run("can-i", "create", "experiments", *caller)
    assert (theirs.stdout, theirs.returncode) == ("no\n", 1)
    assert (ours.out, ours.status) == ("yes\n", 0)


@REAL_ENGINE
@pytest.mark.parametrize(
    ("impersonated", "question", "answer"),
    [
        (("--as", "alice"), ("create", "experiments"), "yes"),
        (("--as", "mallory"), ("create", "experiments"), "no"),
        (
            ("--as", "carol", "--as-group", "devs", "--as-group", "system:masters"),
            ("list", "datasets"),
            "yes",
        ),
        (("--as", "carol", "--as-group", "devs"), ("list", "datasets"), "no"),
    ],
)
def test_an_administrator_asks_what_somebody_else_may(
    run: Run, plane: Plane, impersonated: tuple[str, ...], question: tuple[str, ...], answer: str
) -> None:
    """With a token and with a client certificate, in the kubeconfig or beside it."""
    token = yaml.safe_load(plane.admin.read_text())["users"][0]["user"]["token"]
    for caller in (
        ("--kubeconfig", plane.admin),
        ("--kubeconfig", plane.certificate),
        ("--kubeconfig", plane.server, "--token", token),
    ):
        result = run("can-i", *question, "-n", TEAM, *impersonated, *caller)
        assert (result.out, result.err) == (f"{answer}\n", "")


@REAL_ENGINE
def test_the_kubeconfigs_impersonation_counts(run: Run, plane: Plane, kubectl: Path, tmp_path: Path) -> None:
    """As for kubectl: an administrator's file that says ``as`` is that user's."""
    document = yaml.safe_load(plane.admin.read_text())
    document["users"][0]["user"]["as"] = "mallory"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    assert run("can-i", "create", "experiments", "-n", TEAM, "--kubeconfig", path).out == "no\n"
    whoami = run("whoami", "--kubeconfig", path, "-o", "json").json()
    assert (whoami["username"], whoami["credential"]) == ("mallory", "kubeconfig, as mallory")
    command = [str(kubectl), "--kubeconfig", str(path), "auth", "whoami", "-o", "json"]
    theirs = subprocess.run(command, capture_output=True, check=True, env={"HOME": str(tmp_path)})
    assert json.loads(theirs.stdout)["status"]["userInfo"]["username"] == "mallory"
    # A token that is given is its owner's, whatever the file says.
    assert run("whoami", "--kubeconfig", path, "--token", ALICE, "-o", "json").json()["username"] == "alice"
    # Who is asked for on the command line comes before the file.
    assert run("can-i", "create", "experiments", "-n", TEAM, "--as", "alice", "--kubeconfig", path).out == (
        "yes\n"
    )


@REAL_ENGINE
def test_who_may_not_impersonate_is_told_so(run: Run, plane: Plane) -> None:
    arguments = ("-n", TEAM, "--as", "alice", "--kubeconfig", plane.server, "--token", MALLORY)
    result = run("can-i", "create", "experiments", *arguments)
    assert (result.status, result.out) == (2, "")
    assert "You may not ask what 'alice' may do" in result.err
    assert result.err.count("\n") == 1
    assert MALLORY not in result.err


@REAL_ENGINE
def test_an_administrator_of_the_namespace_asks_there_without_impersonating(run: Run, plane: Plane) -> None:
    """Carol may impersonate her own service accounts. About others she may ask in her namespace."""
    carol = ("--kubeconfig", plane.server, "--token", CAROL)
    group, account = f"group-{uuid4()}", f"system:serviceaccount:team-c:{uuid4()}"
    foreign, wide = "system:serviceaccount:team-a:other", "group:system:serviceaccounts:team-a"
    for subject in (f"group:{group}", account):
        assert run("grant", subject, "view", "-n", "team-c", *carol).status == 0
    asked = ("can-i", "list", "experiments", "-n", "team-c", *carol)

    def answers(*who: str, expected: str) -> None:
        deadline = time.monotonic() + 120  # kube-apiserver's authorizer follows
        while (result := run(*asked, *who)).out != f"{expected}\n":
            assert time.monotonic() < deadline, result

    answers("--as", account, expected="yes")
    answers("--as", "somebody", "--as-group", group, expected="yes")
    answers("--as", "somebody", expected="no")
    answers("--as", foreign, expected="no")
    assert run("grant", wide, "view", "-n", "team-c", *carol).status == 0
    answers("--as", foreign, expected="yes")
    answers("--as", foreign, "--as-group", group, expected="yes")
    assert run("revoke", wide, "-n", "team-c", *carol).status == 0
    listed = run("can-i", "--list", "-n", "team-c", *carol, "--as", account, "-o", "json").json()["rights"]
    assert listed["experiments"] == ["get", "list"]
    elsewhere = run("can-i", "list", "experiments", "-n", TEAM, *carol, "--as", "alice")
    assert (elsewhere.status, elsewhere.out) == (2, "")
    assert "You may not ask what 'alice' may do" in elsewhere.err


def test_a_group_needs_a_user(run: Run) -> None:
    result = run("can-i", "create", "experiments", "--as-group", "devs")
    assert (result.status, result.out) == (2, "")
    assert "--as-group needs --as" in result.err
