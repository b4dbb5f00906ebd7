"""The pipeline's stages, joined. Apart from what a worker also runs, so that a dry run starts at once."""

from __future__ import annotations

import time

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.memory import Lifetimes
from workspace_authz.catalog.compile import CompiledCatalog
from workspace_authz.enforcement.extraction import Objects
from workspace_authz.enforcement.pipeline import Bindings, Pipeline, Workspaces
from workspace_authz.enforcement.restrictions import Restrictions
from workspace_authz.identity.authenticator import Authenticator
from workspace_authz.kubernetes.reviews import Reviews
from workspace_authz.settings import Settings
from workspace_authz.workspaces.requested import WorkspaceRule


def build_pipeline(
    reviews: Reviews,
    *,
    strangers: Reviews | None = None,
    settings: Settings,
    catalog: CompiledCatalog,
    rule: WorkspaceRule,
    workspaces: Workspaces | None,
    objects: Objects | None = None,
    artifact_root: str | None = None,
    bindings: Bindings | None = None,
) -> Pipeline:
    """The pipeline over ``reviews``, with caches of its own. Without ``objects`` only broad rights count.

    ``strangers`` is what tokens are asked about that nobody knows yet, ``reviews`` unless given.
    ``artifact_root`` is MLflow's default artifact root; a dry run does not know it.
    """
    return Pipeline(
        catalog=catalog,
        authenticator=Authenticator(
            reviews,
            strangers=strangers,
            monotonic=time.monotonic,
            seconds=settings.identity_seconds,
            rejected_seconds=settings.deny_seconds,
        ),
        authorizer=Authorizer(
            reviews,
            strangers=strangers,
            monotonic=time.monotonic,
            lifetimes=Lifetimes(allow=settings.allow_seconds, deny=settings.deny_seconds),
        ),
        rule=rule,
        workspaces=workspaces,
        restrictions=Restrictions(artifact_root),
        objects=objects,
        bindings=bindings,
    )
