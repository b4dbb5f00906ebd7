"""The scenarios' world: a control plane of each engine, MLflow guarded by it, and the people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.harness.database import empty_database
from tests.harness.keycloak import Keycloak
from tests.harness.plane import EMBEDDED, REAL, User, devplane
from tests.harness.provider import model_provider
from tests.harness.releases import NEWEST, OLDEST, programs_of
from tests.harness.sdk import Sdk, sdk
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.audiences import Site, audience_site
from tests.scenarios.campaign import given_holders
from tests.scenarios.naming import FOREIGN, OWN, SIBLING, given_named_rights, studio_of
from tests.scenarios.people import NAMED, SELECTOR, TEAM_B, Cluster, People, given_groups, given_two_teams
from tests.scenarios.sign_in_site import SignInSite, sign_in_site
from tests.scenarios.studio import Studio
from tests.scenarios.tracking_studio import ENVIRONMENT
from tests.scenarios.waiting import until
from workspace_authz.catalog.compile import compile_catalog

As = Callable[..., Sdk]
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


@pytest.fixture(scope="session", params=[EMBEDDED, REAL])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of an engine. Whatever depends on it runs once on each."""
    return str(request.param)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, empty."""
    return empty_database(tmp_path_factory.mktemp("database"))


@pytest.fixture(scope="session")
def cluster(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane with two teams."""
    people = People()
    with devplane(engine, tmp_path_factory.mktemp(engine) / "plane", users=people.all) as plane:
        yield given_two_teams(plane, people)


@pytest.fixture(scope="session")
def trusting_cluster(
    engine: str, keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A control plane of its own, whose API server trusts Keycloak's realm. Its groups work in both teams."""
    assert engine == REAL
    people, issuers = People(), keycloak.authentication_config
    state = tmp_path_factory.mktemp("trusting") / "plane"
    with devplane(engine, state, users=people.all, authentication_config=issuers) as plane:
        cluster = given_two_teams(plane, people)
        given_groups(plane)
        token = keycloak.id_token("alice")
        until(lambda: plane.ask("POST", WHO, _REVIEW, token=token).status == 201)  # it has fetched the keys
        yield cluster


@pytest.fixture(scope="session")
def server(
    cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """MLflow guarded by the cluster; only labelled namespaces are workspaces."""
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        database=database,
        workspace_store=f"kubernetes://?label_selector={SELECTOR.replace('=', '%3D')}",
        environment={
            **ENVIRONMENT,
            # Shorter than usual, so that tests see changes of RBAC sooner.
            "WORKSPACE_AUTHZ_ALLOW_SECONDS": "3",
            "WORKSPACE_AUTHZ_DENY_SECONDS": "1",
        },
    )
    with mlflow_server(tmp_path_factory.mktemp("guarded"), options) as server:
        yield server


@pytest.fixture(scope="session")
def sign_in(
    cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SignInSite]:
    """A server at which people sign in at a provider that can misbehave."""
    with sign_in_site(cluster, database, tmp_path_factory.mktemp("sign-in")) as site:
        yield site


@pytest.fixture(scope="session")
def site(cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Servers with audiences."""
    with audience_site(cluster, database, tmp_path_factory.mktemp("audiences")) as site:
        yield site


@pytest.fixture(scope="session")
def oldest_server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """The oldest MLflow that is supported, guarded by the cluster."""
    with _server_of(OLDEST, cluster, state=tmp_path_factory.mktemp("oldest")) as server:
        yield server


@pytest.fixture(scope="session")
def newest_server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """The newest MLflow that is supported, guarded by the cluster."""
    with _server_of(NEWEST, cluster, state=tmp_path_factory.mktemp("newest")) as server:
        yield server


@contextmanager
def _server_of(release: str, cluster: Cluster, *, state: Path) -> Iterator[MlflowServer]:
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig, programs=programs_of(release), environment=ENVIRONMENT
    )
    with mlflow_server(state, options) as server:
        assert server.ask("GET", "/version").text.startswith(f"{release}.")
        yield server


@pytest.fixture(scope="session")
def using_sdk(server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[As]:
    """``using_sdk(token=…, workspace=…)``: somebody's SDK process, kept for who asks for the same again."""
    with ExitStack() as stack:
        processes: dict[tuple[tuple[str, str | None], ...], Sdk] = {}

        def start(**who: str | None) -> Sdk:
            key = tuple(sorted(who.items()))
            if key not in processes:
                home: Path = tmp_path_factory.mktemp("sdk")
                given = {name: value for name, value in who.items() if value is not None}
                processes[key] = stack.enter_context(sdk(server.uri, home, **given))
            return processes[key]

        yield start


@pytest.fixture(scope="session")
def holders(cluster: Cluster) -> Mapping[frozenset[str], User]:
    """A user for each set of rights that some route needs."""
    return given_holders(cluster.plane, cluster.people, compile_catalog().entries)


@pytest.fixture(scope="session")
def named_rights(cluster: Cluster) -> None:
    """Nora has her rights."""
    given_named_rights(cluster.plane, cluster.people)


@pytest.fixture(scope="session")
def studios(server: MlflowServer, cluster: Cluster, named_rights: None) -> Iterator[Mapping[str, Studio]]:
    """Objects by whose they are: nora's own, siblings in the same workspace, foreign ones in another."""
    with studios_on(server, cluster) as studios:
        yield studios


@contextmanager
def studios_on(server: MlflowServer, cluster: Cluster) -> Iterator[Mapping[str, Studio]]:
    """The same on any server."""
    with model_provider() as provider:
        yield {
            owner: studio_of(server, cluster.people, owner, workspace=workspace, provider=provider.url)
            for owner, workspace in ((OWN, NAMED), (SIBLING, NAMED), (FOREIGN, TEAM_B))
        }
