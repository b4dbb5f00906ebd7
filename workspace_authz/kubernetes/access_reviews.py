"""The reviews that the API server answers, as they are posted.

The fields are those of the API groups ``authentication.k8s.io/v1`` and ``authorization.k8s.io/v1``
(https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/). Nothing else in the package
builds a review.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from workspace_authz.types import API_GROUP, Attributes, UserInfo

AUTHENTICATION: Final = "authentication.k8s.io"
AUTHORIZATION: Final = "authorization.k8s.io"

Target: TypeAlias = Mapping[str, Any]
"""What an access review asks about: the part of its ``spec`` beside the user."""


@dataclass(frozen=True, slots=True)
class Review:
    """One review: its kind, its API group and its ``spec``."""

    group: str
    kind: str
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Holds the token of a TokenReview."""

    @property
    def path(self) -> str:
        """Where it is posted."""
        return f"/apis/{self.group}/v1/{self.kind.lower()}s"

    @property
    def document(self) -> Mapping[str, Any]:
        """What is posted."""
        return {"apiVersion": f"{self.group}/v1", "kind": self.kind, "spec": self.spec}


def resource(
    verb: str,
    name: str,
    *,
    group: str = "",
    namespace: str = "",
    subresource: str = "",
    object_name: str = "",
) -> Target:
    """The verb on a resource; without a namespace across the whole cluster.

    What is empty is left out, which means the same to the API server.
    """
    attributes = {"verb": verb, "group": group, "resource": name, "namespace": namespace}
    optional = {"subresource": subresource, "name": object_name}
    return {"resourceAttributes": attributes | {key: value for key, value in optional.items() if value}}


def mlflow_resource(attributes: Attributes) -> Target:
    """The question in ``attributes``, about a pseudo-resource of MLflow."""
    return resource(
        str(attributes.verb),
        str(attributes.resource),
        group=API_GROUP,
        namespace=attributes.namespace,
        subresource=attributes.subresource,
        object_name=attributes.name,
    )


def url(path: str) -> Target:
    """The verb ``get`` on a URL that is no resource."""
    return {"nonResourceAttributes": {"path": path, "verb": "get"}}


def self_subject_review() -> Review:
    """Who the credential's owner is (Kubernetes 1.28 or later)."""
    return Review(AUTHENTICATION, "SelfSubjectReview")


def token_review(token: str, audiences: Sequence[str]) -> Review:
    """Whose ``token`` it is, if it is good for one of ``audiences``. Asking needs a right."""
    return Review(AUTHENTICATION, "TokenReview", {"token": token, "audiences": list(audiences)})


def self_subject_access_review(target: Target) -> Review:
    """Whether the credential's owner may do one thing."""
    return Review(AUTHORIZATION, "SelfSubjectAccessReview", target)


def self_subject_rules_review(namespace: str) -> Review:
    """What the credential's owner may do in a namespace."""
    return Review(AUTHORIZATION, "SelfSubjectRulesReview", {"namespace": namespace})


def subject_access_review(user: UserInfo, target: Target) -> Review:
    """Whether ``user`` may do one thing. The credential's owner needs the right to ask that."""
    who: dict[str, Any] = {"user": user.username}
    if user.groups:
        who["groups"] = list(user.groups)
    if user.uid:
        who["uid"] = user.uid
    if user.extra:
        who["extra"] = {key: list(values) for key, values in user.extra}
    return Review(AUTHORIZATION, "SubjectAccessReview", {**who, **target})
