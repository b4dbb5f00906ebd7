"""What a caller may do themselves in their workspaces, as the API server says it.

It is shown to them and switches controls of the UI. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.aio.fan_out import fan_out
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rules import covers, every_question
from workspace_authz.grants.levels import Level, levels_in
from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import API_GROUP, Attributes, Caller, Outcome, Resource

MOST_WORKSPACES: Final = 200
"""In one answer. Who has more sees the first by name, and always the one in which they are."""
_MOST_QUESTIONS: Final = 3_000
"""Of one answer, where rights cannot be listed and each is asked for."""
_MOST_NAMES: Final = 50
_CONCURRENT: Final = 8
_ROLE_BINDINGS: Final = "rolebindings"


@dataclass(frozen=True, slots=True)
class OwnRights:
    """What a caller may do in one namespace."""

    levels: Mapping[tuple[Resource, str], Level]
    """By resource and name, which is empty for all objects."""
    grants: bool
    """Whether they may create RoleBindings there."""


@dataclass(frozen=True, slots=True)
class CallersRights:
    """Asks for them. Every method raises as :meth:`Authorizer.authorize`."""

    authorizer: Authorizer
    index: RbacIndex | None
    """Knows which rights a caller could hold; None where it does not."""

    async def grants_in(self, caller: Caller, namespace: str) -> bool:
        """Whether the caller may create RoleBindings there; without a namespace, everywhere."""
        return await self.authorizer.may_on_rbac(
            caller, "create", resource=_ROLE_BINDINGS, namespace=namespace
        )

    async def lists_in(self, caller: Caller, namespace: str) -> bool:
        """Whether the caller may list RoleBindings there; without a namespace, everywhere."""
        return await self.authorizer.may_on_rbac(caller, "list", resource=_ROLE_BINDINGS, namespace=namespace)

    async def lists_cluster_wide(self, caller: Caller) -> bool:
        """Whether the caller may list ClusterRoleBindings."""
        return await self.authorizer.may_on_rbac(caller, "list", resource="clusterrolebindings", namespace="")

    async def is_administrator(self, caller: Caller) -> bool:
        """Whether the caller holds every MLflow right and may write RoleBindings, in every namespace."""
        if not await self.grants_in(caller, ""):
            return False
        decisions = await self.authorizer.authorize_all(caller, every_question(""))
        return all(decision.outcome is Outcome.ALLOW for decision in decisions.values())

    async def listing(self, caller: Caller, namespaces: Sequence[str]) -> frozenset[str]:
        """Those of ``namespaces`` in which the caller may list RoleBindings."""
        if await self.lists_in(caller, ""):
            return frozenset(namespaces)
        allowed = await fan_out(namespaces, lambda each: self.lists_in(caller, each), limit=_CONCURRENT)
        return frozenset(name for name, may in zip(namespaces, allowed, strict=True) if may)

    async def rights(self, caller: Caller, namespaces: Sequence[str]) -> Mapping[str, OwnRights]:
        """The caller's rights in each of ``namespaces``, of which there are few.

        Where rights cannot be listed, namespaces beyond the bound on questions are left out.
        """
        answers = await fan_out(
            namespaces, lambda each: self.authorizer.rules(caller, each), limit=_CONCURRENT
        )
        rules: dict[str, Sequence[ResourceRule]] = {}
        questions = _MOST_QUESTIONS
        for namespace, answer in zip(namespaces, answers, strict=True):
            if not answer.incomplete:
                rules[namespace] = answer.rules
                continue
            asked = list(self._worth_asking(caller, namespace))
            questions -= len(asked)
            if questions < 0:
                break
            rules[namespace] = [*answer.rules, *await self._allowed(caller, asked)]
        grants = await fan_out(rules, lambda each: self.grants_in(caller, each), limit=_CONCURRENT)
        return {
            namespace: OwnRights(levels_in(rules[namespace]), may)
            for namespace, may in zip(rules, grants, strict=True)
        }

    async def _allowed(self, caller: Caller, asked: Sequence[Attributes]) -> Sequence[ResourceRule]:
        decisions = await self.authorizer.authorize_all(caller, asked)
        return [_rule(each) for each, decision in decisions.items() if decision.outcome is Outcome.ALLOW]

    def _worth_asking(self, caller: Caller, namespace: str) -> Iterator[Attributes]:
        if self.index is None:
            yield from every_question(namespace)
            return
        rules = [
            rule
            for home, role in self.index.granted_to(caller.user)
            if home in ("", namespace)
            for rule in role.rules
        ]
        broad = [rule for rule in rules if not rule.names]
        for question in every_question(namespace):
            if any(covers(rule, question) for rule in broad):
                yield question
            else:
                names = {name for rule in rules if covers(rule, question) for name in rule.names}
                for name in sorted(names)[:_MOST_NAMES]:
                    yield Attributes(
                        namespace, question.verb, question.resource, question.subresource, name=name
                    )


def _rule(allowed: Attributes) -> ResourceRule:
    """A rule that says no more than what was allowed."""
    return ResourceRule(
        frozenset({str(allowed.verb)}),
        frozenset({API_GROUP}),
        frozenset({allowed.qualified_resource}),
        frozenset({allowed.name} if allowed.name else ()),
    )
