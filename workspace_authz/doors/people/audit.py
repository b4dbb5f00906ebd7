"""What was decided in a workspace: ``/workspace-authz/audit`` for people, and ``/api/audit`` as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import ROOT, section_page
from workspace_authz.doors.people.asking import workspace_for
from workspace_authz.doors.people.audit_page import audit_parts, empty_parts
from workspace_authz.doors.people.audit_records import AuditView, Filter, Page, audit_view
from workspace_authz.doors.people.visible import visible_namespaces
from workspace_authz.doors.visits import OwnRoute, Visit, json_answer
from workspace_authz.errors import BadRequestError, MissingError
from workspace_authz.history.history import History, Kept
from workspace_authz.types import Caller, Outcome

_LONGEST: Final = 512
"""Characters of one field of the filter."""
_ON_PAGE: Final = 50
_MOST: Final = 200
_LARGEST_ID: Final = 2**63 - 1
_DECISIONS: Final = frozenset({"", "allow", "deny", "error"})


async def _page(visit: Visit) -> OwnAnswer:
    caller = await visit.caller()
    history = _history(visit)
    workspaces = await visible_namespaces(visit, caller)
    asked = visit.parameter("workspace") or visit.workspace or next(iter(workspaces), "")
    user = caller.user.username
    if not asked:
        return section_page(visit.static_prefix, "/audit", parts=empty_parts(), user=user)
    view, page = await _looked_at(visit, caller, history=history, workspace=asked)
    parts = audit_parts(view, page, query=_query(visit), workspaces=workspaces)
    return section_page(visit.static_prefix, "/audit", parts=parts, user=user)


async def _json(visit: Visit) -> OwnAnswer:
    caller = await visit.caller()
    history = _history(visit)
    view, page = await _looked_at(visit, caller, history=history, workspace=visit.parameter("workspace"))
    return json_answer(
        {
            "workspace": view.namespace,
            "of_everybody": view.sees_all and not _own(visit),
            "days": history.days,
            "records": [_document(record) for record in page.records],
            "next": None if page.before is None else str(page.before),
        }
    )


async def _looked_at(
    visit: Visit, caller: Caller, *, history: History, workspace: str
) -> tuple[AuditView, Page]:
    namespace = workspace_for(visit, caller, parameter=workspace or None)
    view = await audit_view(visit.runtime, history, caller=caller, namespace=namespace)
    page = await view.page(
        _filter(visit),
        own=_own(visit),
        before=_number(visit, "before", most=_LARGEST_ID),
        most=_number(visit, "limit", most=_MOST) or _ON_PAGE,
    )
    return view, page


def _history(visit: Visit) -> History:
    history = visit.runtime.history
    if history is None:
        raise MissingError(
            "This server keeps no decisions to look at: WORKSPACE_AUTHZ_AUDIT_HISTORY_DAYS is 0."
        )
    return history


def _filter(visit: Visit) -> Filter:
    user, resource, name, decision = (_field(visit, key) for key in ("user", "resource", "name", "decision"))
    if decision not in _DECISIONS:
        raise BadRequestError("The field 'decision' must be allow, deny or error.")
    return Filter(user, resource, name, decision)


def _own(visit: Visit) -> bool:
    return visit.parameter("own") not in ("", "false")


def _field(visit: Visit, name: str) -> str:
    value = visit.parameter(name)
    if len(value) > _LONGEST:
        raise BadRequestError(f"The field '{name}' has more than {_LONGEST} characters.")
    return value


def _number(visit: Visit, name: str, *, most: int) -> int | None:
    value = visit.parameter(name)
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(most)) and 0 < int(value) <= most):
        raise BadRequestError(f"The field '{name}' must be a number between 1 and {most}.")
    return int(value)


def _query(visit: Visit) -> Mapping[str, str]:
    """The fields of the form as they were sent."""
    keys = ("user", "resource", "name", "decision", "own", "before")
    return {key: value for key in keys if (value := visit.parameter(key))}


def _document(record: Kept) -> dict[str, Any]:
    row = record.row
    return {
        "user": row.username,
        "method": row.method,
        "operation": row.operation or None,
        "change": row.changed or None,
        "decision": row.decision,
        "status": row.status or None,
        "code": row.code or None,
        "checks": [
            {
                "verb": each.verb,
                "resource": each.resource,
                **({"name": each.name} if each.name else {}),
                "allowed": each.outcome == Outcome.ALLOW,
            }
            for each in record.asked
        ],
        "checks_left_out": record.left_out,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "times": row.times,
    }


ROUTES: Final = (
    OwnRoute("GET", f"{ROOT}/audit", _page, is_page=True),
    OwnRoute("GET", f"{ROOT}/api/audit", _json),
)
