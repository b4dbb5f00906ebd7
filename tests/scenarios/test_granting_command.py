"""Granting at the command line, beside a guarded MLflow: names that it knows, and the line of a refusal."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from tests.harness.server import MlflowServer
from tests.scenarios.naming import FOREIGN
from tests.scenarios.people import TEAM_B, Cluster
from tests.scenarios.studio import Studio
from tests.scenarios.waiting import until
from workspace_authz.cli.main import main

V2 = "/api/2.0/mlflow"


@dataclass(frozen=True, slots=True)
class Command:
    """``workspace-authz`` as carol, who administers team-b."""

    token: str
    kubeconfig: str
    server: str
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> tuple[int, str]:
        """Status and what it said on both outputs."""
        who = ["--token", self.token, "--kubeconfig", self.kubeconfig]
        status = main([*words, *who])
        said = self.capsys.readouterr()
        return status, said.out + said.err

    def checked(self, *words: str) -> tuple[int, str]:
        """The same with a server that knows names."""
        return self(*words, "--server", self.server, "-n", TEAM_B)


@pytest.fixture
def carol(server: MlflowServer, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(cluster.people.carol.token, str(cluster.plane.server_kubeconfig), server.uri, capsys)


def test_the_line_of_a_refusal_is_enough_and_gives_no_more(
    server: MlflowServer, cluster: Cluster, carol: Command
) -> None:
    dora = cluster.people.dora
    # Given two experiments, on which dora holds nothing
    names = [f"the {uuid.uuid4().hex}'s" for _ in range(2)]
    for name in names:
        made = server.ask(
            "POST",
            f"{V2}/experiments/create",
            token=cluster.people.carol.token,
            workspace=TEAM_B,
            json_body={"name": name},
        )
        assert made.status == 200, made.text
    paths = [f"{V2}/experiments/get-by-name?experiment_name={name.replace(' ', '%20')}" for name in names]
    # When she asks for one of them by its name
    refused = server.ask("GET", paths[0], token=dora.token, workspace=TEAM_B)
    # Then the refusal has a line that an administrator can paste
    assert refused.status == 403
    found = re.search(
        "allow it: (workspace-authz .*?) ; or for all of them there: kubectl", refused.json["message"]
    )
    assert found is not None, refused.text
    program, *words = shlex.split(found[1])
    assert (program, carol(*words)[0]) == ("workspace-authz", 0)
    # And dora sees that one, and no other
    asking = partial(server.ask, "GET", token=dora.token, workspace=TEAM_B)
    until(lambda: asking(paths[0]).status == 200)
    assert asking(paths[1]).status == 403
    # What to list the server knows by a watch of its own.
    search = f"{V2}/experiments/search?max_results=100"
    until(lambda: asking(search).status == 200)
    assert [each["name"] for each in asking(search).json["experiments"]] == [names[0]]
    # When it is taken back, she sees nothing
    assert carol("revoke", "dora", f"--experiment={names[0]}", "-n", TEAM_B)[0] == 0
    until(lambda: asking(paths[0]).status == 403)


def test_names_are_known_and_ids_are_caught(carol: Command, studios: Mapping[str, Studio]) -> None:
    studio = studios[FOREIGN]
    ids = {
        "--experiment": studio.experiment,
        "--dataset": studio.dataset,
        "--endpoint": studio.endpoint,
        "--secret": studio.secret,
        "--model-definition": studio.definition,
    }
    for option, identifier in ids.items():
        # Given an id, the command names what to write
        status, said = carol.checked("grant", "dora", "read", f"{option}={identifier}")
        assert status == 2, said
        found = re.search(f"is an id; rights go by names, and this one's is: {option}=(.+)", said)
        assert found is not None, said
        # And that is taken without a word
        status, said = carol.checked("grant", "dora", "read", f"{option}={found[1]}")
        assert (status, said.count("\n")) == (0, 1), said
        assert carol.checked("revoke", "dora", f"{option}={found[1]}")[0] == 0
    for option, name in (("--model", studio.model), ("--mcp-server", studio.mcp_server)):
        status, said = carol.checked("grant", "dora", "read", f"{option}={name}")
        assert (status, said.count("\n")) == (0, 1), said
        assert carol.checked("revoke", "dora", f"{option}={name}")[0] == 0
        # A name that nothing has yet may be granted: the object may come later
        status, said = carol.checked("grant", "dora", "read", f"{option}=none-such")
        assert (status, "none-such' in team-b yet" in said) == (0, True), said
        assert carol.checked("revoke", "dora", f"{option}=none-such")[0] == 0
