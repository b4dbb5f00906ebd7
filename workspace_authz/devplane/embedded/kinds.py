"""The kinds that the engine serves, their fields and their URLs. There are no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from workspace_authz.devplane.embedded.schema import (
    BOOLEAN,
    BYTES,
    INTEGER,
    STRING,
    STRINGS,
    TIME,
    ListOf,
    MapOf,
    Opaque,
    Schema,
    Struct,
)
from workspace_authz.devplane.embedded.status import Target

_RBAC = "rbac.authorization.k8s.io"
_AUTHENTICATION = "authentication.k8s.io"
_AUTHORIZATION = "authorization.k8s.io"


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """One kind of object. Compared by identity: there is exactly one of each."""

    group: str
    resource: str
    """The plural, as in URLs and rules."""
    kind: str
    schema: Struct
    namespaced: bool = False
    subresource: str = ""
    """Set when the kind is served only below another resource's object."""
    short_names: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """``v1`` or ``<group>/v1``."""
        return f"{self.group}/v1" if self.group else "v1"

    def target(self, name: str = "") -> Target:
        """What a failure about an object of this kind names."""
        return Target(self.group, self.resource, self.kind, name)


def _object(fields: Mapping[str, Schema]) -> Struct:
    # The type comes last: protobuf carries it outside of the object, so it takes no number.
    return Struct({"metadata": OBJECT_META, **fields, "apiVersion": STRING, "kind": STRING})


_OWNER = Struct(
    {
        "kind": STRING,
        "name": STRING,
        "uid": STRING,
        "apiVersion": STRING,
        "controller": BOOLEAN,
        "blockOwnerDeletion": BOOLEAN,
    },
    renumbered={"name": 3, "uid": 4, "apiVersion": 5, "controller": 6, "blockOwnerDeletion": 7},
)
OBJECT_META = Struct(
    {
        "name": STRING,
        "generateName": STRING,
        "namespace": STRING,
        "selfLink": STRING,
        "uid": STRING,
        "resourceVersion": STRING,
        "generation": INTEGER,
        "creationTimestamp": TIME,
        "deletionTimestamp": TIME,
        "deletionGracePeriodSeconds": INTEGER,
        "labels": MapOf(STRING),
        "annotations": MapOf(STRING),
        "ownerReferences": ListOf(_OWNER, merged=True),
        "finalizers": ListOf(STRING, merged=True),
        "managedFields": ListOf(Opaque()),
    },
    renumbered={"managedFields": 17},
)
_OBJECT_REFERENCE = Struct(
    dict.fromkeys(("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"), STRING)
)
_RULE = Struct(
    dict.fromkeys(("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"), STRINGS),
    kept=frozenset(("verbs",)),
)
_SUBJECT = Struct(dict.fromkeys(("kind", "apiGroup", "name", "namespace"), STRING))
_ROLE_REF = Struct(dict.fromkeys(("apiGroup", "kind", "name"), STRING))
_BINDING: Final[Mapping[str, Schema]] = MappingProxyType({"subjects": ListOf(_SUBJECT), "roleRef": _ROLE_REF})
_EXPRESSION = Struct({"key": STRING, "operator": STRING, "values": STRINGS})
_SELECTOR = Struct({"matchLabels": MapOf(STRING), "matchExpressions": ListOf(_EXPRESSION)})
_AGGREGATION = Struct({"clusterRoleSelectors": ListOf(_SELECTOR)})

NAMESPACES = Kind(
    "",
    "namespaces",
    "Namespace",
    _object(
        {
            "spec": Struct({"finalizers": STRINGS}),
            "status": Struct({"phase": STRING, "conditions": ListOf(Opaque(), merged=True)}),
        }
    ),
    short_names=("ns",),
)
SERVICE_ACCOUNTS = Kind(
    "",
    "serviceaccounts",
    "ServiceAccount",
    _object(
        {
            "secrets": ListOf(_OBJECT_REFERENCE, merged=True),
            "imagePullSecrets": ListOf(Struct({"name": STRING}), merged=True),
            "automountServiceAccountToken": BOOLEAN,
        }
    ),
    namespaced=True,
    short_names=("sa",),
)
SECRETS = Kind(
    "",
    "secrets",
    "Secret",
    _object(
        {"data": MapOf(BYTES), "type": STRING, "stringData": MapOf(STRING), "immutable": BOOLEAN},
    ),
    namespaced=True,
)
ROLES = Kind(_RBAC, "roles", "Role", _object({"rules": ListOf(_RULE)}), namespaced=True)
CLUSTER_ROLES = Kind(
    _RBAC,
    "clusterroles",
    "ClusterRole",
    _object({"rules": ListOf(_RULE), "aggregationRule": _AGGREGATION}),
)
ROLE_BINDINGS = Kind(_RBAC, "rolebindings", "RoleBinding", _object(_BINDING), namespaced=True)
CLUSTER_ROLE_BINDINGS = Kind(_RBAC, "clusterrolebindings", "ClusterRoleBinding", _object(_BINDING))

STORED = (
    NAMESPACES,
    SERVICE_ACCOUNTS,
    SECRETS,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
)
"""Kinds whose objects are kept."""

_SELECTOR_ATTRIBUTES = Struct({"rawSelector": STRING, "requirements": ListOf(_EXPRESSION)})
_RESOURCE_ATTRIBUTES = Struct(
    {
        **dict.fromkeys(("namespace", "verb", "group", "version", "resource", "subresource", "name"), STRING),
        "fieldSelector": _SELECTOR_ATTRIBUTES,
        "labelSelector": _SELECTOR_ATTRIBUTES,
    }
)
_ATTRIBUTES: Final[Mapping[str, Schema]] = MappingProxyType(
    {
        "resourceAttributes": _RESOURCE_ATTRIBUTES,
        "nonResourceAttributes": Struct({"path": STRING, "verb": STRING}),
    }
)
_WHO: Final[Mapping[str, Schema]] = MappingProxyType(
    {"user": STRING, "groups": STRINGS, "extra": MapOf(STRINGS), "uid": STRING}
)
_BOUND_OBJECT = Struct(dict.fromkeys(("kind", "apiVersion", "name", "uid"), STRING))
_TOKEN_SPEC = Struct(
    {"audiences": STRINGS, "expirationSeconds": INTEGER, "boundObjectRef": _BOUND_OBJECT},
    renumbered={"expirationSeconds": 4, "boundObjectRef": 3},
)

DELETE_OPTIONS = Struct(
    {
        "gracePeriodSeconds": INTEGER,
        "preconditions": Struct({"uid": STRING, "resourceVersion": STRING}),
        "orphanDependents": BOOLEAN,
        "propagationPolicy": STRING,
        "dryRun": STRINGS,
        "apiVersion": STRING,
        "kind": STRING,
    },
    renumbered={"apiVersion": 100, "kind": 101},  # outside of the message, too
)
"""What may come with a deletion. Nothing is collected here, so the policy changes nothing."""


def _review(spec: Struct) -> Struct:
    return _object({"spec": spec, "status": Opaque()})


TOKEN_REQUESTS = Kind(
    _AUTHENTICATION,
    "serviceaccounts",
    "TokenRequest",
    _review(_TOKEN_SPEC),
    namespaced=True,
    subresource="token",
)
TOKEN_REVIEWS = Kind(
    _AUTHENTICATION, "tokenreviews", "TokenReview", _review(Struct({"token": STRING, "audiences": STRINGS}))
)
SELF_SUBJECT_REVIEWS = Kind(
    _AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview", _object({"status": Opaque()})
)
SELF_ACCESS_REVIEWS = Kind(
    _AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview", _review(Struct(_ATTRIBUTES))
)
ACCESS_REVIEWS = Kind(
    _AUTHORIZATION, "subjectaccessreviews", "SubjectAccessReview", _review(Struct({**_ATTRIBUTES, **_WHO}))
)
SELF_RULES_REVIEWS = Kind(
    _AUTHORIZATION,
    "selfsubjectrulesreviews",
    "SelfSubjectRulesReview",
    _review(Struct({"namespace": STRING})),
)

REVIEWS = (TOKEN_REVIEWS, SELF_SUBJECT_REVIEWS, SELF_ACCESS_REVIEWS, ACCESS_REVIEWS, SELF_RULES_REVIEWS)
"""Kinds that are only ever created, answered, and forgotten."""
