"""What a request asks of the API: its path, method and query as verb, resource and name.

The rules are those of ``k8s.io/apiserver/pkg/endpoints/request``: authorization depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from workspace_authz.devplane.embedded.policy import AccessAttributes
from workspace_authz.devplane.embedded.selectors import exact_name
from workspace_authz.devplane.embedded.status import ApiError, Target, bad_request, forbidden, quoted
from workspace_authz.types import UserInfo

_VERBS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "GET": "get",
        "HEAD": "get",
        "POST": "create",
        "PUT": "update",
        "PATCH": "patch",
        "DELETE": "delete",
    }
)
_NAMESPACE_SUBRESOURCES = frozenset(("status", "finalize"))


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A parsed request. ``attributes.path`` is set when it is not about a resource."""

    attributes: AccessAttributes
    version: str = ""
    path_name: str = ""
    """The name in the path; ``attributes.name`` may also come from a field selector."""
    below: tuple[str, ...] = ()
    """Path segments after the subresource: nothing serves them."""
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        """What a failure names."""
        asked = self.attributes
        return Target(asked.group, asked.resource, name=self.path_name)

    @property
    def field_validation(self) -> str:
        """The parameter ``fieldValidation``: Strict, Warn or Ignore; empty for none."""
        return self.query.get("fieldValidation", "")

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be stored. Raises a 400 for a value that does not exist."""
        value = self.query.get("dryRun", "")
        if value not in ("", "All"):
            raise bad_request(f"dryRun: Unsupported value: {quoted(value)}")
        return value == "All"


def parse_request(method: str, path: str, *, query: Mapping[str, str]) -> ApiRequest:
    """Read a request line. ``path`` is unescaped."""
    parts = path.strip("/").split("/")
    prefix = 2 if parts[0] == "api" else 3
    if parts[0] not in ("api", "apis") or len(parts) <= prefix:
        return ApiRequest(AccessAttributes(method.lower(), path=path), query=query)
    group, version = ("", parts[1]) if prefix == 2 else (parts[1], parts[2])
    parts = parts[prefix:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    resource, path_name, subresource, *below = [*parts, "", ""] if len(parts) < 3 else parts
    below = below if len(parts) > 3 else []
    verb = _VERBS.get(method, "")
    name = path_name
    if not path_name and verb in ("get", "delete"):
        verb = _collection_verb(verb, query)
        if verb != "deletecollection":
            name = exact_name(query.get("fieldSelector", ""))
    attributes = AccessAttributes(
        verb, group=group, resource=resource, subresource=subresource, namespace=namespace, name=name
    )
    return ApiRequest(attributes, version, path_name, tuple(below), query)


def is_true(value: str | None) -> bool:
    """A boolean query parameter, as the API server reads one: present without a value is true."""
    return value is not None and value.lower() not in ("false", "0")


def refusal(user: UserInfo, asked: AccessAttributes, *, reason: str) -> ApiError:
    """The 403 for a request that RBAC does not allow, in the API server's own words."""
    who = f"User {quoted(user.username)} cannot {asked.verb}"
    if asked.path is not None:
        why, target = f"{who} path {quoted(asked.path)}", Target("", "")
    else:
        resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        where = f"in the namespace {quoted(asked.namespace)}" if asked.namespace else "at the cluster scope"
        why = f"{who} resource {quoted(resource)} in API group {quoted(asked.group)} {where}"
        target = Target(asked.group, asked.resource, name=asked.name)
    return forbidden(target, f"{why}: {reason}" if reason else why)


def _collection_verb(verb: str, query: Mapping[str, str]) -> str:
    if verb == "delete":
        return "deletecollection"
    return "watch" if is_true(query.get("watch")) else "list"
