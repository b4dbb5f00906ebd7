"""A stock MLflow, which knows nothing of us, behind a real proxy that asks ``workspace-authz serve``."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tests.harness.forward_auth import ENVOY, Door
from tests.harness.http import Answer, Headers, Http, bearer
from tests.harness.plane import GROUP, Plane
from tests.harness.server import WORKSPACE, MlflowServer
from tests.scenarios.people import NAMED, TEAM_A, TEAM_B

API, API3 = "/api/2.0/mlflow", "/api/3.0/mlflow"


@dataclass(slots=True)
class Front:
    """One proxy, and what is behind it."""

    name: str
    url: str
    door: Door
    mlflow: MlflowServer

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        workspace: str | None = None,
        headers: Headers = (),
        json_body: object = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request of a client."""
        given: list[tuple[str, str]] = list(headers.items() if isinstance(headers, Mapping) else headers)
        given += bearer(token).items() if token is not None else ()
        given += [(WORKSPACE, workspace)] if workspace is not None else []
        if json_body is not None:
            body = json.dumps(json_body).encode()
            given.append(("Content-Type", "application/json"))
        with closing(Http(self.url)) as http:
            return http.request(method, path, headers=given, body=body)

    def refuses(self, answer: Answer, status: int) -> bool:
        """Whether it is a refusal with ``status``, as this proxy passes it on."""
        told = 403 if self.name == ENVOY and status == 501 else status
        return answer.status == told and bool(answer.json["error_code"])


def inside(mlflow: MlflowServer, path: str, body: object, *, workspace: str | None) -> Any:
    """Make something in MLflow itself, past every proxy. Raises ``AssertionError``."""
    answer = mlflow.ask("POST", path, workspace=workspace, json_body=body)
    assert answer.status in (200, 201), answer.text
    return answer.json


@dataclass(frozen=True, slots=True)
class Thing:
    """An experiment, and one of each kind in it."""

    name: str
    experiment: str
    run: str
    trace: str
    model: str
    issue: str
    dataset: str
    registered: str


def thing_in(mlflow: MlflowServer, workspace: str, kind: str) -> Thing:
    """Make one."""
    name = f"{kind}-{secrets.token_hex(4)}"

    def make(path: str, body: object) -> Any:
        return inside(mlflow, path, body, workspace=workspace)

    experiment = make(f"{API}/experiments/create", {"name": name})["experiment_id"]
    info = {
        "trace_id": f"tr-{name}",
        "trace_location": {"type": 1, "mlflow_experiment": {"experiment_id": experiment}},
        "state": 1,
        "request_time": "2026-01-01T00:00:00Z",
    }
    return Thing(
        name=name,
        experiment=experiment,
        run=make(f"{API}/runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"],
        trace=make(f"{API3}/traces", {"trace": {"trace_info": info}})["trace"]["trace_info"]["trace_id"],
        model=make(f"{API}/logged-models", {"experiment_id": experiment, "name": "m"})["model"]["info"][
            "model_id"
        ],
        issue=make(
            f"{API3}/issues",
            {"experiment_id": experiment, "name": "i", "description": "d", "status": "pending"},
        )["issue"]["issue_id"],
        dataset=make(f"{API3}/datasets/create", {"name": name, "experiment_ids": [experiment]})["dataset"][
            "dataset_id"
        ],
        registered=make(f"{API}/registered-models/create", {"name": name})["registered_model"]["name"],
    )


def given_workspaces(mlflow: MlflowServer) -> None:
    """MLflow keeps workspaces of its own, of the namespaces' names."""
    for name in (TEAM_A, TEAM_B, NAMED):
        inside(mlflow, f"{API3}/workspaces", {"name": name}, workspace=None)


def given_rights_on(plane: Plane, own: Thing) -> str:
    """A service account with every right on the objects of one name. Returns its token."""
    account = f"narrow-{secrets.token_hex(4)}"
    token = plane.service_account(NAMED, account)
    rule = {
        "apiGroups": [GROUP],
        "resources": ["experiments", "datasets", "registeredmodels"],
        "verbs": ["get", "list", "update", "delete"],
        "resourceNames": [own.name],
    }
    plane.role(NAMED, account, rules=[rule])
    plane.bind(NAMED, account, account=(NAMED, account), kind="Role")
    return token
