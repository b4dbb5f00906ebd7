"""Which namespaces are workspaces, and is the default one among them?"""

from __future__ import annotations

from urllib.parse import urlencode

from workspace_authz.cli.checks.finding import Finding, failing, ok, warning
from workspace_authz.cli.checks.probe import ask
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.workspaces.policy import NamespacePolicy

_PAGE = 500


async def workspaces(connection: Connection, policy: NamespacePolicy) -> Finding:
    """What a server with this policy would serve at this moment."""
    check, names, token = "workspaces", set[str](), ""
    while True:
        query = {"labelSelector": policy.label_selector, "limit": _PAGE, "continue": token}
        answer = await ask(connection, f"/api/v1/namespaces?{urlencode(query)}")
        if answer.status == 400:
            what = f"the API server does not accept the label selector {policy.label_selector!r}"
            return failing(check, f"{what}: {answer.message}", fix="correct the selector")
        if answer.status != 200:
            return failing(
                check, f"namespaces cannot be listed: {answer.message}", fix="see own-rights and watch"
            )
        for item in answer.body.get("items") or ():
            name = str((item.get("metadata") or {}).get("name"))
            names.update(() if policy.hides(name) else (name,))
        token = (answer.body.get("metadata") or {}).get("continue") or ""
        if not token:
            return _judged(check, names=names, policy=policy)


def _judged(check: str, *, names: set[str], policy: NamespacePolicy) -> Finding:
    if not names:
        label = f" with {policy.label_selector}" if policy.label_selector else ""
        return warning(
            check, "no namespace is a workspace", fix=f"make a namespace{label}, or widen the selector"
        )
    if policy.default_workspace is not None and policy.default_workspace not in names:
        what = f"the default workspace {policy.default_workspace} is none of the {len(names)} workspaces"
        return warning(check, what, fix="make and label that namespace, or choose another default")
    return ok(check, f"{len(names)} namespaces are workspaces")
