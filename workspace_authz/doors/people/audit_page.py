"""The audit page in HTML. Everything that is not ours is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import urlencode

from workspace_authz.doors.pages import table
from workspace_authz.doors.people.audit_records import AuditView, Page
from workspace_authz.history.events import AskedRight
from workspace_authz.history.history import Kept
from workspace_authz.types import USABLE, USE, Outcome, Resource

_RESOURCES: Final = (
    *(str(resource) for resource in Resource),
    *(f"{resource}/{USE}" for resource in Resource if resource in USABLE),
)
_DECISIONS: Final = {"": "all", "allow": "allowed", "deny": "refused", "error": "no decision"}
_HEADS: Final = ("When (UTC)", "User", "Request", "Asked of Kubernetes", "Verdict")


def empty_parts() -> Sequence[str]:
    """For a caller without a workspace."""
    return (
        '<p class="note">You hold rights in no workspace, so there is nothing to look at. Add '
        "<code>?workspace=NAME</code> to the address for a namespace whose RoleBindings you may list.</p>",
    )


def audit_parts(
    view: AuditView, page: Page, *, query: Mapping[str, str], workspaces: Sequence[str]
) -> Sequence[str]:
    """The filter, what it found, and the way to older records."""
    return (
        f"<p>{_whose(view)} Kept for {view.history.days} days.</p>",
        _form(view, query, workspaces=workspaces),
        _found(page),
        _older(view, page, query=query),
    )


def _whose(view: AuditView) -> str:
    workspace = f"<strong>{escape(view.namespace)}</strong>"
    if view.sees_all:
        return f"What was decided in {workspace}, because you may list its RoleBindings."
    return f"Your own requests in {workspace}. Who may list its RoleBindings sees everybody's."


def _form(view: AuditView, query: Mapping[str, str], *, workspaces: Sequence[str]) -> str:
    fields = [
        _input("Workspace", "workspace", value=view.namespace, offered=workspaces),
        *([_input("User", "user", value=query.get("user", ""))] if view.sees_all else []),
        _select(
            "Resource", "resource", options={"": "all", **{each: each for each in _RESOURCES}}, query=query
        ),
        _input("Name of an object", "name", value=query.get("name", "")),
        _select("Verdict", "decision", options=_DECISIONS, query=query),
    ]
    if view.sees_all:
        checked = " checked" if query.get("own") else ""
        fields.append(f'<label><input type="checkbox" name="own" value="true"{checked}> Only my own</label>')
    return f'<section><form method="get">{"".join(fields)}<button>Show</button></form></section>'


def _input(title: str, name: str, *, value: str, offered: Sequence[str] = ()) -> str:
    options = "".join(f'<option value="{escape(each)}">' for each in offered)
    offers = f'<datalist id="{name}-offered">{options}</datalist>' if offered else ""
    listed = f' list="{name}-offered"' if offered else ""
    return f'<label>{title} <input name="{name}" value="{escape(value)}"{listed}></label>{offers}'


def _select(title: str, name: str, *, options: Mapping[str, str], query: Mapping[str, str]) -> str:
    chosen = query.get(name, "")
    lines = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options.items()
    )
    return f'<label>{title} <select name="{name}">{lines}</select></label>'


def _found(page: Page) -> str:
    if page.records:
        return f"<section>{table(_HEADS, [_row(record) for record in page.records])}</section>"
    if page.before is not None:
        return '<p class="note">Nothing among the newest records matches. Look further back.</p>'
    return '<p class="note">There is nothing that matches.</p>'


def _row(record: Kept) -> Sequence[str]:
    row = record.row
    when = _time(row.last_at)
    if row.times > 1:
        when += f'<br><span class="note">{row.times} times since {_time(row.first_at)}</span>'
    operation = escape(row.operation or row.changed) or '<span class="note">no rule</span>'
    status = f" ({row.status})" if row.status else ""
    verdict = f"{escape(_DECISIONS.get(row.decision, row.decision))}{status}"
    code = f'<br><span class="note">{escape(row.code)}</span>' if row.code else ""
    return (
        when,
        escape(row.username),
        f"{escape(row.method)} {operation}",
        "<br>".join(_checks(record)) or '<span class="note">nothing</span>',
        verdict + code,
    )


def _checks(record: Kept) -> Iterable[str]:
    yield from map(_check, record.asked)
    if record.left_out:
        yield f'<span class="note">and {record.left_out} more</span>'


def _check(asked: AskedRight) -> str:
    name = f" <q>{escape(asked.name)}</q>" if asked.name else ""
    answer = "yes" if asked.outcome == Outcome.ALLOW else "no"
    return f"{escape(asked.verb)} {escape(asked.resource)}{name}: {answer}"


def _older(view: AuditView, page: Page, *, query: Mapping[str, str]) -> str:
    if page.before is None:
        return ""
    fields = {**query, "workspace": view.namespace, "before": str(page.before)}
    return f'<p><a href="?{escape(urlencode(fields))}">Older records</a></p>'


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
