"""What holds for all tests: which of them run in one process (pytest-xdist), and servers that any may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.harness.fakes import ManualClock, ScriptedReviews
from tests.harness.keycloak import Keycloak, running_keycloak
from tests.harness.mariadb import MariaDb, running_mariadb
from tests.harness.plane import EMBEDDED, REAL
from tests.harness.postgres import Postgres, running_postgres

if TYPE_CHECKING:
    from xdist.remote import Producer

# A test must not fail because a machine is busy.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_BY_ENGINE = "tests/scenarios"
_BY_DIRECTORY = frozenset(
    f"tests/{name}"
    for name in ("artifact_roots", "grants", "isolation", "manifests", "operations", "stamps", "storage")
)
"""Their files share servers."""


class ByServer(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests that share a server stay in one process, where it starts once; else a file's tests do.

    (xdist's own groups, ``--dist loadgroup``, have no effect under pytest 9.2: it has no ``_nodeid``.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        directory = str(PurePosixPath(file).parent)
        if directory in _BY_DIRECTORY:
            return directory
        if directory == _BY_ENGINE:
            parameters = test.partition("[")[2]
            return next((engine for engine in (EMBEDDED, REAL) if engine in parameters), file)
        return file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByServer:
    """Whatever ``--dist`` says."""
    return ByServer(config, log)


@pytest.fixture
def clock() -> ManualClock:
    """Moves by hand only."""
    return ManualClock()


@pytest.fixture
def reviews() -> ScriptedReviews:
    """An API server that answers as told."""
    return ScriptedReviews()


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """A real Keycloak with the tests' realm."""
    with running_keycloak(tmp_path_factory.mktemp("keycloak")) as keycloak:
        yield keycloak


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """A real MariaDB server."""
    with running_mariadb() as server:
        yield server
