"""The pipeline's stages, joined. Apart from what a worker also runs, so that a dry run starts at once."""

from __future__ import annotations

import time
from collections.abc import Callable

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.named_rights import NamedRights, NameSource, RulesReviewNames
from workspace_authz.authorizer.rbac.source import RbacSource
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.catalog.compile import CompiledCatalog
from workspace_authz.effects.page_tokens import Seal
from workspace_authz.identity.tokens import Authenticator, Terms
from workspace_authz.kubernetes.reviews import Reviews
from workspace_authz.mlflow_adapter.reading.reader import Objects
from workspace_authz.pipeline.lists import Lists
from workspace_authz.pipeline.pipeline import Pipeline, Tenancy, Workspaces
from workspace_authz.restrictions.restrictions import Restrictions
from workspace_authz.settings import Settings
from workspace_authz.workspaces.requested import WorkspaceRule


def build_pipeline(
    reviews: Reviews,
    *,
    unverified: Reviews | None = None,
    server_time: Callable[[], float | None] = lambda: None,
    settings: Settings,
    catalog: CompiledCatalog,
    rule: WorkspaceRule,
    workspaces: Workspaces | None,
    objects: Objects | None = None,
    artifact_root: str | None = None,
    tenancy: Tenancy | None = None,
    generations: Generations | None = None,
    seal: Seal | None = None,
    rbac: RbacSource | None = None,
) -> Pipeline:
    """The pipeline over ``reviews``, with caches of its own. Without ``objects`` only broad rights count.

    ``unverified`` is asked about tokens that nobody knows yet, ``reviews`` unless given; ``server_time`` is
    the API server's. ``artifact_root`` is MLflow's default artifact root; a dry run does not know it. Without
    ``generations`` nothing is followed, and decisions live short. ``seal`` is for pages of filtered lists;
    without it nobody without the broad right gets a list. ``rbac`` knows where a caller could hold rights;
    without it that is looked for everywhere.
    """
    authorizer = _authorizer(reviews, settings, unverified=unverified, generations=generations, rbac=rbac)
    return Pipeline(
        catalog=catalog,
        authenticator=_authenticator(reviews, settings, unverified=unverified, server_time=server_time),
        authorizer=authorizer,
        rule=rule,
        workspaces=workspaces,
        restrictions=Restrictions(artifact_root, objects),
        objects=objects,
        tenancy=tenancy,
        lists=_lists(authorizer, seal, rbac) if seal is not None else None,
    )


def _authenticator(
    reviews: Reviews,
    settings: Settings,
    *,
    unverified: Reviews | None,
    server_time: Callable[[], float | None],
) -> Authenticator:
    return Authenticator(
        reviews,
        unverified=unverified,
        monotonic=time.monotonic,
        server_time=server_time,
        terms=Terms(
            seconds=settings.identity_seconds,
            rejected_seconds=settings.deny_seconds,
            rejections_per_second=settings.rejections_per_second,
        ),
    )


def _authorizer(
    reviews: Reviews,
    settings: Settings,
    *,
    unverified: Reviews | None,
    generations: Generations | None,
    rbac: RbacSource | None,
) -> Authorizer:
    return Authorizer(
        reviews,
        generations=generations or Generations(time.monotonic),
        unverified=unverified,
        monotonic=time.monotonic,
        lifetimes=Lifetimes(
            allow=settings.allow_seconds,
            deny=settings.deny_seconds,
            watched=settings.watched_seconds if settings.workspace_candidates == "rbac" else None,
            settling=settings.settling_seconds,
        ),
        candidates=rbac,
    )


def _lists(authorizer: Authorizer, seal: Seal, rbac: RbacSource | None) -> Lists:
    """Names come from reviews of rules and, where they are followed, from roles and bindings."""
    names: list[NameSource] = [RulesReviewNames(authorizer.held)]
    if rbac is not None:
        names.append(rbac)
    return Lists(NamedRights(authorizer, tuple(names)), seal)
