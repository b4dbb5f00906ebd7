"""A small catalog with a route of each policy, and a pipeline over scripted reviews."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.harness.fakes import ManualClock, ScriptedReviews
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.authorizer.reviewers import Reviewers
from workspace_authz.catalog.compile import compile_routes
from workspace_authz.catalog.model import (
    AnyRight,
    Authenticated,
    Guarded,
    Identifier,
    NameSource,
    Origin,
    Public,
    Refused,
    Requirement,
    Route,
)
from workspace_authz.errors import RequestError
from workspace_authz.identity.authenticator import AuthenticatorChain
from workspace_authz.identity.tokens import TokenAuthenticator
from workspace_authz.identity.verified_tokens import TokenRules
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.types import Resource, Verb
from workspace_authz.workspaces.namespace import NamespaceInfo
from workspace_authz.workspaces.requested import WorkspaceRule

REASON = "This is refused to everybody, for a reason."

ROUTES = (
    Route("GET", "/public", "Public", Public()),
    Route("GET", "/known", "Known", Authenticated("It reveals nothing.")),
    Route("POST", "/refused", "Refused", Refused(REASON)),
    Route("GET", "/workspaces", "ListWorkspaces", AnyRight(listing=True)),
    Route("GET", "/workspaces/{workspace}", "GetWorkspace", AnyRight(parameter="workspace")),
    Route("GET", "/passphrase", "GetPassphrase", AnyRight()),
    Route("GET", "/search", "Search", Guarded((Requirement(Verb.LIST, Resource.EXPERIMENTS),))),
    Route(
        "POST",
        "/link",
        "Link",
        Guarded(
            (
                Requirement(Verb.UPDATE, Resource.EXPERIMENTS),
                Requirement(
                    Verb.GET,
                    Resource.DATASETS,
                    names=(NameSource(Origin.BODY, "dataset_id", Identifier.DATASET_ID),),
                    when_present=True,
                ),
                Requirement(Verb.UPDATE, Resource.EXPERIMENTS),
            )
        ),
    ),
    Route(
        "POST",
        "/maybe",
        "Maybe",
        Guarded(
            (
                Requirement(
                    Verb.GET,
                    Resource.DATASETS,
                    names=(NameSource(Origin.BODY, "dataset_id", Identifier.DATASET_ID),),
                    when_present=True,
                ),
            )
        ),
    ),
    Route(
        "POST",
        "/gateway/invoke",
        "Invoke",
        Guarded((Requirement(Verb.CREATE, Resource.GATEWAY_ENDPOINTS, "use"),)),
    ),
    Route("POST", "/gateway/look", "Look", Guarded((Requirement(Verb.LIST, Resource.GATEWAY_ENDPOINTS),))),
)


@dataclass
class KnownWorkspaces:
    """Two namespaces; remembers what was looked up, and can fail."""

    looked_up: list[str] = field(default_factory=list)
    error: RequestError | None = None

    def names(self) -> Iterable[str]:
        return ("team-a", "team-b")

    def get(self, name: str) -> NamespaceInfo | None:
        return NamespaceInfo(name, uid=f"uid-of-{name}") if name in self.names() else None

    async def lookup(self, name: str) -> NamespaceInfo | None:
        self.looked_up.append(name)
        if self.error is not None:
            raise self.error
        return self.get(name)


def pipeline_over(
    reviews: ScriptedReviews,
    *,
    rule: WorkspaceRule | None = None,
    workspaces: KnownWorkspaces | None = None,
) -> Pipeline:
    clock = ManualClock()
    return Pipeline(
        catalog=compile_routes(ROUTES),
        identity=AuthenticatorChain((TokenAuthenticator(reviews, TokenRules(clock)),)),
        authorizer=Authorizer(
            Reviewers(reviews),
            generations=Generations(clock.monotonic),
            monotonic=clock.monotonic,
            lifetimes=Lifetimes(),
        ),
        rule=rule or WorkspaceRule(),
        workspaces=workspaces,
    )
