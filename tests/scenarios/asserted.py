"""Callers whose reviews the server asks with its own account, and pipelines in this process that judge them.

They are known by a proxy's headers, by a token for an audience of the server, or by a session.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from tests.harness.farewells import farewells
from tests.harness.plane import RBAC, Object, Plane, User
from tests.harness.server import MlflowServer
from tests.identity.sessions.keys import key_file
from tests.scenarios.people import MATRIX, SELECTOR, TEAM_B, Cluster, People
from workspace_authz.aio.clock import Clock, SystemClock
from workspace_authz.aio.statistics import Statistics
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.source import RbacSource
from workspace_authz.authorizer.rbac.watcher import RbacWatcher
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.devplane.api import until
from workspace_authz.effects.ciphers import AesCipher
from workspace_authz.identity.asserted import asserted_user
from workspace_authz.identity.authenticator import Authenticator, AuthenticatorChain, Presented
from workspace_authz.identity.sessions.authenticator import SESSION, SessionAuthenticator
from workspace_authz.identity.sessions.cookies import Cookies
from workspace_authz.identity.sessions.sealer import Sealer, SessionKeys
from workspace_authz.identity.sessions.session import Identity
from workspace_authz.identity.sessions.sessions import Lifetimes, Sessions
from workspace_authz.kubernetes.access_reviews import Target
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import caller_connection, server_connection
from workspace_authz.kubernetes.reviews import AccessAnswer, ApiReviews, Reviews, RulesAnswer
from workspace_authz.kubernetes.subject_reviews import ApiSubjectReviews
from workspace_authz.kubernetes.token_reviews import ApiTokenReviews
from workspace_authz.mlflow_adapter.reading.mlflow_reading import MLflowReading
from workspace_authz.mlflow_adapter.store.objects import StoreObjects
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.runtime.pipeline import ClusterParts, MLflowParts, build_pipeline
from workspace_authz.settings.settings import load_settings
from workspace_authz.types import Attributes, Caller, Credential, UserInfo
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.policy import NamespacePolicy
from workspace_authz.workspaces.requested import WorkspaceRule

ASSERTED = b"x-test-asserted-user"
"""Names a user to the pipeline whose kind of credential is unknown."""
AUDIENCE = "mlflow"
CALLERS = "callers"
"""The namespace of service accounts that stand for the people."""
_SECRET = "s" * 32
_SECONDS = 120.0
_TIMEOUT_SECONDS = 9.0
"""As long as a verdict may take."""
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_DELEGATION: Object = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "asserted-callers"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:auth-delegator",
    },
    "subjects": [{"kind": "ServiceAccount", "namespace": "mlflow", "name": "mlflow"}],
}


Header = tuple[bytes, bytes]
COOKIES = Cookies(secure=True)


@dataclass(frozen=True, slots=True)
class UnknownCredential:
    """A kind of credential for which the product has no reviewer."""

    def is_in(self, value: bytes) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class AssertingAuthenticator:
    """Believes the header; the caller gets ``credential``."""

    credential: Credential
    statistics: Statistics = field(default_factory=Statistics)

    async def authenticate(
        self, presented: Presented, *, unverified: Callable[[Credential], None]
    ) -> Caller | None:
        asserted = [value for name, value in presented.headers if name == ASSERTED]
        if not asserted:
            return None
        unverified(self.credential)  # the product must not ask anything with it
        name, *groups = json.loads(asserted[0])
        return Caller(UserInfo(name, groups=tuple(groups)), self.credential)

    def workspaces(self, presented: Presented) -> tuple[str, ...]:
        return ()

    async def confirm(self, caller: Caller) -> Caller | None:
        return caller if caller.credential == self.credential else None


class NoTokenReviews:
    """Fails where a caller's token would be needed."""

    async def who(self, token: str) -> UserInfo:
        raise AssertionError("nobody has a token here")

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        raise AssertionError("nobody has a token here")

    async def may_do(self, token: str, target: Target) -> AccessAnswer:
        raise AssertionError("nobody has a token here")

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        raise AssertionError("nobody has a token here")


@dataclass(frozen=True, slots=True)
class Accounts:
    """Service accounts with the rights of the people, each with a token for the API server."""

    people: People
    holders: Mapping[frozenset[str], User]
    tokens: Mapping[str, str] = field(repr=False)
    """For the audience of the server, by user name."""


def given_accounts(plane: Plane, people: People, holders: Mapping[frozenset[str], User]) -> Accounts:
    """An account for each of ``holders``, who holds what they hold, and for those whom every route sees."""
    plane.namespace(CALLERS)
    tokens: dict[str, str] = {}

    def account(name: str) -> User:
        user = User(f"system:serviceaccount:{CALLERS}:{name}", token=plane.service_account(CALLERS, name))
        tokens[user.name] = plane.account_token(CALLERS, name, audiences=[AUDIENCE])
        return user

    stand_ins = People(
        mallory=account("mallory"), carol=account("carol"), otto=account("otto"), root=account("root")
    )
    plane.bind(TEAM_B, "admin", account=(CALLERS, "carol"))
    plane.bind(MATRIX, "admin", account=(CALLERS, "root"))
    plane.bind(MATRIX, people.otto.name, account=(CALLERS, "otto"), kind="Role")
    accounts = {held: account(user.name) for held, user in holders.items()}
    for user in holders.values():
        plane.bind(MATRIX, user.name, account=(CALLERS, user.name), kind="Role")
    for held, user in accounts.items():
        verb, _, resource = min(held).partition(" ")
        plane.wait_for_access(user.token, MATRIX, verb=verb, resource=resource)
    return Accounts(stand_ins, accounts, tokens)


@dataclass(frozen=True, slots=True)
class Pipelines:
    """Over the same cluster and the same objects. They share no cache."""

    by_token: Pipeline
    by_headers: Pipeline
    by_audience: Pipeline
    by_session: Pipeline
    of_unknown_kind: Pipeline
    sessions: Sessions

    async def signed_in(self, user: User) -> list[Header]:
        """How a page of the server presents the session of somebody whom a provider named."""
        person = asserted_user(user.name, user.groups, source="a test")
        cookie = await self.sessions.begin("provider", Identity(user.name, person))
        pair = COOKIES.name(SESSION).encode() + b"=" + cookie
        return [(b"cookie", pair), (b"sec-fetch-site", b"same-origin")]


def token_of(token: str) -> list[Header]:
    """How a caller presents a token."""
    return [(b"authorization", f"Bearer {token}".encode())]


def named(user: User) -> list[Header]:
    """How a proxy names a user, and proves that it is the proxy."""
    return [
        (b"x-remote-user", user.name.encode()),
        (b"x-remote-groups", "|".join(user.groups).encode()),
        (b"x-proxy-secret", _SECRET.encode()),
    ]


@asynccontextmanager
async def pipelines(server: MlflowServer, cluster: Cluster) -> AsyncIterator[Pipelines]:
    """Pipelines with the server's own account, as a worker of ``server`` has one."""
    settings, clock = load_settings(), SystemClock()
    secret = server.state / "proxy-secret"
    await asyncio.to_thread(secret.write_text, _SECRET)
    configuration = await load_configuration(str(cluster.plane.server_kubeconfig))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(farewells)
        callers = caller_connection(configuration, limit=settings.api_connections)
        stack.push_async_callback(callers.close)
        own = server_connection(configuration)
        stack.push_async_callback(own.close)
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)
        directory = Directory(own, NamespacePolicy(label_selector=SELECTOR), clock=clock)
        generations, index = Generations(time.monotonic), RbacIndex()
        rbac = RbacWatcher(own, generations=generations, index=index, clock=clock)
        supervisor.run("namespaces", directory.run)
        supervisor.run("rbac", rbac.run)
        await _followed(directory, generations)

        sessions = sessionmaker(create_engine(server.database))
        reading = stack.enter_context(closing(MLflowReading()))
        objects = stack.enter_context(
            closing(
                StoreObjects(
                    lambda: sessions, registry=lambda: sessions, workspaces=True, monotonic=time.monotonic
                )
            )
        )
        mlflow = MLflowParts(reading=reading, store=objects, cipher=AesCipher(None))

        people = stack.enter_context(_sessions(server.state, clock))

        def by_session(tokens: Sequence[Authenticator], provided: Sequence[Authenticator]) -> Authenticator:
            return SessionAuthenticator(people, COOKIES, (), tokens, provided)

        def built(reviews: Reviews, **given: str) -> Pipeline:
            parts = ClusterParts(
                reviews,
                subject_reviews=ApiSubjectReviews(own, timeout=_TIMEOUT_SECONDS),
                token_reviews=ApiTokenReviews(own, audiences=[AUDIENCE], timeout=_TIMEOUT_SECONDS),
                workspaces=directory,
                sessions=by_session,
                generations=generations,
                rbac=RbacSource(index, generations),
            )
            return build_pipeline(
                parts,
                mlflow,
                settings=load_settings(**given),
                catalog=compile_catalog(),
                rule=WorkspaceRule(),
            )

        by_headers = built(NoTokenReviews(), proxy_secret_file=str(secret))
        yield Pipelines(
            by_token=built(ApiReviews(callers, timeout=_TIMEOUT_SECONDS)),
            by_headers=by_headers,
            by_audience=built(NoTokenReviews(), audiences=AUDIENCE),
            by_session=built(NoTokenReviews()),
            sessions=people,
            of_unknown_kind=replace(
                by_headers, identity=AuthenticatorChain((AssertingAuthenticator(UnknownCredential()),))
            ),
        )


@contextmanager
def _sessions(state: Path, clock: Clock) -> Iterator[Sessions]:
    """Sessions in a database of their own."""
    engine = create_engine(f"sqlite:///{state / 'sessions.db'}")
    keys = key_file(state / "session-keys")
    with closing(DatabaseThreads(lambda: engine, "sessions")) as database:
        sealer = Sealer(SessionKeys(keys))
        yield Sessions(database, sealer, providers={}, lifetimes=Lifetimes(), clock=clock)
    engine.dispose()


async def _followed(directory: Directory, generations: Generations) -> None:
    async def followed() -> bool:
        return generations.followed_since is not None and directory.state.followed_since is not None

    async with asyncio.timeout(_SECONDS):
        await until(followed)


@contextmanager
def delegation(plane: Plane) -> Iterator[None]:
    """The MLflow server's account may review others while the block lasts; the product never grants that."""
    path = f"{RBAC}/clusterrolebindings"
    plane.make(path, _DELEGATION)
    _until_reviews_answer(plane, 201)
    yield
    plane.delete(f"{path}/{_DELEGATION['metadata']['name']}")
    _until_reviews_answer(plane, 403)


def _until_reviews_answer(plane: Plane, status: int) -> None:
    """Wait until the API server's authorizer acts on the change."""
    token = yaml.safe_load(plane.server_kubeconfig.read_text())["users"][0]["user"]["token"]
    review = {"spec": {"user": "mallory", "nonResourceAttributes": {"verb": "get", "path": "/x"}}}
    deadline = time.monotonic() + _SECONDS
    while plane.ask("POST", _REVIEWS, review, token=token).status != status:
        assert time.monotonic() < deadline, f"reviews by the server's account never answered {status}"
        time.sleep(0.02)
