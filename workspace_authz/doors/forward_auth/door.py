"""The door itself: whose question it is, what is asked, the verdict, and the answer.

A proxy can apply little: it replaces headers. So a verdict with any other effect is refused, but for one that
changes nothing of this request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from workspace_authz.aio.asgi import Receive, Scope, Send
from workspace_authz.doors.asgi.audit import AuditedRequest, count_verdict
from workspace_authz.doors.asgi.body import STALL_SECONDS, ReplayedBody, next_message
from workspace_authz.doors.asgi.protocol import peer_of, raw_route_path, refuse, route_path
from workspace_authz.doors.forward_auth.answers import passed, send_pass, send_refusal
from workspace_authz.doors.forward_auth.dialects import Dialect, Headers, Original, Question, dialect_at
from workspace_authz.doors.forward_auth.target import Target
from workspace_authz.effects.effects import EffectKind
from workspace_authz.effects.rewriting import changes_nothing
from workspace_authz.errors import (
    BadRequestError,
    ForbiddenError,
    RequestError,
    UnauthenticatedError,
    UnavailableError,
    UnknownRouteError,
)
from workspace_authz.identity.authenticator import Presented
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import Findings, Pass, Refuse, Verdict, demand_applicable
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.metrics import Metrics

APPLIED: Final = frozenset({EffectKind.HEADERS, EffectKind.CALLER})
"""Effects that the headers of an answer are. MLflow's own hooks do not learn of the caller."""

_NOT_A_PROXY: Final = (
    "This server answers proxies only, and this sender did not prove to be one: the proxy must send the "
    "secret in X-Workspace-Authz-Secret, or its address must be in WORKSPACE_AUTHZ_FORWARD_AUTH_ADDRESSES."
)
_REMEDY: Final = (
    "A proxy replaces headers only. A request is changed where MLflow records its caller, which an "
    "administrator can leave to clients, and where a list is kept to single objects: ask for these by name."
)


class VerifiedSender(Protocol):
    """Tells the proxies from everybody else."""

    @property
    def headers(self) -> frozenset[bytes]:
        """The headers that hold proofs."""

    async def verified(self, presented: Presented) -> bool:
        """Whether a proxy of ours asks. Raises :class:`UnauthenticatedError` for a wrong proof."""


class Judge(Protocol):
    """What the door needs of the running process."""

    @property
    def pipeline(self) -> Pipeline:
        """Judges requests."""

    @property
    def audit(self) -> AuditSink:
        """Takes one record per request."""

    @property
    def metrics(self) -> Metrics:
        """Counts requests and decisions."""

    @property
    def body_bytes(self) -> int:
        """The largest body that is read."""

    @property
    def obstacle(self) -> Callable[[], str | None]:
        """Why no request can be judged at all."""


class ForwardAuthDoor:
    """Answers the questions of proxies; everything else is unknown here.

    ``judge`` is asked for per request: it starts later.
    """

    def __init__(self, *, judge: Callable[[], Judge], senders: VerifiedSender) -> None:
        self._judge = judge
        self._senders = senders

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection. What is no HTTP has no answer here."""
        if scope["type"] != "http":
            return
        head = scope["method"] == "HEAD"
        try:
            judge = self._judge()
        except RequestError as error:
            await refuse(error, send, head=head)
            return
        question = Question(scope, receive, judge.body_bytes)
        dialect = dialect_at(raw_route_path(scope))
        try:
            original, request = await self._asked(dialect, question)
        except RequestError as error:
            # It is not known what was asked, so the record is about the question.
            audited = AuditedRequest(judge.audit, method=scope["method"], path=route_path(scope))
            await _Reply(judge, audited, dialect, send, head).give(Refuse(Findings(), error), ())
            return
        audited = AuditedRequest(judge.audit, method=request.method, path=request.path)
        verdict = await _verdict(judge, request, has_body=original.has_body)
        if question.has_body:
            await _drain(original.body if isinstance(original.body, ReplayedBody) else receive)
        await _Reply(judge, audited, dialect, send, head).give(verdict, request.headers)

    async def _asked(self, dialect: Dialect | None, question: Question) -> tuple[Original, AccessRequest]:
        """What a proxy of ours asks about. Raises :class:`RequestError`."""
        if dialect is None:
            raise UnknownRouteError(
                "This server answers proxies at paths of its own, and nothing else: see docs/forward-auth.md."
            )
        await self._verify(question)
        original = dialect.read(question)
        if any(b"_" in name for name, _ in original.headers):
            raise BadRequestError("A header's name has an underscore, which MLflow may read as a hyphen.")
        target = Target.read(original.target)
        return original, AccessRequest(
            method=original.method,
            path=target.path,
            raw_path=target.raw_path,
            headers=[pair for pair in original.headers if pair[0] not in self._senders.headers],
            query=target.query,
            body=original.body,
            peer=original.peer,
        )

    async def _verify(self, question: Question) -> None:
        presented = Presented(question.headers, peer=peer_of(question.scope))
        try:
            if await self._senders.verified(presented):
                return
        except UnauthenticatedError as error:
            # Not 401: this is about the proxy, and the client could do nothing about it.
            raise ForbiddenError(error.message) from None
        raise ForbiddenError(_NOT_A_PROXY)


async def _verdict(judge: Judge, request: AccessRequest, *, has_body: bool | None) -> Verdict:
    """The pipeline's verdict, if the proxy can do all that it says."""
    problem = judge.obstacle()
    if problem is not None:
        return Refuse(Findings(), UnavailableError(problem))
    verdict = await judge.pipeline.judge(request)
    if not isinstance(verdict, Pass):
        return verdict
    applied = set(APPLIED)
    if has_body is not True:
        applied.add(EffectKind.EMPTY_BODY)
    effects, route, mlflow = verdict.effects, verdict.findings.route, judge.pipeline.mlflow
    if (
        effects.replacement is not None
        and route is not None
        and mlflow is not None
        and await changes_nothing(effects.replacement, request, route=route, reading=mlflow.reading)
    ):
        applied.add(EffectKind.REQUEST)
    return demand_applicable(verdict, applied, remedy=_REMEDY)


@dataclass(frozen=True, slots=True)
class _Reply:
    """The answer to one question, with one audit record."""

    judge: Judge
    audited: AuditedRequest
    dialect: Dialect | None
    send: Send
    head: bool

    async def give(self, verdict: Verdict, headers: Headers) -> None:
        """Tell the proxy. ``headers`` are those of the client."""
        answer: Headers = ()
        if isinstance(verdict, Pass) and self.dialect is not None:
            try:
                answer = passed(verdict.effects, headers, dialect=self.dialect)
            except RequestError as error:
                verdict = Refuse(verdict.findings, error)
        try:
            count_verdict(self.judge.metrics, verdict, seconds=self.audited.judged(verdict))
            outgoing = self.audited.watch(self.send)
            if isinstance(verdict, Pass):
                await send_pass(answer, outgoing)
            else:
                await send_refusal(verdict.error, outgoing, dialect=self.dialect, head=self.head)
        finally:
            self.audited.finish()


async def _drain(receive: Receive) -> None:
    """Take the rest of a body, so that the proxy can send another question on the same connection."""
    while (await next_message(receive, STALL_SECONDS)).get("more_body", False):
        continue
