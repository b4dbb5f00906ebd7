"""Permission databases, made by the packages whose they are, and an MLflow that they are about."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel, SqlRegisteredModelTag
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlGatewayEndpoint,
    SqlGatewaySecret,
    SqlMCPServer,
)
from sqlalchemy import insert

from tests.harness.processes import ROOT
from tests.manifests.conftest import cluster, kubectl
from workspace_authz.cli.main import main

__all__ = ["cluster", "kubectl"]

EXPERIMENTS = {"1": "fraud", "2": "churn", "3": "vision"}
MODELS = ("fraud-detector", "churn-model")
PROMPTS = ("greeting", "summary")
ENDPOINT = ("ep-1", "chat")


@dataclass(frozen=True, slots=True)
class Result:
    """What the command did."""

    status: int
    out: str
    report: str

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """The objects."""
        return [each for each in yaml.safe_load_all(self.out) if each]

    @property
    def names(self) -> set[str]:
        """Kind, namespace and name of each."""
        return {
            f"{each['kind']} {each['metadata']['namespace']}/{each['metadata']['name']}"
            for each in self.manifests
        }


Convert = Callable[..., Result]


@pytest.fixture
def convert(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Convert:
    """Run ``workspace-authz convert`` in this process."""
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI", raising=False)

    def convert(*arguments: str | Path) -> Result:
        capsys.readouterr()
        status = main(["convert", *map(str, arguments)])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return convert


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Each database empty, MLflow's own with a few objects. Their packages made the tables."""
    folder = tmp_path_factory.mktemp("convert")
    files = {name: folder / f"{name}.db" for name in ("basic-auth", "oidc-auth", "mlflow")}
    store = basic_auth_store(f"sqlite:///{files['basic-auth']}")
    for name in ("alice", "bob", "carol"):
        store.create_user(name, "a-password-of-many-characters", is_admin=name == "carol")
    store.engine.dispose()
    subprocess.run([ROOT / "scripts" / "setup", "oidc-auth"], check=True)
    (packages,) = (ROOT / ".venv-oidc-auth" / "lib").glob("python3*/site-packages")
    subprocess.run(
        [sys.executable, Path(__file__).with_name("made_by_oidc_auth.py"), f"sqlite:///{files['oidc-auth']}"],
        env={**os.environ, "PYTHONPATH": str(packages), "HOME": str(folder)},
        check=True,
        capture_output=True,
        cwd=folder,
    )
    fill_mlflow(f"sqlite:///{files['mlflow']}")
    return files


@pytest.fixture
def databases(templates: Mapping[str, Path], tmp_path: Path) -> Callable[[str], str]:
    """A database of one's own, by name: its address."""

    def database(name: str) -> str:
        shutil.copyfile(templates[name], tmp_path / f"{name}.db")
        return f"sqlite:///{tmp_path / f'{name}.db'}"

    return database


@pytest.fixture
def mlflow(databases: Callable[[str], str]) -> str:
    """MLflow's database."""
    return databases("mlflow")


def basic_auth_store(url: str) -> SqlAlchemyStore:
    """MLflow's own code for such a database."""
    store = SqlAlchemyStore()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its configuration of alembic is not ours
        store.init_db(url)
    return store


def fill_mlflow(url: str) -> None:
    """Everything in the workspace ``default``."""
    engine = create_sqlalchemy_engine(url)
    _initialize_tables(engine)
    here = {"workspace": "default"}
    with engine.begin() as connection:
        for key, name in EXPERIMENTS.items():
            row = {"experiment_id": int(key), "name": name, "lifecycle_stage": "active", **here}
            connection.execute(insert(SqlExperiment).values(**row))
        for name in (*MODELS, *PROMPTS):
            connection.execute(insert(SqlRegisteredModel).values(name=name, **here))
        for name in PROMPTS:
            tag = {"key": "mlflow.prompt.is_prompt", "value": "true"}
            connection.execute(insert(SqlRegisteredModelTag).values(name=name, **tag, **here))
        connection.execute(insert(SqlMCPServer).values(name="tools", **here))
        named = {"endpoint_id": ENDPOINT[0], "name": ENDPOINT[1], "created_at": 1, "last_updated_at": 1}
        connection.execute(insert(SqlGatewayEndpoint).values(**named, **here))
        secret = {
            "secret_id": "s-1",
            "secret_name": "openai",
            "encrypted_value": b"x",
            "wrapped_dek": b"x",
            "masked_value": "x",
            "created_at": 1,
            "last_updated_at": 1,
        }
        connection.execute(insert(SqlGatewaySecret).values(**secret, **here))
    engine.dispose()
