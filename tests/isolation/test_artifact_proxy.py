"""Nobody reaches another workspace's artifacts, however the path is spelt."""

from __future__ import annotations

import pytest

from tests.isolation.world import ARTIFACTS, CANARY, DEFAULT, REFUSALS, World
from tests.scenarios.people import TEAM_A, TEAM_B

Ids = dict[str, str]

ROUNDABOUT = [
    "./workspaces/team-b/{b}/traces.json",
    "%2e/workspaces/team-b/{b}/traces.json",
    "%252e/workspaces/team-b/{b}/traces.json",
    "%25252e%252fworkspaces/team-b/{b}/traces.json",
    ".%2Fworkspaces/team-b/{b}/traces.json",
    "{a}/./../workspaces/team-b/{b}/traces.json",
    "{a}/%2e%2e/workspaces/team-b/{b}/traces.json",
    "workspaces/team-b/{b}/traces.json",
    "%77orkspaces/team-b/{b}/traces.json",
    "%2577orkspaces/team-b/{b}/traces.json",
    "workspaces//team-b/{b}/traces.json",
    "%2Fworkspaces/team-b/{b}/traces.json",
    "workspaces%5Cteam-b%5C{b}%5Ctraces.json",
    "workspaces/team-b/./{b}/traces.json",
    "file:workspaces/team-b/{b}/traces.json",
    "workspaces/%09team-b/{b}/traces.json",
    "team-b/{b}/traces.json",
    "x",
]


def spelt(path: str, ids: Ids) -> str:
    return path.format(a=ids[DEFAULT], b=ids[TEAM_B])


def test_stock_mlflow_hands_out_what_is_another_workspaces(stock: World, stock_ids: Ids) -> None:
    for path in ("./workspaces/team-b/{b}/traces.json", "%252e/workspaces/team-b/{b}/traces.json"):
        answer = stock.ask("GET", f"{ARTIFACTS}/{spelt(path, stock_ids)}", workspace=DEFAULT)
        assert (answer.status, answer.body) == (200, CANARY)
    listed = stock.ask("GET", f"{ARTIFACTS}?path=workspaces", workspace=DEFAULT)
    assert TEAM_B in listed.text


def test_stock_mlflow_deletes_what_is_another_workspaces(stock: World, stock_ids: Ids) -> None:
    victim = f"{stock_ids[TEAM_B]}/victim.txt"
    stock.upload(TEAM_B, victim)
    answer = stock.ask("DELETE", f"{ARTIFACTS}/./workspaces/team-b/{victim}", workspace=DEFAULT)
    assert answer.status == 200
    assert stock.stored(TEAM_B, victim) is None


@pytest.mark.parametrize("workspace", [DEFAULT, TEAM_A])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_path_into_another_workspace_is_refused(
    guarded: World, guarded_ids: Ids, method: str, workspace: str
) -> None:
    for path in ROUNDABOUT:
        answer = guarded.ask(
            method,
            f"{ARTIFACTS}/{spelt(path, guarded_ids)}",
            workspace=workspace,
            body=b"changed" if method == "PUT" else None,
        )
        # Flask serves nothing below a double slash, so there the catalog has no rule.
        assert answer.status in ((400, 403, 404) if path.startswith("%2F") else (400, 403)), path
        assert method == "HEAD" or any(word in answer.text for word in REFUSALS), path
        assert guarded.stored(TEAM_B, f"{guarded_ids[TEAM_B]}/traces.json") == CANARY


@pytest.mark.parametrize("operation", ["mpu/create", "mpu/complete", "mpu/abort", "presigned"])
def test_nor_does_an_upload_in_parts_or_a_presigned_address_reach_there(
    guarded: World, guarded_ids: Ids, operation: str
) -> None:
    method, document = ("GET", None) if operation == "presigned" else ("POST", {"path": "x", "parts": []})
    for path in ROUNDABOUT:
        answer = guarded.ask(
            method,
            f"/ajax-api/2.0/mlflow-artifacts/{operation}/{spelt(path, guarded_ids)}",
            workspace=DEFAULT,
            json_body=document,
        )
        assert answer.status in ((400, 403, 404) if path.startswith("%2F") else (400, 403)), path
        assert any(word in answer.text for word in REFUSALS), path


@pytest.mark.parametrize(
    "query", ["", "?path=", "?path=.", "?path=workspaces", "?path=workspaces/", "?path=/"]
)
@pytest.mark.parametrize("workspace", [DEFAULT, TEAM_A])
def test_neither_the_root_nor_the_workspaces_can_be_listed_or_deleted(
    guarded: World, guarded_ids: Ids, query: str, workspace: str
) -> None:
    answer = guarded.ask("GET", f"{ARTIFACTS}{query}", workspace=workspace)
    assert answer.status in (400, 403)
    deleted = guarded.ask("DELETE", f"{ARTIFACTS}/{query.removeprefix('?path=')}", workspace=workspace)
    assert deleted.status >= 400
    for owner, experiment in guarded_ids.items():
        assert guarded.stored(owner, f"{experiment}/traces.json") == CANARY


def test_a_list_takes_one_path_in_one_place(guarded: World, guarded_ids: Ids) -> None:
    own = guarded_ids[DEFAULT]
    for path in ROUNDABOUT:
        foreign = spelt(path, guarded_ids)
        for query in (f"path={foreign}", f"path={foreign}&path={own}", f"path={own}&path={foreign}"):
            answer = guarded.ask("GET", f"{ARTIFACTS}?{query}", workspace=DEFAULT)
            assert answer.status in (400, 403), query
    hidden = guarded.ask("GET", ARTIFACTS, workspace=DEFAULT, json_body={"path": "./workspaces/team-b"})
    assert hidden.status == 400


@pytest.mark.parametrize("workspace", [TEAM_A, DEFAULT])
def test_ones_own_artifacts_are_reached_as_before(guarded: World, guarded_ids: Ids, workspace: str) -> None:
    path = f"{guarded_ids[workspace]}/run/artifacts/ä b 100%.txt"
    quoted = f"{guarded_ids[workspace]}/run/artifacts/%C3%A4%20b%20100%25.txt"
    assert guarded.ask("PUT", f"{ARTIFACTS}/{quoted}", workspace=workspace, body=b"mine").status == 200
    assert guarded.stored(workspace, path) == b"mine"
    got = guarded.ask("GET", f"{ARTIFACTS}/{quoted}", workspace=workspace)
    assert (got.status, got.body) == (200, b"mine")
    assert guarded.ask("HEAD", f"{ARTIFACTS}/{quoted}", workspace=workspace).status == 200
    for listed in (f"{guarded_ids[workspace]}/run/artifacts", f"{guarded_ids[workspace]}/run/artifacts/"):
        answer = guarded.ask("GET", f"{ARTIFACTS}?path={listed}", workspace=workspace)
        assert [file["path"] for file in answer.json["files"]] == ["ä b 100%.txt"]
    assert guarded.ask("DELETE", f"{ARTIFACTS}/{quoted}", workspace=workspace).status == 200
    assert guarded.stored(workspace, path) is None


def test_the_workspace_may_be_part_of_the_path(guarded: World, guarded_ids: Ids) -> None:
    path = f"{ARTIFACTS}/workspaces/{TEAM_A}/{guarded_ids[TEAM_A]}/traces.json"
    assert guarded.ask("GET", path).body == CANARY


def test_stock_mlflow_keeps_artifacts_of_experiments_that_are_not_there(stock: World, stock_ids: Ids) -> None:
    answer = stock.ask("PUT", f"{ARTIFACTS}/{stock_ids[TEAM_B]}/stray.txt", body=b"stray")
    assert answer.status == 200
    assert stock.stored(TEAM_A, f"{stock_ids[TEAM_B]}/stray.txt") == b"stray"


@pytest.mark.parametrize("workspace", [TEAM_A, DEFAULT])
def test_a_path_names_an_experiment_of_the_workspace(
    guarded: World, guarded_ids: Ids, workspace: str
) -> None:
    told = set()
    for experiment in (guarded_ids[TEAM_B], "987654321", f"0{guarded_ids[workspace]}"):
        path = f"{experiment}/stray.txt"
        asked = [(method, f"{ARTIFACTS}/{path}") for method in ("GET", "PUT", "DELETE")]
        asked += [("GET", f"{ARTIFACTS}?path={experiment}")]
        for method, target in asked:
            content = b"stray" if method == "PUT" else None
            answer = guarded.ask(method, target, workspace=workspace, body=content)
            told.add((answer.status, answer.text))
        assert guarded.stored(workspace, path) is None
    assert len(told) == 1
    assert told.pop()[0] == 404
