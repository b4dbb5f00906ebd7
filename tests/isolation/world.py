"""One MLflow with data of three workspaces, guarded or stock, asked the same questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.harness.http import Answer, Headers
from tests.harness.plane import User
from tests.harness.releases import release_of
from tests.harness.server import MlflowServer
from tests.scenarios.people import TEAM_A, TEAM_B

DEFAULT = "default"
CANARY = b'{"spans": [], "canary": "belongs to team-b"}'
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
REFUSALS = ("refused", "artifact path", "Invalid path")
"""Of a path, by the guard. The last is what MLflow would say itself."""


@dataclass(slots=True)
class World:
    """A server, and for each workspace somebody who may do everything there."""

    server: MlflowServer
    tokens: Mapping[str, str] = field(repr=False)
    """By workspace; empty for stock MLflow, which asks nobody."""

    @property
    def release(self) -> str:
        """The server's MLflow, as in :mod:`tests.harness.releases`."""
        return release_of(self.server.options.programs)

    def as_(self, user: User) -> World:
        """The same server, asked by ``user`` in team-a."""
        return replace(self, tokens={**self.tokens, TEAM_A: user.token})

    def ask(
        self,
        method: str,
        path: str,
        *,
        workspace: str = TEAM_A,
        headers: Headers = (),
        json_body: object = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request by the person of the workspace, which a server without workspaces is not told."""
        return self.server.ask(
            method,
            path,
            token=self.tokens.get(workspace),
            workspace=workspace if self.server.options.workspaces else None,
            headers=headers,
            json_body=json_body,
            body=body,
        )

    def make(self, path: str, document: object, *, workspace: str = TEAM_A, method: str = "POST") -> Any:
        """The JSON answer to a request that must succeed."""
        answer = self.ask(method, path, workspace=workspace, json_body=document)
        assert answer.status == 200, answer.text
        return answer.json

    def experiment(self, workspace: str, name: str) -> str:
        """A new experiment's id."""
        made = self.make("/api/2.0/mlflow/experiments/create", {"name": name}, workspace=workspace)
        return str(made["experiment_id"])

    def upload(self, workspace: str, path: str, content: bytes = CANARY) -> None:
        """Put an artifact."""
        answer = self.ask("PUT", f"{ARTIFACTS}/{path}", workspace=workspace, body=content)
        assert answer.status == 200, answer.text

    def stored(self, workspace: str, path: str) -> bytes | None:
        """An artifact as it lies on the server's disk, or None."""
        root = self.server.state / "artifacts"
        file = (root if workspace == DEFAULT else root / "workspaces" / workspace) / path
        return file.read_bytes() if file.is_file() else None


def furnish(world: World) -> dict[str, str]:
    """An experiment with a canary in each workspace. Returns their ids by workspace."""
    ids = {}
    for workspace in (TEAM_A, TEAM_B, DEFAULT):
        ids[workspace] = world.experiment(workspace, f"isolation of {workspace}")
        world.upload(workspace, f"{ids[workspace]}/traces.json")
    return ids
