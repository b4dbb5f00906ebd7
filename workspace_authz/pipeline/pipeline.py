"""The way of a request (docs/architecture.md): every stage that decides, in order. The default is refusal."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.catalog.compile import CompiledCatalog, Match
from workspace_authz.catalog.model import AnyRight, Authenticated, Guarded, Public, Refused
from workspace_authz.effects.effects import Effects, Narrowing
from workspace_authz.effects.headers import HeaderSanitizer
from workspace_authz.effects.json_stamps import Author
from workspace_authz.effects.rewriting import RequestReplacement
from workspace_authz.effects.stamps import plan_stamps
from workspace_authz.errors import (
    BadRequestError,
    ForbiddenError,
    MissingError,
    RequestError,
    UnavailableError,
    UnknownRouteError,
    UnnamedWorkspaceError,
)
from workspace_authz.grants.objects import ObjectGrant
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.identity.credentials import provider_keeps_authorization
from workspace_authz.kubernetes.reviews import NO_ANSWER
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, UnhurriedBody
from workspace_authz.pipeline.case import Case
from workspace_authz.pipeline.creations import created_by
from workspace_authz.pipeline.demands import Fulfilment, possible_demands
from workspace_authz.pipeline.own_workspaces import with_workspaces
from workspace_authz.pipeline.parts import MLflowAtHand, Namespace, Tenancy, Workspaces
from workspace_authz.pipeline.prefetch import question_for_anybody
from workspace_authz.pipeline.refusals import forbidden
from workspace_authz.pipeline.rights import Rights
from workspace_authz.pipeline.verdict import Findings, Pass, Refuse, Verdict
from workspace_authz.restrictions.restrictions import Restrictions
from workspace_authz.types import Attributes, Caller, Credential, Resource, Verb
from workspace_authz.workspaces.in_url import UrlWorkspace, hint, workspace_in_url
from workspace_authz.workspaces.requested import (
    WORKSPACE_HEADER,
    StatedWorkspaces,
    WorkspaceRule,
    requested_workspace,
)

DEADLINE_SECONDS: Final = 9.0
"""The longest that a verdict may take, apart from waiting for the body; so a client hears of an API server
that hangs within ten seconds."""

_REDIRECTED: Final = (
    " It is called with POST. A client that is redirected, as from http:// to https://, sends GET instead: "
    "put https:// into MLFLOW_TRACKING_URI."
)
_GATEWAY_ONLY: Final = "What MLflow asks of itself is served by the AI gateway only."


@dataclass(slots=True)
class _Progress:
    """What is known of a request so far."""

    request: AccessRequest
    match: Match | None = None
    url: UrlWorkspace | None = None
    """The workspace in the URL, if there is one."""
    stated: StatedWorkspaces = field(default_factory=StatedWorkspaces)
    caller: Caller | None = None
    workspace: str | None = None
    rights: Rights | None = None
    created: ObjectGrant | None = None

    @property
    def is_gateway(self) -> bool:
        """Whether the route calls an endpoint of MLflow's AI gateway, or lists those that can be called."""
        return self.match is not None and self.match.route.path.startswith("/gateway/")

    @property
    def identified(self) -> Caller:
        """The caller. Raises ``TypeError`` before one is identified."""
        if self.caller is None:
            raise TypeError("no caller has been identified")
        return self.caller

    def findings(self) -> Findings:
        """How far the request came."""
        return Findings(
            self.match.route if self.match is not None else None,
            self.caller,
            self.workspace,
            tuple(self.rights.asked.values()) if self.rights is not None else (),
            created=self.created,
        )


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, joined in order. None of them calls back into the pipeline."""

    catalog: CompiledCatalog
    identity: AuthenticatorChain
    authorizer: Authorizer
    rule: WorkspaceRule
    workspaces: Workspaces | None
    """None on a server without workspaces."""
    mlflow: MLflowAtHand | None = None
    """None where no MLflow is at hand: then only broad rights count."""
    restrictions: Restrictions = field(default_factory=Restrictions)
    keeps_end_users: bool = True
    """Whether what an application says about its end users is kept."""
    writes_caller: bool = True
    """Whether the caller is written where MLflow records a person. What only the server may write is kept out
    whatever it says."""

    async def judge(self, request: AccessRequest) -> Verdict:
        """The verdict for one request. A refusal is a value; it is never raised."""
        progress = _Progress(request)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS) as deadline:
                progress.request = replace(request, body=UnhurriedBody(request.body, deadline))
                effects = await self._judge(progress)
            return Pass(progress.findings(), effects)
        except UnnamedWorkspaceError as error:
            return Refuse(
                progress.findings(), await self._with_workspaces(error, progress, until=deadline.when())
            )
        except RequestError as error:
            return Refuse(progress.findings(), error)
        except TimeoutError:
            return Refuse(progress.findings(), UnavailableError(NO_ANSWER))

    async def _judge(self, progress: _Progress) -> Effects:
        request, match = progress.request, self._match(progress)
        if match is not None and request.by_mlflow is None and isinstance(match.route.policy, Public):
            return Effects(HeaderSanitizer(identity=self.identity.headers), empty_body=True)
        with ExitStack() as prefetched:
            progress.caller = await self._identify(progress, prefetched)
            if request.by_mlflow is not None and not progress.is_gateway:
                raise ForbiddenError(_GATEWAY_ONLY)
            if match is None:
                raise UnknownRouteError(
                    f"No rule of workspace-authz covers {request.method} {request.path}, so it is refused."
                    + self._hint(progress)
                )
            progress.stated.one()
            return await self._decide(match, progress)

    def _match(self, progress: _Progress) -> Match | None:
        """What is asked? A workspace in the URL is no part of the route, and public routes have none."""
        request, catalog = progress.request, self.catalog
        url = workspace_in_url(request.path, request.raw_path, static_prefix=catalog.static_prefix)
        match = catalog.match(request.method, request.path if url is None else url.path)
        if url is not None and match is not None and isinstance(match.route.policy, Public):
            return None
        progress.match, progress.url = match, url
        return match

    def _hint(self, progress: _Progress) -> str:
        """What may have gone wrong where no rule covers a request."""
        request, url, prefix = progress.request, progress.url, self.catalog.static_prefix
        path = request.path if url is None else url.path
        if request.method == "GET" and self.catalog.match("POST", path) is not None:
            return _REDIRECTED
        return hint(request.path, static_prefix=prefix)

    async def _identify(self, progress: _Progress, prefetched: ExitStack) -> Caller:
        """Who asks? Raises :class:`UnauthenticatedError`, among others."""
        request, match, url = progress.request, progress.match, progress.url
        presented = Presented(
            request.headers, request.peer, gateway=progress.is_gateway, method=request.method
        )
        progress.stated = StatedWorkspaces(
            url=url.name if url is not None else None,
            headers=request.header(WORKSPACE_HEADER),
            credentials=self.identity.workspaces(presented),
        )
        if request.by_mlflow is not None:
            return await self.identity.confirm(request.by_mlflow.caller)

        def prefetch(credential: Credential) -> None:
            # One round trip instead of two: the first question seldom depends on the caller.
            if match is None:
                return
            question = question_for_anybody(match, progress.stated, rule=self.rule)
            if question is not None:
                prefetched.enter_context(self.authorizer.prefetch(credential, question))

        return await self.identity.authenticate(presented, unverified=prefetch)

    async def _decide(self, match: Match, progress: _Progress) -> Effects:
        match match.route.policy:
            case Refused(reason=reason):
                raise ForbiddenError(reason)
            case AnyRight(listing=True):
                return self._effects(progress, visible=await self._visible(progress.identified))
            case AnyRight(parameter=parameter):
                return await self._decide_any_right(match.parameters.get(parameter), progress)
            case Guarded() as guarded:
                return await self._decide_guarded(guarded, match, progress=progress)
            case Authenticated() | Public():
                return self._effects(progress)

    async def _decide_any_right(self, parameter: str | None, progress: _Progress) -> Effects:
        workspace, caller = self._locate(progress, parameter), progress.identified
        if not await self.authorizer.holds_any_right(caller, workspace):
            raise forbidden(caller.user, Attributes(workspace, Verb.LIST, Resource.EXPERIMENTS))
        await self._existing(workspace)
        return self._effects(progress)

    async def _decide_guarded(self, guarded: Guarded, match: Match, *, progress: _Progress) -> Effects:
        self._locate(progress, None)
        case = self._case(match, progress)
        try:
            return await self._decide_case(guarded, case, progress=progress)
        except (BadRequestError, MissingError) as error:
            if not any(check.allowed for check in case.rights.asked.values()):
                raise
            raise await case.reader.in_mlflows_words(error) from error

    async def _decide_case(self, guarded: Guarded, case: Case, *, progress: _Progress) -> Effects:
        workspace = case.rights.namespace
        narrowing = await self._fulfil(guarded, case)
        # Before the restrictions: these look objects up, and a closed workspace must not be looked into.
        namespace = await self._existing(workspace)
        await self.restrictions.check(
            case.reader, workspace=case.workspace, sources=namespace.model_sources if namespace else None
        )
        replacement = await plan_stamps(
            case.reader,
            case.route,
            author=Author(
                case.rights.user,
                keeps_end_users=self.keeps_end_users,
                is_written=self.writes_caller,
            ),
            base=narrowing.request if narrowing else None,
        )
        progress.created = created_by(guarded, case.reader)
        if namespace is not None and not guarded.reads and not progress.request.dry:
            await self._claim(workspace, namespace.uid)
        return self._effects(progress, narrowing=narrowing, replacement=replacement)

    async def _fulfil(self, guarded: Guarded, case: Case) -> Narrowing | None:
        """May they, on all objects or on each that the request is about? Returns how a list is narrowed."""
        fulfilment, is_open = Fulfilment(case), False
        for demand in await possible_demands(guarded, case):
            if not await fulfilment.holds(demand) or await fulfilment.by_broad_right(demand):
                continue
            if not is_open:
                await self._refuse_closed(case.rights)
                is_open = True
            await fulfilment.by_names(demand)
        await fulfilment.refuse_nothing(guarded)
        return await fulfilment.narrowing()

    def _case(self, match: Match, progress: _Progress) -> Case:
        namespace = progress.workspace or ""
        rights = progress.rights = Rights(self.authorizer, progress.identified, namespace)
        mlflow = self.mlflow
        return Case(
            reader=RequestReader(progress.request, match, reading=mlflow.reading if mlflow else None),
            rights=rights,
            workspace=None if self.rule.single else namespace,
            store=mlflow.store if mlflow else None,
            lists=mlflow.lists if mlflow else None,
            shared=self.restrictions.shared,
        )

    def _locate(self, progress: _Progress, parameter: str | None) -> str:
        """Where? Raises :class:`BadRequestError` when the request names no workspace, or two."""
        progress.workspace = requested_workspace(
            self.rule,
            progress.stated,
            parameter=parameter,
            user=progress.identified.user,
            user_agent=next(iter(progress.request.header(b"user-agent")), b""),
        )
        return progress.workspace

    async def _with_workspaces(
        self, error: UnnamedWorkspaceError, progress: _Progress, *, until: float | None
    ) -> BadRequestError:
        """The refusal of a request that names no workspace names the caller's, if there is time for it."""
        if self.workspaces is None or until is None:
            return error
        return await with_workspaces(
            error,
            progress.identified,
            authorizer=self.authorizer,
            workspaces=self.workspaces,
            until=until,
        )

    async def _visible(self, caller: Caller) -> frozenset[str]:
        if self.workspaces is None:
            return frozenset()
        return await self.authorizer.namespaces_with_rights(caller, self.workspaces.names())

    async def _refuse_closed(self, rights: Rights) -> None:
        """Before an object is looked up: in a closed workspace no answer may depend on what is in it.

        Holders of any right are told that it is closed; others are refused as for any other request. Memory
        alone is asked: a caller without rights must not tell a namespace from none by the time that it takes.
        """
        tenancy = self._tenancy
        known = self.workspaces.get(rights.namespace) if self.workspaces is not None else None
        if known is None or tenancy is None:
            return
        try:
            await tenancy.check(rights.namespace, known.uid, writes=False)
        except ForbiddenError:
            lacking = [check.attributes for check in rights.asked.values() if not check.allowed]
            # A right that was just allowed counts at once; the list of rules may be older.
            if len(lacking) < len(rights.asked) or await rights.holds_any():
                raise
            raise rights.forbidden(lacking[0]) from None

    async def _existing(self, workspace: str) -> Namespace | None:
        """The namespace, for a caller who is allowed there; None on a server without workspaces.

        Raises :class:`MissingError` for a namespace that is no workspace, :class:`ForbiddenError` for a
        closed one.
        """
        if self.workspaces is None:
            return None
        namespace = await self.workspaces.lookup(workspace)
        if namespace is None:
            raise MissingError(
                f"Workspace '{workspace}' not found: there is no such namespace, or it is being deleted."
            )
        if self._tenancy is not None:
            await self._tenancy.check(workspace, namespace.uid, writes=False)
        return namespace

    async def _claim(self, workspace: str, uid: str) -> None:
        if self._tenancy is not None:
            await self._tenancy.check(workspace, uid, writes=True)

    @property
    def _tenancy(self) -> Tenancy | None:
        return self.mlflow.tenancy if self.mlflow is not None else None

    def _effects(
        self,
        progress: _Progress,
        *,
        visible: frozenset[str] | None = None,
        narrowing: Narrowing | None = None,
        replacement: RequestReplacement | None = None,
    ) -> Effects:
        caller, request, gateway = progress.identified, progress.request, progress.is_gateway
        by_mlflow = request.by_mlflow
        headers = HeaderSanitizer(
            # Without workspaces MLflow refuses the header that names one.
            workspace=None if self.rule.single else progress.workspace,
            credential=caller.credential,
            gateway=gateway,
            keeps_authorization=gateway
            and by_mlflow is None
            and provider_keeps_authorization(request.headers, gateway=True),
            skips_guardrails=by_mlflow is not None and by_mlflow.skips_guardrails,
            identity=self.identity.headers,
        )
        return Effects(
            headers=headers,
            url=progress.url,
            caller=caller.user,
            visible=visible,
            replacement=replacement,
            narrowing=narrowing,
            self_calls=gateway and by_mlflow is None,
        )
