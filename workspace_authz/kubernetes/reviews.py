"""The questions that are asked with a caller's own token.

| review | path | answers |
|---|---|---|
| SelfSubjectReview | ``authentication.k8s.io/v1`` | who the token's owner is (Kubernetes 1.28 or later) |
| SelfSubjectAccessReview | ``authorization.k8s.io/v1`` | whether they may do one thing |
| SelfSubjectRulesReview | ``authorization.k8s.io/v1`` | what they may do in a namespace |

Whatever is not a well-formed answer is an :class:`UnavailableError`, never a decision, and nothing of
the API server's own text reaches the caller.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from workspace_authz.errors import (
    MisconfiguredError,
    RequestError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from workspace_authz.kubernetes.http import HttpAnswer, OversizedError, ReviewTransport
from workspace_authz.kubernetes.retry_after import retry_after
from workspace_authz.kubernetes.server_time import ServerTime
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.types import API_GROUP, Attributes, UserInfo

_log = logging.getLogger(__name__)

_AUTHENTICATION = "/apis/authentication.k8s.io/v1/"
_AUTHORIZATION = "/apis/authorization.k8s.io/v1/"
_IN_FRONT = frozenset({502, 503, 504})
"""Said by an API server that is starting or stopping, or by what stands before one that is away."""

NO_ANSWER = "The Kubernetes API server gives no usable answer at the moment; try again."
REJECTED = (
    "The Kubernetes API server does not accept this token: it may have expired. "
    "Get a new one with `oc whoami -t` or `kubectl create token SERVICE_ACCOUNT`."
)


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """``status`` of a SelfSubjectAccessReview."""

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
    """The seam between us and the API server."""

    async def who(self, token: str) -> UserInfo:
        """The owner of ``token``. Raises :class:`UnauthenticatedError` or :class:`UnavailableError`."""

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        """Whether the owner of ``token`` may. Raises as :meth:`who`."""

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        """What the owner of ``token`` may do in ``namespace``. Raises as :meth:`who`."""


class UrlReviews(Protocol):
    """The same for URLs that are no resource."""

    async def may_get(self, token: str, path: str) -> AccessAnswer:
        """Whether the owner of ``token`` may get ``path``. Raises as :meth:`Reviews.who`."""


class ApiReviews:
    """:class:`Reviews` over callers' connections, each asked once. ``timeout`` bounds it, in seconds."""

    def __init__(self, posts: ReviewTransport, *, timeout: float, metrics: Metrics | None = None) -> None:
        self._posts = posts
        self.server_time = ServerTime(time.monotonic)
        self._timeout = timeout
        self._metrics = metrics or NoMetrics()

    async def who(self, token: str) -> UserInfo:
        """See :class:`Reviews`."""
        status = await self._ask(_AUTHENTICATION, "SelfSubjectReview", {}, token)
        try:
            info = status["userInfo"]
            extra = {str(key): tuple(map(str, values)) for key, values in (info.get("extra") or {}).items()}
            return UserInfo(
                username=_text(info["username"]),
                uid=str(info.get("uid") or ""),
                groups=tuple(map(str, info.get("groups") or ())),
                extra=tuple(sorted(extra.items())),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _nonsense("SelfSubjectReview") from error

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        """See :class:`Reviews`."""
        asked = {
            "group": API_GROUP,
            "resource": str(attributes.resource),
            "verb": str(attributes.verb),
            "namespace": attributes.namespace,
        }
        if attributes.subresource:
            asked["subresource"] = attributes.subresource
        if attributes.name:
            asked["name"] = attributes.name
        return await self._access(token, {"resourceAttributes": asked})

    async def may_get(self, token: str, path: str) -> AccessAnswer:
        """See :class:`UrlReviews`."""
        return await self._access(token, {"nonResourceAttributes": {"path": path, "verb": "get"}})

    async def _access(self, token: str, spec: Mapping[str, Any]) -> AccessAnswer:
        status = await self._ask(_AUTHORIZATION, "SelfSubjectAccessReview", spec, token)
        allowed, denied = status.get("allowed"), status.get("denied", False)
        if not isinstance(allowed, bool) or not isinstance(denied, bool) or (allowed and denied):
            raise _nonsense("SelfSubjectAccessReview")
        return AccessAnswer(allowed=allowed, denied=denied)

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        """See :class:`Reviews`."""
        status = await self._ask(_AUTHORIZATION, "SelfSubjectRulesReview", {"namespace": namespace}, token)
        try:
            rules = tuple(
                ResourceRule(
                    verbs=frozenset(rule["verbs"]),
                    groups=frozenset(rule.get("apiGroups") or ()),
                    resources=frozenset(rule.get("resources") or ()),
                    names=frozenset(rule.get("resourceNames") or ()),
                )
                for rule in status["resourceRules"]
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise _nonsense("SelfSubjectRulesReview") from error
        return RulesAnswer(rules=rules, incomplete=bool(status.get("incomplete")))

    async def _ask(self, api: str, kind: str, spec: Mapping[str, Any], token: str) -> Mapping[str, Any]:
        """POST one review and return its ``status``."""
        document = {"apiVersion": api.removeprefix("/apis/").rstrip("/"), "kind": kind, "spec": spec}
        started, result = time.monotonic(), "unreachable"
        try:
            posted = await self._posts.post(
                f"{api}{kind.lower()}s", document, token=token, timeout=self._timeout
            )
            result = str(posted.status)
            self.server_time.heard(posted.date)
            if posted.status not in (200, 201):
                raise _failed(kind, posted)
            status = _status_of(kind, posted.body)
            result = "ok"
            return status
        except OversizedError as error:
            raise _nonsense(kind) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("%s failed: %s", kind, type(error).__name__)
            raise UnreachableError(NO_ANSWER) from error
        finally:
            self._metrics.asked(kind, result=result, seconds=time.monotonic() - started)


def _status_of(kind: str, answer: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise _nonsense(kind) from error
    status = document.get("status") if isinstance(document, dict) else None
    if not isinstance(status, dict) or document.get("kind") != kind:
        raise _nonsense(kind)
    return status


def _failed(kind: str, posted: HttpAnswer) -> RequestError:
    status = posted.status
    if status == 401:
        return UnauthenticatedError(REJECTED)
    _log.warning("%s was answered with HTTP %d", kind, status)
    if status in (403, 404):
        return MisconfiguredError(
            f"This cluster does not answer a {kind}, so nobody can be authorized. "
            "An administrator finds the remedy with `workspace-authz check`."
        )
    if status == 429:
        return ThrottledError(NO_ANSWER, status=status, after=retry_after(posted.retry_after, posted.date))
    if status in _IN_FRONT:
        return UnreachableError(NO_ANSWER, status=status, after=retry_after(posted.retry_after, posted.date))
    return UnavailableError(NO_ANSWER)


def _nonsense(kind: str) -> UnavailableError:
    _log.warning("the answer to a %s could not be understood", kind)
    return UnavailableError(NO_ANSWER)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a name")
    return value
