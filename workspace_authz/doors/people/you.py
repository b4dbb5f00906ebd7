"""The page that says who somebody is to Kubernetes."""

from __future__ import annotations

from html import escape

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import ROOT, section_page, table
from workspace_authz.doors.visits import OwnRoute, Visit


async def _you(visit: Visit) -> OwnAnswer:
    user = (await visit.caller()).user
    rows = [("Name", escape(user.username))]
    if user.uid:
        rows.append(("Uid", escape(user.uid)))
    rows.append(("Groups", "<br>".join(map(escape, user.groups)) or "none"))
    return section_page(visit.static_prefix, "/", parts=[table(("", ""), rows)], user=user.username)


ROUTES = (OwnRoute("GET", f"{ROOT}/", _you, is_page=True),)
