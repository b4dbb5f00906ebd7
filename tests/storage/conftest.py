"""One production installation for all tests here, and databases with MLflow's tables to copy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

from tests.harness.bucket import S3, s3_server
from tests.harness.plane import REAL, devplane
from tests.harness.postgres import Postgres, running_postgres
from tests.harness.sdk import preload
from tests.scenarios.people import Cluster, People, given_two_teams
from tests.storage.stand import ARTIFACTS, Stand, new_database, production, standing
from workspace_authz.database.schema import migrate


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two teams."""
    preload()
    people = People()
    with devplane(REAL, tmp_path_factory.mktemp("storage") / "plane", users=people.all) as plane:
        yield given_two_teams(plane, people)


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that the drills may restart."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def template(own_postgres: Postgres) -> str:
    """A database with all tables and nothing in them."""
    name = own_postgres.database()
    engine = create_sqlalchemy_engine(own_postgres.url(name))
    _initialize_tables(engine)
    migrate(engine)
    engine.dispose()
    return name


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 with the bucket."""
    with s3_server(tmp_path_factory.mktemp("s3")) as s3:
        for bucket in (ARTIFACTS, "s3://mlflow-archive/traces", "s3://own/root"):
            s3.put(f"{bucket}/here", b"")
        yield s3


@pytest.fixture(scope="session")
def stand(
    cluster: Cluster,
    own_postgres: Postgres,
    template: str,
    s3: S3,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stand]:
    """Two replicas of two workers each, behind nginx."""
    options = production(cluster, s3, new_database(own_postgres, template))
    with standing(tmp_path_factory.mktemp("stand"), cluster=cluster, s3=s3, options=options) as stand:
        yield stand
