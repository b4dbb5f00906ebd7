"""May they? The rights of one caller in one namespace, each question asked once in a request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.catalog.model import Requirement
from workspace_authz.errors import ForbiddenError
from workspace_authz.pipeline.refusals import forbidden
from workspace_authz.pipeline.verdict import Check
from workspace_authz.types import Attributes, Caller, Decision, Outcome, UserInfo, Verb


@dataclass(frozen=True, slots=True)
class Rights:
    """Asks the authorizer and keeps what it answered, in the order of the questions."""

    authorizer: Authorizer
    caller: Caller
    namespace: str
    asked: dict[Attributes, Check] = field(default_factory=dict)

    @property
    def user(self) -> UserInfo:
        """Whose rights these are."""
        return self.caller.user

    def broad(self, needed: Requirement) -> Attributes:
        """The question for the right on all objects."""
        return Attributes(self.namespace, needed.verb, needed.resource, needed.subresource)

    async def allowed(self, question: Attributes) -> bool:
        """Whether Kubernetes allows it. Raises :class:`UnavailableError` without an answer."""
        check = self.asked.get(question)
        if check is None:
            decision = await self.authorizer.authorize(self.caller, question)
            check = self._keep(question, decision, looked_up=False)
        return check.allowed

    async def allowed_names(
        self, broad: Attributes, names: Iterable[str], *, looked_up: bool
    ) -> frozenset[str]:
        """Those of ``names`` on which the caller holds the right ``broad``; asked concurrently, bounded.

        ``looked_up`` says that the caller did not send the names. Raises as :meth:`allowed`.
        """
        questions = {name: replace(broad, name=name) for name in names}
        new = [question for question in questions.values() if question not in self.asked]
        for question, decision in (await self.authorizer.authorize_all(self.caller, new)).items():
            self._keep(question, decision, looked_up=looked_up)
        return frozenset(name for name, question in questions.items() if self.asked[question].allowed)

    async def holds_any(self) -> bool:
        """Whether the caller holds some MLflow right in the namespace."""
        return await self.authorizer.holds_any_right(self.caller, self.namespace)

    async def sees(self, refused: Attributes) -> bool:
        """Whether the caller may see the object otherwise, and so be told its name."""
        verb = Verb.LIST if refused.verb is Verb.GET else Verb.GET
        question = replace(refused, verb=verb, subresource="")
        return (await self.authorizer.authorize(self.caller, question)).outcome is Outcome.ALLOW

    def forbidden(self, refused: Attributes) -> ForbiddenError:
        """The refusal of ``refused`` to this caller."""
        return forbidden(self.user, refused)

    def _keep(self, question: Attributes, decision: Decision, *, looked_up: bool) -> Check:
        check = self.asked[question] = Check(question, decision, looked_up)
        return check
