"""The pipeline's parts, joined. Apart from what only a worker needs, so that a dry run starts at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workspace_authz.aio.clock import Clock, SystemClock
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.named_rights import NamedRights, NameSource, RulesReviewNames
from workspace_authz.authorizer.rbac.source import RbacSource
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.authorizer.reviewers import Reviewers
from workspace_authz.catalog.compile import CompiledCatalog
from workspace_authz.effects.page_tokens import PageTokenCipher
from workspace_authz.identity.audiences import AudienceAuthenticator, Audiences
from workspace_authz.identity.authenticator import Authenticator, AuthenticatorChain
from workspace_authz.identity.credentials import HOW_TO
from workspace_authz.identity.issuers import IssuerAuthenticator, TokenIssuer
from workspace_authz.identity.proxy_headers import IdentityHeaders, ProxyHeaderAuthenticator
from workspace_authz.identity.rate_limit import Rejections
from workspace_authz.identity.secret_file import SecretFile
from workspace_authz.identity.senders import AccountProof, AddressProof, Proof, SecretProof, Senders
from workspace_authz.identity.tokens import TokenAuthenticator
from workspace_authz.identity.verified_tokens import TokenRules, TokenTerms
from workspace_authz.kubernetes.reviews import Reviews
from workspace_authz.kubernetes.subject_reviews import SubjectReviews
from workspace_authz.kubernetes.token_reviews import TokenReviews
from workspace_authz.mlflow_adapter.reading.reader import Reading
from workspace_authz.mlflow_adapter.store.protocol import ObjectStore
from workspace_authz.pipeline.case import ListRights
from workspace_authz.pipeline.parts import MLflowAtHand, Tenancy, Workspaces
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.restrictions.restrictions import Restrictions
from workspace_authz.restrictions.shared_sources import shared_sources
from workspace_authz.settings.settings import Settings
from workspace_authz.workspaces.requested import WorkspaceRule
from workspace_authz.workspaces.root_watcher import ArtifactRoots


@dataclass(frozen=True, slots=True)
class ClusterParts:
    """How the pipeline asks Kubernetes, and what it knows of the cluster."""

    reviews: Reviews
    unverified: Reviews | None = None
    """Asked with tokens whose owner is not known yet; ``reviews`` unless given."""
    subject_reviews: SubjectReviews | None = None
    """Asked about callers who cannot ask for themselves; None where there are none."""
    artifact_roots: ArtifactRoots | None = None
    """Those that namespaces choose; None where they choose none."""
    token_reviews: TokenReviews | None = None
    """Asked about tokens for an audience of the server; None where they are not accepted."""
    unverified_token_reviews: TokenReviews | None = None
    """As ``unverified``; ``token_reviews`` unless given."""
    server_time: Callable[[], float | None] = lambda: None
    """The API server's time in seconds since the epoch, None while it is not known."""
    workspaces: Workspaces | None = None
    """None on a server without workspaces."""
    generations: Generations | None = None
    """None where changes of RBAC are not followed; decisions then have the shorter lifetimes."""
    sessions: Callable[[Sequence[Authenticator], Sequence[Authenticator]], Authenticator] | None = None
    """Authenticates by a session, given what verifies tokens of all kinds, and those for the API server; None
    where nobody signs in."""
    issuers: Mapping[str, TokenIssuer] = field(default_factory=dict)
    """Whose tokens this server verifies itself, by what they call themselves."""
    rbac: RbacSource | None = None
    """Knows where a caller could hold rights; without it, all namespaces are asked about."""


@dataclass(frozen=True, slots=True)
class MLflowParts:
    """What the pipeline knows of the MLflow at hand."""

    reading: Reading
    store: ObjectStore
    artifact_root: str | None = None
    """MLflow's default artifact root."""
    tenancy: Tenancy | None = None
    """None on a server without workspaces."""
    cipher: PageTokenCipher | None = None
    """For pages of filtered lists; without it nobody without the broad right gets a list."""
    writes_caller: bool = True
    """Whether the caller is written where MLflow records a person."""


def build_pipeline(
    cluster: ClusterParts,
    mlflow: MLflowParts | None = None,
    *,
    settings: Settings,
    catalog: CompiledCatalog,
    rule: WorkspaceRule,
) -> Pipeline:
    """The pipeline over ``cluster``, with caches of its own. Without ``mlflow`` only broad rights count."""
    authorizer = _authorizer(cluster, settings)
    return Pipeline(
        catalog=catalog,
        identity=_identity(cluster, settings),
        authorizer=authorizer,
        rule=rule,
        workspaces=cluster.workspaces,
        mlflow=None if mlflow is None else _mlflow(mlflow, authorizer, rbac=cluster.rbac),
        restrictions=Restrictions(
            artifact_root=mlflow.artifact_root if mlflow else None,
            shared=shared_sources(settings.model_sources),
            store=mlflow.store if mlflow else None,
            roots=cluster.artifact_roots,
        ),
        keeps_end_users=settings.end_users == "kept",
        writes_caller=mlflow.writes_caller if mlflow else True,
    )


def _identity(cluster: ClusterParts, settings: Settings) -> AuthenticatorChain:
    """Identity headers of a proxy first, as kube-apiserver has its front proxy before tokens; sessions last.

    Of tokens those of an issuer that this server knows, then those for an audience of the server: their
    claims alone say which kind a token is.
    """
    clock = SystemClock()
    terms = TokenTerms(
        seconds=settings.identity_seconds,
        rejected_seconds=settings.deny_seconds,
        rejections_per_second=settings.rejections_per_second,
    )
    rules = TokenRules(
        clock,
        server_time=cluster.server_time,
        terms=terms,
        rejections=Rejections(clock, per_second=terms.rejections_per_second),
        oauth_proxy=settings.oauth_proxy,
    )
    chain: list[Authenticator] = [IssuerAuthenticator(cluster.issuers, rules)] if cluster.issuers else []
    audiences = Audiences(settings.audience_names, only=settings.audiences_only)
    if audiences.names and (reviews := cluster.token_reviews) is not None:
        unverified = cluster.unverified_token_reviews
        chain.append(AudienceAuthenticator(audiences, reviews, rules=rules, unverified=unverified))
    advice = audiences.advice if audiences.names else ""
    for_audiences = len(chain)
    if not audiences.only:
        chain.append(TokenAuthenticator(cluster.reviews, rules, unverified=cluster.unverified, advice=advice))
    advice = advice if audiences.only else f"{HOW_TO} {advice}".strip()
    tokens = tuple(chain)
    if cluster.sessions is not None:
        chain.append(cluster.sessions(tokens, tokens[for_audiences:]))
    if not settings.trusts_proxies:
        return AuthenticatorChain(tuple(chain), advice=advice)
    senders = _senders(settings, tokens, clock=clock)
    headers = _identity_headers(settings)
    proxies = ProxyHeaderAuthenticator(headers, senders, rules=rules)
    return AuthenticatorChain(
        (proxies, *chain), advice=f"{advice} {headers.advice}", headers=headers.names | senders.headers
    )


def _identity_headers(settings: Settings) -> IdentityHeaders:
    user, groups = settings.identity_headers
    return IdentityHeaders(
        user=user.encode(),
        groups=groups.encode(),
        separator=settings.groups_separator,
        user_prefix=settings.remote_user_prefix,
        groups_prefix=settings.remote_groups_prefix,
        allowed=settings.allowed_system_names,
    )


def _senders(settings: Settings, tokens: Sequence[Authenticator], *, clock: Clock) -> Senders:
    """``tokens`` authenticate callers by token, and so a proxy by its own."""
    secret_header, token_header = (name.encode() for name in settings.proof_headers)
    proofs: list[Proof] = []
    if settings.proxy_secret_file:
        file = SecretFile(Path(settings.proxy_secret_file), monotonic=clock.monotonic)
        proofs.append(SecretProof(file, secret_header))
    if settings.proxy_accounts:
        proofs.append(AccountProof(tuple(tokens), token_header, settings.proxy_accounts))
    if settings.proxy_networks:
        proofs.append(AddressProof(settings.proxy_networks))
    return Senders(tuple(proofs))


def _authorizer(cluster: ClusterParts, settings: Settings) -> Authorizer:
    return Authorizer(
        Reviewers(cluster.reviews, unverified=cluster.unverified, subject_reviews=cluster.subject_reviews),
        generations=cluster.generations or Generations(time.monotonic),
        monotonic=time.monotonic,
        lifetimes=Lifetimes(
            allow=settings.allow_seconds,
            deny=settings.deny_seconds,
            watched=settings.watched_seconds if settings.workspace_candidates == "rbac" else None,
            propagation=settings.settling_seconds,
        ),
        candidates=cluster.rbac,
    )


def _mlflow(mlflow: MLflowParts, authorizer: Authorizer, *, rbac: RbacSource | None) -> MLflowAtHand:
    """List names come from the caller's rules and, where they are followed, from Roles and RoleBindings."""
    sources: list[NameSource] = [RulesReviewNames(authorizer)]
    if rbac is not None:
        sources.append(rbac)
    named = NamedRights(tuple(sources))
    return MLflowAtHand(
        reading=mlflow.reading,
        store=mlflow.store,
        tenancy=mlflow.tenancy,
        lists=ListRights(named, mlflow.cipher) if mlflow.cipher is not None else None,
    )
