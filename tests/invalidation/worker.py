"""A worker's parts as the runtime joins them, without MLflow, so that two of them run in one process."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.harness.plane import User
from tests.scenarios.asserted import ASSERTED, AssertingAuthenticator
from workspace_authz.aio.clock import SystemClock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.source import RbacSource
from workspace_authz.authorizer.rbac.watcher import RbacWatcher
from workspace_authz.catalog.compile import CompiledCatalog
from workspace_authz.identity.asserted import AUTHENTICATED
from workspace_authz.identity.authenticator import AuthenticatorChain
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import caller_connection, server_connection
from workspace_authz.kubernetes.credentials import AssertedUser
from workspace_authz.kubernetes.informer_state import Timing
from workspace_authz.kubernetes.retries import retrying_subject_reviews, review_priorities
from workspace_authz.kubernetes.reviews import ApiReviews
from workspace_authz.kubernetes.subject_reviews import ApiSubjectReviews
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import conclusion
from workspace_authz.runtime.pipeline import ClusterParts, build_pipeline
from workspace_authz.settings.settings import Settings
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.policy import NamespacePolicy
from workspace_authz.workspaces.requested import WorkspaceRule

SEARCH: Final = "/api/2.0/mlflow/experiments/search"


@dataclass(frozen=True, slots=True)
class Worker:
    """Judges requests."""

    pipeline: Pipeline
    generations: Generations
    directory: Directory
    named: Mapping[str, User]
    """Those whom the server reviews by name, by the token that they would have."""

    @property
    def following(self) -> bool:
        """Whether no change can be missed."""
        return self.generations.followed_since is not None and self.directory.state.followed_since is not None

    def subject(self, token: str) -> str:
        """How the API server is asked about the owner of ``token``: by their name, or with the token."""
        return self.named[token].name if token in self.named else token

    async def allows(self, token: str, workspace: str) -> bool | None:
        """Whether a search of experiments passes; None where nobody could say."""
        headers = [(b"x-mlflow-workspace", workspace.encode())]
        if (user := self.named.get(token)) is None:
            headers.append((b"authorization", b"Bearer " + token.encode()))
        else:
            who = [user.name, *user.groups, AUTHENTICATED]
            headers.append((ASSERTED, json.dumps(who).encode()))
        verdict = await self.pipeline.judge(AccessRequest("GET", SEARCH, headers=headers))
        return None if conclusion(verdict) == "error" else verdict.passed


@asynccontextmanager
async def working(
    kubeconfig: Path,
    catalog: CompiledCatalog,
    *,
    settings: Settings,
    timing: Timing,
    label: str,
    named: Mapping[str, User],
) -> AsyncIterator[Worker]:
    """A worker for as long as the block lasts. Namespaces with ``label`` are workspaces.

    ``named``: see :class:`Worker`.
    """
    configuration = await load_configuration(str(kubeconfig))
    async with AsyncExitStack() as stack:
        callers = caller_connection(configuration, limit=settings.api_connections)
        stack.push_async_callback(callers.close)
        server = server_connection(configuration)
        stack.push_async_callback(server.close)
        own = server_connection(configuration, limit=settings.api_connections)
        stack.push_async_callback(own.close)
        supervisor, clock = Supervisor(), SystemClock()
        stack.push_async_callback(supervisor.close)
        directory = Directory(server, NamespacePolicy(label_selector=label), clock=clock, timing=timing)
        supervisor.run("namespaces", directory.run)
        generations, index = Generations(time.monotonic), RbacIndex()
        rbac = RbacWatcher(server, generations=generations, index=index, clock=clock, timing=timing)
        supervisor.run("rbac", rbac.run)
        api = ApiReviews(callers, timeout=settings.api_timeout_seconds)
        reviews = review_priorities(
            api, places=settings.api_connections, seconds=settings.api_timeout_seconds, clock=clock
        )
        pipeline = build_pipeline(
            ClusterParts(
                reviews.known,
                unverified=reviews.unverified,
                subject_reviews=retrying_subject_reviews(
                    ApiSubjectReviews(own, timeout=settings.api_timeout_seconds),
                    places=settings.api_connections,
                    seconds=settings.api_timeout_seconds,
                    clock=clock,
                ),
                server_time=api.server_time.now,
                workspaces=directory,
                generations=generations,
                rbac=RbacSource(index, generations),
            ),
            settings=settings,
            catalog=catalog,
            rule=WorkspaceRule(),
        )
        by_name = AssertingAuthenticator(AssertedUser())
        chain = AuthenticatorChain((by_name, *pipeline.identity.authenticators))
        yield Worker(replace(pipeline, identity=chain), generations, directory, named)
