"""Those who take the steps: people, each with MLflow's SDK in a process of its own, and the administrator."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from workspace_authz.apps.demo.cluster import Cluster
from workspace_authz.apps.demo.people import BOB, TEAM_A, TEAM_B, TRAINER, USERS
from workspace_authz.apps.demo.processes import Child, child
from workspace_authz.apps.demo.tour import ADMINISTRATOR, NOBODY, Step

_TRACKING: Final = "workspace_authz.apps.demo.steps.tracking"
_MODELS: Final = "workspace_authz.apps.demo.steps.models"
"""scikit-learn takes seconds to import: only who needs it has it."""
_POD: Final = "workspace_authz.apps.demo.pod"
_IMPORT_SECONDS: Final = 120.0
_STEP_SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a step."""

    got: str
    detail: str = ""


class Performer(Protocol):
    """Somebody who can take steps."""

    @property
    def credential(self) -> str:
        """How they show who they are, for the table."""

    async def perform(self, step: Step) -> Result:
        """Take one step. Raises ``DemoError`` when they cannot even try."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """A process in which MLflow's SDK is loaded."""

    process: Child
    credential: str

    async def perform(self, step: Step) -> Result:
        """See :class:`Performer`."""
        request = {"action": step.action, "workspace": step.workspace}
        await self.process.send(json.dumps(request).encode() + b"\n")
        answer: Mapping[str, str] = json.loads(await self.process.line(seconds=_STEP_SECONDS))
        return Result(got=answer["got"], detail=answer["detail"])


@dataclass(frozen=True, slots=True)
class Administrator:
    """Binds and unbinds bob in team-b."""

    cluster: Cluster
    credential: str = "kubeconfig"

    async def perform(self, step: Step) -> Result:
        """See :class:`Performer`."""
        change = self.cluster.bind if step.action == "bind" else self.cluster.unbind
        await change(BOB, role="view", namespace=TEAM_B)
        return Result("done")


@asynccontextmanager
async def performers(
    *, uri: str, tokens: Mapping[str, str], cluster: Cluster, state: Path
) -> AsyncIterator[Mapping[str, Performer]]:
    """Everybody of the tour by name, their processes started and MLflow loaded in them."""
    commands: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {
        NOBODY: ((_TRACKING,), {}),
        **{user.name: ((_TRACKING,), _by_token(tokens[user.name], user.namespace)) for user in USERS},
        BOB.name: ((_MODELS,), _by_token(tokens[BOB.name], BOB.namespace)),
        TRAINER.name: (
            (_POD, str(account_files(state, tokens[TRAINER.name])), _MODELS),
            {"MLFLOW_TRACKING_AUTH": "kubernetes-namespaced"},
        ),
    }
    async with AsyncExitStack() as stack:
        started = {
            name: await stack.enter_async_context(
                child(
                    f"{name}'s process",
                    (sys.executable, "-m", *command),
                    environment={**_client(uri, state), **environment},
                    log=state / f"{name}.log",
                    talks=True,
                )
            )
            for name, (command, environment) in commands.items()
        }
        everybody: dict[str, Performer] = {ADMINISTRATOR: Administrator(cluster)}
        for name, process in started.items():
            ready = json.loads(await process.line(seconds=_IMPORT_SECONDS))
            everybody[name] = Sdk(process, _credential(name, ready["account_files"]))
        yield everybody


def account_files(state: Path, token: str) -> Path:
    """What a kubelet mounts into trainer's pod, of which MLflow's SDK reads two files."""
    directory = state / "pod"
    directory.mkdir(exist_ok=True, mode=0o700)
    (directory / "token").write_text(token)
    (directory / "namespace").write_text(TEAM_A)
    return directory


def _client(uri: str, state: Path) -> dict[str, str]:
    # A home of their own: MLflow's SDK would read ~/.kube/config and keep files there.
    home = {"HOME": str(state), "GIT_PYTHON_REFRESH": "quiet", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return {"MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", **home}


def _by_token(token: str, workspace: str) -> dict[str, str]:
    return {"MLFLOW_TRACKING_TOKEN": token, **({"MLFLOW_WORKSPACE": workspace} if workspace else {})}


def _credential(name: str, account_files: str) -> str:
    if name == NOBODY:
        return "nothing"
    if name != TRAINER.name:
        return "token"
    return "pod's files, mounted" if account_files == "mount" else "pod's files, by constants"
