"""Are the shipped ClusterRoles there, as this release has them, and part of Kubernetes' own?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from workspace_authz.cli.checks.finding import Finding, ok, unknown, warning
from workspace_authz.cli.checks.probe import RBAC, Answer, ask
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.roles.generate import cluster_roles
from workspace_authz.roles.policy import ROLES
from workspace_authz.types import API_GROUP

_CHECK: Final = "roles"
_INSTALL: Final = "kubectl apply -k rbac/ (in a checkout of this release)"
_AGGREGATED: Final = {role.aggregates_to: role.name for role in ROLES if role.aggregates_to}


async def installed(connection: Connection) -> Finding:
    """The ClusterRoles for tenants and the server's own, rule by rule."""
    wanted = {role["metadata"]["name"]: role["rules"] for role in cluster_roles()}
    found = await _read(connection, wanted)
    if any(answer.status in (401, 403) for answer in found.values()):
        fix = f"as an administrator: kubectl get clusterroles {' '.join(wanted)}"
        return unknown(_CHECK, "the server may not read ClusterRoles, and need not", fix=fix)
    missing = [name for name, answer in found.items() if answer.status != 200]
    if missing:
        return warning(_CHECK, f"not installed: {', '.join(missing)}", fix=_INSTALL)
    differing = [name for name in wanted if _rights(found[name].body.get("rules")) != _rights(wanted[name])]
    if differing:
        return warning(_CHECK, f"other rights than this release's: {', '.join(differing)}", fix=_INSTALL)
    return ok(_CHECK, f"{', '.join(wanted)} are installed")


async def aggregated(connection: Connection) -> Finding:
    """Whether ``view``, ``edit`` and ``admin`` have taken them in."""
    check = "aggregation"
    found = await _read(connection, _AGGREGATED)
    if any(answer.status in (401, 403) for answer in found.values()):
        fix = f"as an administrator: kubectl get clusterrole {' '.join(found)} -o yaml | grep {API_GROUP}"
        return unknown(check, "the server may not read ClusterRoles, and need not", fix=fix)
    without = [
        name for name, answer in found.items() if not _rights(answer.body.get("rules"), group=API_GROUP)
    ]
    if without:
        what = f"Kubernetes' own {', '.join(without)} hold no MLflow rights"
        return warning(check, what, fix=f"{_INSTALL}; then the controller manager aggregates them")
    return ok(check, f"Kubernetes' own {', '.join(found)} hold MLflow's rights")


async def _read(connection: Connection, names: Iterable[str]) -> dict[str, Answer]:
    names = tuple(names)
    path = f"/apis/{RBAC}/v1/clusterroles/"
    return dict(
        zip(names, await asyncio.gather(*(ask(connection, path + name) for name in names)), strict=True)
    )


def _rights(rules: Any, *, group: str | None = None) -> frozenset[tuple[str, str, str]]:
    """Rules as single rights, so that the order and grouping do not count."""
    return frozenset(
        (api_group, resource, verb)
        for rule in rules or ()
        if isinstance(rule, Mapping)
        for api_group in rule.get("apiGroups") or ()
        if group is None or api_group == group
        for resource in rule.get("resources") or ()
        for verb in rule.get("verbs") or ()
    )
