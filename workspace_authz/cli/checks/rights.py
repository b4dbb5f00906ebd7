"""What the server itself may do: all that it needs, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from workspace_authz.cli.checks.finding import Finding, failing, ok, warning
from workspace_authz.cli.checks.probe import RBAC, allowed, may_i, username, watches, who_am_i
from workspace_authz.kubernetes import access_reviews
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.kubernetes.own_rights import grant_command
from workspace_authz.roles.policy import (
    SERVER_FOLLOWS,
    SERVER_NEEDS,
    SERVER_REVIEWS,
    SERVER_REVIEWS_ROLE,
    SERVER_ROLE,
)
from workspace_authz.types import API_GROUP, UserInfo
from workspace_authz.workspaces.artifact_roots import CONFIG_NAME, SECRET_NAME
from workspace_authz.workspaces.root_watcher import ROLE

_Question: TypeAlias = tuple[str, str, str]
"""Verb, API group, resource."""

_NAMESPACES: Final = "/api/v1/namespaces"

_TOO_MUCH: Final = (
    ("create", "", "pods"),
    ("get", "", "secrets"),
    ("list", "", "secrets"),
    ("delete", "", "namespaces"),
    ("impersonate", "", "users"),
    ("create", RBAC, "clusterrolebindings"),
)
"""Each a way to all of the cluster's data, for whoever takes over the server."""


async def needed(connection: Connection) -> Finding:
    """Every right without which the server does not work."""
    questions = _questions(SERVER_NEEDS)
    check, missing = "own-rights", await _answered(connection, questions, yes=False)
    if missing:
        fix = await _binding_command(connection)
        return failing(check, f"the server may not {' or '.join(missing)} in the cluster", fix=fix)
    granted = ", ".join(f"{verb} {resource}" for verb, _, resource in questions)
    return ok(check, f"the server may {granted}")


async def follows(connection: Connection, namespace: str | None) -> Finding:
    """Whether the server hears of changes of RBAC; within ``namespace`` where no other counts."""
    check, questions = "rbac-watch", _questions(SERVER_FOLLOWS)
    everywhere = [asked for asked in questions if asked[2].startswith("cluster")]
    within = [asked for asked in questions if asked not in everywhere]
    missing = [
        *await _answered(connection, everywhere, yes=False),
        *await _answered(connection, within, yes=False, namespace=namespace or ""),
    ]
    if missing:
        what = (
            f"the server may not {' or '.join(missing)}: a changed right works on for allow_seconds, "
            "and a list of workspaces costs a review per namespace"
        )
        return warning(check, what, fix=await _binding_command(connection))
    return ok(check, "the server hears of every change of roles and bindings")


async def reviews(connection: Connection, variables: Sequence[str]) -> Finding:
    """Every right without which the callers that ``variables`` let in cannot be reviewed."""
    check, why = "own-reviews", " and ".join(variables)
    missing = await _answered(connection, _questions(SERVER_REVIEWS), yes=False)
    if missing:
        what = f"the server may not {' or '.join(missing)}, so it does not start with {why}"
        return failing(check, what, fix=await _binding_command(connection, SERVER_REVIEWS_ROLE))
    return ok(check, f"the server may ask about others, which {why} needs")


async def artifact_roots(connection: Connection) -> Finding:
    """Whether namespaces may choose their artifact roots: both kinds, of the Secrets one name only."""
    check, kinds = "artifact-roots", ((API_GROUP, "mlflowconfigs", CONFIG_NAME), ("", "secrets", SECRET_NAME))
    missing = [
        f"{verb} {kind}"
        for group, kind, name in kinds
        for verb in ("list", "watch")
        if not allowed(
            await may_i(connection, access_reviews.resource(verb, kind, group=group, object_name=name))
        )
    ]
    if missing:
        setting = "WORKSPACE_AUTHZ_ARTIFACT_BUCKETS"
        what = f"the server may not {' or '.join(missing)}, so with {setting} it is not ready"
        return failing(check, what, fix=await _binding_command(connection, ROLE))
    return ok(check, f"the server may follow MLflowConfigs, and the Secrets {SECRET_NAME}")


async def unneeded(connection: Connection, *, reviews: bool) -> Finding:
    """No right that would make the server worth attacking, and none to review others but for ``reviews``."""
    check, excess = "least-privilege", await _answered(connection, _TOO_MUCH, yes=True)
    if not reviews:
        excess += await _answered(connection, _questions(SERVER_REVIEWS), yes=True)
    if excess:
        what = f"the server may also {', '.join(excess)} anywhere in the cluster"
        return warning(check, what, fix=f"bind its account to the ClusterRole {SERVER_ROLE} only")
    return ok(check, "the server has none of the rights that would endanger the cluster")


async def watch(connection: Connection) -> Finding:
    """Whether a watch on namespaces opens."""
    check, status = "watch", await watches(connection, _NAMESPACES)
    if status == 200:
        return ok(check, "a watch on namespaces opens")
    denied = status in (401, 403)
    fix = await _binding_command(connection) if denied else "look into the log of the API server"
    return failing(check, f"a watch on namespaces is answered {status}", fix=fix)


def _questions(rules: Iterable[tuple[str, Sequence[str], Sequence[str]]]) -> list[_Question]:
    return [
        (verb, group, resource)
        for group, resources, verbs in rules
        for resource in resources
        for verb in verbs
    ]


async def _answered(
    connection: Connection, questions: Iterable[_Question], *, yes: bool, namespace: str = ""
) -> list[str]:
    """Those of the questions that were answered so, in words. Without a namespace: across the cluster."""
    questions = tuple(questions)
    answers = await asyncio.gather(
        *(
            may_i(connection, access_reviews.resource(verb, name, group=group, namespace=namespace))
            for verb, group, name in questions
        )
    )
    return [
        f"{verb} {resource}"
        for (verb, _, resource), answer in zip(questions, answers, strict=True)
        if allowed(answer) is yes
    ]


async def _binding_command(connection: Connection, role: str = SERVER_ROLE) -> str:
    """The command that gives the server the rights of ``role``."""
    return grant_command(role, UserInfo(username(await who_am_i(connection))))
