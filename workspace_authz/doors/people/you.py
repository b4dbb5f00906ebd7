"""The page that says who somebody is to Kubernetes, and what they may do in which workspace."""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import urlencode

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import ROOT, section_page, table
from workspace_authz.doors.people.permissions_html import levels_text
from workspace_authz.doors.people.sharing import sharing
from workspace_authz.doors.people.visible import callers_rights, visible_namespaces
from workspace_authz.doors.visits import OwnRoute, Visit
from workspace_authz.grants.callers import MOST_WORKSPACES


async def _you(visit: Visit) -> OwnAnswer:
    caller = await visit.caller()
    user = caller.user
    rows = [("Name", escape(user.username)), ("Groups", "<br>".join(map(escape, user.groups)) or "none")]
    if user.uid:
        rows.append(("Uid", escape(user.uid)))
    namespaces = await visible_namespaces(visit, caller)
    rights = await callers_rights(visit.runtime).rights(caller, namespaces)
    page = f"{visit.static_prefix}{ROOT}/permissions"
    workspaces = [
        (
            f'<a href="{escape(page)}?{escape(urlencode({"workspace": name}))}">{escape(name)}</a>',
            levels_text(own.levels),
            "yes" if own.grants else "",
        )
        for name, own in rights.items()
    ]
    heads = ("Workspace", "You may", "May give rights to others")
    bound = f'<p class="note">At most {MOST_WORKSPACES} workspaces are shown.</p>'
    shown = table(heads, workspaces) if workspaces else '<p class="note">You hold nothing in MLflow.</p>'
    parts = [f"<section>{table(('', ''), rows)}</section>", "<h2>Your workspaces</h2>"]
    parts += [f"<section>{shown}</section>", bound if len(namespaces) == MOST_WORKSPACES else ""]
    return section_page(visit.static_prefix, "/", parts=parts, user=user.username)


ROUTES: Final = (OwnRoute("GET", f"{ROOT}/", sharing(_you), is_page=True),)
