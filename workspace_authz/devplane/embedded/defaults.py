"""What a new cluster holds: system namespaces, and the roles and bindings that users rely on.

Content of ``kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy`` 1.36; roles of Kubernetes' own
components are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES, Kind
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.policy import GROUP as RBAC
from workspace_authz.devplane.embedded.rbac import SUPERUSERS
from workspace_authz.devplane.embedded.registry import Registry
from workspace_authz.devplane.embedded.userfacing import ADMIN, EDIT, VIEW

_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_LABELS: Final = MappingProxyType({"kubernetes.io/bootstrapping": "rbac-defaults"})
_ANNOTATIONS: Final = MappingProxyType({"rbac.authorization.kubernetes.io/autoupdate": "true"})
_INFO_URLS = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY_URLS = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")
_HEALTH_URLS = ("/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*")
_MONITORING_URLS = ("/flagz", "/metrics", "/metrics/slis", "/statusz", *_HEALTH_URLS)
_ISSUER_URLS = (
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/",
    "/openid/v1/jwks",
    "/openid/v1/jwks/",
)
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def install_defaults(registry: Registry) -> None:
    """Create everything. The registry must be empty."""
    for name in _NAMESPACES:
        _create(registry, NAMESPACES, obj={"metadata": {"name": name}})
    for role in (*_system_roles(), *_user_facing_roles()):
        _create(registry, CLUSTER_ROLES, obj=role)
    for name, groups in _BINDINGS.items():
        _create(registry, CLUSTER_ROLE_BINDINGS, obj=_binding(name, groups))


_BINDINGS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "cluster-admin": (SUPERUSERS,),
        "system:basic-user": ("system:authenticated",),
        "system:discovery": ("system:authenticated",),
        "system:monitoring": ("system:monitoring",),
        "system:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
        "system:service-account-issuer-discovery": ("system:serviceaccounts",),
    }
)
"""Name of the role and of its binding, to the groups that are bound."""


def _system_roles() -> Iterator[Object]:
    yield _role("cluster-admin", [_rule("*", "*", "*"), _urls("*", verb="*")])
    yield _role("system:discovery", [_urls(*sorted((*_INFO_URLS, *_DISCOVERY_URLS)))])
    yield _role("system:public-info-viewer", [_urls(*_INFO_URLS)])
    yield _role("system:monitoring", [_urls(*sorted(_MONITORING_URLS)), _rule("get", "", "nodes/metrics")])
    yield _role("system:service-account-issuer-discovery", [_urls(*_ISSUER_URLS)])
    yield _role(
        "system:basic-user",
        [
            _rule("create", _AUTHORIZATION, "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
            _rule("create", _AUTHENTICATION, "selfsubjectreviews"),
        ],
    )
    yield _role(
        "system:auth-delegator",
        [
            _rule("create", _AUTHENTICATION, "tokenreviews"),
            _rule("create", _AUTHORIZATION, "subjectaccessreviews"),
        ],
    )


def _user_facing_roles() -> Iterator[Object]:
    """``admin``, ``edit`` and ``view``: each gathers what is labelled for it, and the one below."""
    yield _gathering("admin")
    yield _gathering("edit", part_of="admin")
    yield _gathering("view", part_of="edit")
    for name, rules in (("admin", ADMIN), ("edit", EDIT), ("view", VIEW)):
        yield _role(f"system:aggregate-to-{name}", rules, part_of=name)


def _role(name: str, rules: Sequence[Object], *, part_of: str = "") -> Object:
    labels = {**_LABELS, **({_gathered(part_of): "true"} if part_of else {})}
    return {
        "metadata": {"name": name, "labels": labels, "annotations": dict(_ANNOTATIONS)},
        "rules": list(rules),
    }


def _gathering(name: str, *, part_of: str = "") -> Object:
    selector = {"matchLabels": {_gathered(name): "true"}}
    return {**_role(name, [], part_of=part_of), "aggregationRule": {"clusterRoleSelectors": [selector]}}


def _gathered(name: str) -> str:
    return f"{RBAC}/aggregate-to-{name}"


def _rule(verb: str, group: str, *resources: str) -> Object:
    return {"verbs": [verb], "apiGroups": [group], "resources": list(resources)}


def _urls(*urls: str, verb: str = "get") -> Object:
    return {"verbs": [verb], "nonResourceURLs": list(urls)}


def _binding(name: str, groups: Sequence[str]) -> Object:
    return {
        "metadata": {"name": name, "labels": dict(_LABELS), "annotations": dict(_ANNOTATIONS)},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group} for group in groups],
    }


def _create(registry: Registry, kind: Kind, *, obj: Object) -> None:
    registry.create(kind, registry.prepare(kind, obj, namespace=""), namespace="")
