"""The same few objects in each of two workspaces of one store."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities import Issue, IssueStatus
from mlflow.store.tracking.dbmodels.models import SqlJob, SqlTraceInfo
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.workspace_context import WorkspaceContext

from workspace_authz.catalog.model import Identifier

TEAM_A, TEAM_B = "team-a", "team-b"


@dataclass(frozen=True, slots=True)
class World:
    """A store, and what lies in it: by workspace, the id of one object of each kind."""

    store: SqlAlchemyStore
    ids: Mapping[str, Mapping[Identifier, str]]


def populate(store: SqlAlchemyStore, *workspaces: str) -> World:
    """Make the objects. All names say in which workspace they lie."""
    ids = {}
    for workspace in workspaces:
        with WorkspaceContext(workspace):
            ids[workspace] = _objects(store, workspace)
    return World(store, ids)


def _objects(store: SqlAlchemyStore, workspace: str) -> Mapping[Identifier, str]:
    experiment = store.create_experiment(f"experiment-of-{workspace}")
    run = store.create_run(experiment, "somebody", 1, [], "run").info.run_id
    issue: Issue = store.create_issue(experiment, "issue", "d", IssueStatus.PENDING)
    scorer = store.register_scorer(experiment, "scorer", json.dumps({"name": "scorer"}))
    secret = store.create_gateway_secret(f"secret-of-{workspace}", {"api_key": "sk"}, "openai")
    definition = store.create_gateway_model_definition(
        f"definition-of-{workspace}", secret.secret_id, "openai", "gpt"
    )
    trace, job = f"tr-{uuid.uuid4().hex}", str(uuid.uuid4())
    with store.ManagedSessionMaker(read_only=False) as session:
        session.add(
            SqlTraceInfo(request_id=trace, experiment_id=int(experiment), timestamp_ms=1, status="OK")
        )
        params = json.dumps({"experiment_id": experiment})
        session.add(SqlJob(id=job, job_name="j", params=params, workspace=workspace, status=0))
    return {
        Identifier.EXPERIMENT_ID: str(experiment),
        Identifier.RUN_ID: run,
        Identifier.TRACE_ID: trace,
        Identifier.NEW_TRACE_ID: trace,
        Identifier.LOGGED_MODEL_ID: store.create_logged_model(experiment, "logged").model_id,
        Identifier.ISSUE_ID: issue.issue_id,
        Identifier.SCORER_ID: scorer.scorer_id,
        Identifier.JOB_ID: job,
        Identifier.DATASET_ID: store.create_dataset(f"dataset-of-{workspace}").dataset_id,
        Identifier.SECRET_ID: secret.secret_id,
        Identifier.MODEL_DEFINITION_ID: definition.model_definition_id,
    }
