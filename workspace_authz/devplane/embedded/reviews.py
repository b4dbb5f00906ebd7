"""Reviews: questions that are posted like objects, answered, and forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workspace_authz.devplane.embedded import kinds
from workspace_authz.devplane.embedded.authentication import Authenticator
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object, timestamp
from workspace_authz.devplane.embedded.policy import AccessAttributes, PolicyRule
from workspace_authz.devplane.embedded.rbac import RbacAuthorizer, aggregate, missing_role
from workspace_authz.devplane.embedded.status import (
    FieldProblem,
    Target,
    bad_request,
    invalid,
    invalid_value,
)
from workspace_authz.devplane.embedded.tokens import API_AUDIENCES, TokenError
from workspace_authz.types import UserInfo

_DATED = (kinds.SELF_SUBJECT_REVIEWS,)
"""Reviews that say when they were answered."""


class Reviewer:
    """Answers the kinds of :data:`~.kinds.REVIEWS`."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        authorizer: RbacAuthorizer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._answers: Mapping[str, Callable[[Object, UserInfo], Object]] = {
            kinds.TOKEN_REVIEWS.resource: self._token_review,
            kinds.SELF_SUBJECT_REVIEWS.resource: self._self_subject_review,
            kinds.SELF_ACCESS_REVIEWS.resource: self._self_access_review,
            kinds.ACCESS_REVIEWS.resource: self._access_review,
            kinds.SELF_RULES_REVIEWS.resource: self._self_rules_review,
        }

    def answer(self, kind: Kind, review: Object, *, user: UserInfo) -> Object:
        """The review with its ``status``. ``user`` asks. Raises a 400 or 422."""
        status = self._answers[kind.resource](review, user)
        spec = {"spec": review.get("spec", {})} if "spec" in kind.schema.fields else {}
        metadata = {"creationTimestamp": timestamp(self._clock())} if kind in _DATED else {}
        head = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        return {**head, **spec, "status": status}

    def _self_subject_review(self, _: Object, user: UserInfo) -> Object:
        return {"userInfo": _user_info(user)}

    def _token_review(self, review: Object, _: UserInfo) -> Object:
        spec = review.get("spec") or {}
        if not (token := spec.get("token")):
            raise bad_request("token is required for TokenReview in authentication")
        try:
            found = self._authenticator.authenticate_token(token, spec.get("audiences") or API_AUDIENCES)
        except TokenError as error:
            return {"user": {}, "error": f"[invalid bearer token, {error}]"}
        if found is None:
            return {"user": {}, "error": "invalid bearer token"}
        return {"authenticated": True, "user": _user_info(found.user), "audiences": list(found.audiences)}

    def _self_access_review(self, review: Object, user: UserInfo) -> Object:
        spec = review.get("spec") or {}
        problems = list(_attribute_problems(spec))
        _raise_if(kinds.SELF_ACCESS_REVIEWS, problems)
        return self._decide(user, spec)

    def _access_review(self, review: Object, _: UserInfo) -> Object:
        spec = review.get("spec") or {}
        problems = list(_attribute_problems(spec))
        if not spec.get("user") and not spec.get("groups"):
            why = "at least one of user or group must be specified"
            problems.append(invalid_value("spec.user", "", why=why))
        _raise_if(kinds.ACCESS_REVIEWS, problems)
        subject = UserInfo(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()))
        return self._decide(subject, spec)

    def _decide(self, user: UserInfo, spec: Mapping[str, Any]) -> Object:
        answer = self._authorizer.authorize(user, _asked(spec))
        return {"allowed": answer.allowed, **({"reason": answer.reason} if answer.reason else {})}

    def _self_rules_review(self, review: Object, user: UserInfo) -> Object:
        namespace = (review.get("spec") or {}).get("namespace")
        if not namespace:
            raise bad_request("no namespace on request")
        granted = self._authorizer.rules_for(user, namespace)
        status: Object = {
            "resourceRules": [_resource_rule(rule) for rule in granted.rules if rule.resources],
            "nonResourceRules": [_url_rule(rule) for rule in granted.rules if rule.urls],
            "incomplete": False,
        }
        if granted.missing:
            status["evaluationError"] = aggregate(map(missing_role, granted.missing))
        return status


def _asked(spec: Mapping[str, Any]) -> AccessAttributes:
    if (resource := spec.get("resourceAttributes")) is None:
        other = spec["nonResourceAttributes"]
        return AccessAttributes(other.get("verb", ""), path=other.get("path", ""))
    keys = ("group", "resource", "subresource", "namespace", "name")
    return AccessAttributes(resource.get("verb", ""), **{key: resource.get(key, "") for key in keys})


def _attribute_problems(spec: Mapping[str, Any]) -> Iterator[FieldProblem]:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        why = "cannot be specified in combination with resourceAttributes"
        shown = {"Path": other.get("path", ""), "Verb": other.get("verb", "")}  # Go's names
        yield invalid_value("spec.nonResourceAttributes", shown, why=why)
    if resource is None and other is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield invalid_value("spec.resourceAttributes", None, why=why)


def _raise_if(kind: Kind, problems: list[FieldProblem]) -> None:
    if problems:
        raise invalid(Target(kind.group, kind.resource), problems)  # kube-apiserver names no kind here


def _user_info(user: UserInfo) -> Object:
    fields: Object = {
        "username": user.username,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra},
    }
    return {key: value for key, value in fields.items() if value}


def _resource_rule(rule: PolicyRule) -> Object:
    fields = {"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources}
    names = {"resourceNames": list(rule.names)} if rule.names else {}
    return {**{key: list(values) for key, values in fields.items()}, **names}


def _url_rule(rule: PolicyRule) -> Object:
    return {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)}
