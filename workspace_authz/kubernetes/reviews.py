"""The questions that are asked with a caller's own token.

| review | API group | answers |
|---|---|---|
| SelfSubjectReview | ``authentication.k8s.io/v1`` | who the token's owner is (Kubernetes 1.28 or later) |
| SelfSubjectAccessReview | ``authorization.k8s.io/v1`` | whether they may do one thing |
| SelfSubjectRulesReview | ``authorization.k8s.io/v1`` | what they may do in a namespace |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from workspace_authz.kubernetes import access_reviews
from workspace_authz.kubernetes.answer_times import ServerTime
from workspace_authz.kubernetes.http import ReviewTransport
from workspace_authz.kubernetes.review_client import NO_ANSWER, REJECTED, ReviewClient, unintelligible
from workspace_authz.telemetry.metrics import Metrics
from workspace_authz.types import Attributes, UserInfo

__all__ = [
    "NO_ANSWER",
    "REJECTED",
    "AccessAnswer",
    "ApiReviews",
    "ResourceRule",
    "Reviews",
    "RulesAnswer",
    "access_answer",
    "user_of",
]


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """``status`` of a SelfSubjectAccessReview or a SubjectAccessReview."""

    allowed: bool
    denied: bool = False


@dataclass(frozen=True, slots=True)
class ResourceRule:
    """One rule of a SelfSubjectRulesReview."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class RulesAnswer:
    """``status`` of a SelfSubjectRulesReview."""

    rules: tuple[ResourceRule, ...]
    incomplete: bool
    """True when an authorizer of the cluster cannot enumerate its rules."""


class Reviews(Protocol):
    """The seam between us and the API server, for callers with a token."""

    async def who(self, token: str) -> UserInfo:
        """The owner of ``token``.

        Raises :class:`~workspace_authz.errors.UnauthenticatedError` when the API server rejects it, and
        :class:`~workspace_authz.errors.UnavailableError` when there is no usable answer.
        """

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        """Whether the owner of ``token`` may. Raises as :meth:`who`."""

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        """What the owner of ``token`` may do in ``namespace``. Raises as :meth:`who`."""

    async def may_do(self, token: str, target: access_reviews.Target) -> AccessAnswer:
        """Whether the owner of ``token`` may do what is no pseudo-resource of MLflow. Raises as
        :meth:`who`."""


class ApiReviews:
    """:class:`Reviews` over callers' connections, each asked once.

    ``timeout`` bounds it, in seconds. An empty token asks as the owner of the transport's own credential,
    if it has one.
    """

    def __init__(self, transport: ReviewTransport, *, timeout: float, metrics: Metrics | None = None) -> None:
        self._client = ReviewClient(transport, timeout=timeout, metrics=metrics)

    @property
    def server_time(self) -> ServerTime:
        """What time it is for the API server, by its answers."""
        return self._client.server_time

    async def who(self, token: str) -> UserInfo:
        """See :class:`Reviews`."""
        review = access_reviews.self_subject_review()
        status = await self._client.status_of(review, token=token)
        try:
            return user_of(status["userInfo"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise unintelligible(review.kind) from error

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        """See :class:`Reviews`."""
        return await self.may_do(token, access_reviews.mlflow_resource(attributes))

    async def may_do(self, token: str, target: access_reviews.Target) -> AccessAnswer:
        """See :class:`Reviews`."""
        review = access_reviews.self_subject_access_review(target)
        return access_answer(review.kind, await self._client.status_of(review, token=token))

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        """See :class:`Reviews`."""
        review = access_reviews.self_subject_rules_review(namespace)
        status = await self._client.status_of(review, token=token)
        try:
            rules = tuple(map(_rule, status["resourceRules"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise unintelligible(review.kind) from error
        return RulesAnswer(rules=rules, incomplete=bool(status.get("incomplete")))


def access_answer(kind: str, status: Mapping[str, Any]) -> AccessAnswer:
    """The answer in the ``status`` of an access review.

    Raises :class:`~workspace_authz.errors.UnavailableError` when it is none.
    """
    allowed, denied = status.get("allowed"), status.get("denied", False)
    if not isinstance(allowed, bool) or not isinstance(denied, bool) or (allowed and denied):
        raise unintelligible(kind)
    return AccessAnswer(allowed=allowed, denied=denied)


def user_of(info: Mapping[str, Any]) -> UserInfo:
    """The user in the ``status`` of a review.

    Raises ``KeyError``, ``TypeError``, ``AttributeError`` or ``ValueError`` when it is none.
    """
    extra = {str(key): tuple(map(str, values)) for key, values in (info.get("extra") or {}).items()}
    return UserInfo(
        username=_text(info["username"]),
        uid=str(info.get("uid") or ""),
        groups=tuple(map(str, info.get("groups") or ())),
        extra=tuple(sorted(extra.items())),
    )


def _rule(rule: Mapping[str, Any]) -> ResourceRule:
    return ResourceRule(
        verbs=frozenset(rule["verbs"]),
        groups=frozenset(rule.get("apiGroups") or ()),
        resources=frozenset(rule.get("resources") or ()),
        names=frozenset(rule.get("resourceNames") or ()),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a name")
    return value
