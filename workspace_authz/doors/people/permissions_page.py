"""The page that says who may what in a workspace, and changes it with the caller's own token."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from html import escape
from itertools import chain, islice
from typing import Final

from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.doors.forms import workspace_choice
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import ROOT, section_page
from workspace_authz.doors.people import permissions_html as html
from workspace_authz.doors.people.changing import can_write, namespace_writer, rbac_at_hand
from workspace_authz.doors.people.sharing import sharing
from workspace_authz.doors.people.visible import callers_rights, namespace_of, visible_namespaces
from workspace_authz.doors.visits import OwnRoute, Visit, once
from workspace_authz.errors import BadRequestError
from workspace_authz.grants.commands import (
    OPTIONS,
    grant_object_line,
    grant_role_line,
    revoke_object_line,
    revoke_role_line,
)
from workspace_authz.grants.holdings import Holding, holdings_in
from workspace_authz.grants.levels import Level, level_on
from workspace_authz.grants.mlflow_roles import MOST_HOLDINGS
from workspace_authz.grants.objects import WORKSPACE_ROLES, ObjectGrant, RoleRef
from workspace_authz.grants.subjects import Subject, subject_of_text
from workspace_authz.types import Caller, Resource

_SECTION: Final = "/permissions"
_PATH: Final = f"{ROOT}{_SECTION}"
_KINDS: Final = frozenset({"Role", "ClusterRole"})

Fields = Mapping[str, Sequence[str]]


async def _show(visit: Visit) -> OwnAnswer:
    caller = await visit.caller()
    asked = visit.parameter("workspace") or visit.workspace or visit.runtime.pipeline.rule.single
    if not asked:
        names = await visible_namespaces(visit, caller)
        return _page(visit, [workspace_choice(_action(visit), names)], caller=caller)
    return await _page_of(visit, caller, namespace=namespace_of(visit, asked))


async def _page_of(visit: Visit, caller: Caller, *, namespace: str, notice: str = "") -> OwnAnswer:
    """The page of one namespace. ``notice`` is HTML and comes first."""
    rights, people = callers_rights(visit.runtime), rbac_at_hand(visit)
    place = html.Place(_action(visit), namespace)
    own = (await rights.rights(caller, [namespace])).get(namespace)
    parts = [f"<h2>{escape(namespace)}</h2>", notice]
    if own is not None and own.levels:
        parts.append(html.own_rights(own.levels, username=caller.user.username, namespace=namespace))
    else:
        parts.append('<p class="note">You hold nothing here.</p>')
    if not await rights.lists_in(caller, namespace):
        parts.append(
            '<p class="note">Who else holds what is shown to those who may list RoleBindings here.</p>'
        )
        return _page(visit, parts, caller=caller)
    writes, cluster_wide = can_write(visit, caller), await rights.lists_cluster_wide(caller)
    wanted = _wanted(visit)
    holdings = await asyncio.to_thread(
        _holdings, people.index, namespaces=[namespace, *([""] if cluster_wide else [])], wanted=wanted
    )
    parts.append(html.object_filter(place, wanted))
    shown = await asyncio.to_thread(html.holdings_table, place, holdings, writes=writes)
    parts.append(f"<section>{shown}</section>")
    parts.append("" if cluster_wide else html.CLUSTER_WIDE_HIDDEN)
    parts.append(html.grant_forms(place) if writes else html.no_writing(place))
    return _page(visit, parts, caller=caller)


def _holdings(
    index: RbacIndex, *, namespaces: Sequence[str], wanted: tuple[Resource, str] | None
) -> list[Holding]:
    """In a thread: a namespace may have very many. Those beyond the bound are left out."""
    all_of_them = chain.from_iterable(holdings_in(index, namespace) for namespace in namespaces)
    found = [
        each
        for each in islice(all_of_them, MOST_HOLDINGS)
        if wanted is None or level_on(each.role.rules, wanted[0], name=wanted[1]) is not None
    ]
    return sorted(found, key=lambda holding: (holding.subject, holding.binding))


async def _grant(visit: Visit) -> OwnAnswer:
    caller, fields = await visit.caller(), await visit.form()
    subject, namespace = _named(visit, fields)
    if "resource" in fields:
        grant = _object_grant(fields)
        line = grant_object_line(subject, namespace, grant=grant)
        text = f"grant {subject.text} {grant.level} on {grant.text}"
        writer = await namespace_writer(visit, caller, namespace=namespace, change=text, line=line)
        await writer.give_object(subject, grant)
    else:
        level = once(fields, "level")
        if level not in WORKSPACE_ROLES:
            raise BadRequestError(f"A level on a workspace is one of {', '.join(WORKSPACE_ROLES)}.")
        role = WORKSPACE_ROLES[level]
        line, text = grant_role_line(subject, namespace, role=role), f"bind {role.name} to {subject.text}"
        writer = await namespace_writer(visit, caller, namespace=namespace, change=text, line=line)
        await writer.give_role(subject, role)
    return await _page_of(visit, caller, namespace=namespace, notice=html.done(f"Done: {line}"))


async def _revoke(visit: Visit) -> OwnAnswer:
    caller, fields = await visit.caller(), await visit.form()
    subject, namespace = _named(visit, fields)
    if "resource" in fields:
        resource, name = _resource(fields), once(fields, "name")
        one = resource in OPTIONS and name
        line = revoke_object_line(subject, namespace, resource=resource, name=name) if one else ""
        text = f"revoke from {subject.text} {resource}/{name}"
        writer = await namespace_writer(visit, caller, namespace=namespace, change=text, line=line)
        await writer.take_object(subject, resource=resource, name=name)
    else:
        kind = once(fields, "kind")
        if kind not in _KINDS:
            raise BadRequestError("The field 'kind' must be Role or ClusterRole.")
        role = RoleRef(once(fields, "role"), kind)
        line = revoke_role_line(subject, namespace, role=role)
        text = f"unbind {role.kind} {role.name} from {subject.text}"
        writer = await namespace_writer(visit, caller, namespace=namespace, change=text, line=line)
        await writer.take_role(subject, role)
    return await _page_of(visit, caller, namespace=namespace, notice=html.done(f"Done: {text}"))


def _wanted(visit: Visit) -> tuple[Resource, str] | None:
    """The one object about which the page is asked; None for all."""
    name = visit.parameter("name").strip()
    return (_resource(visit.query()), name) if name and visit.scope["method"] != "POST" else None


def _named(visit: Visit, fields: Fields) -> tuple[Subject, str]:
    return subject_of_text(once(fields, "subject").strip()), namespace_of(visit, once(fields, "workspace"))


def _object_grant(fields: Fields) -> ObjectGrant:
    resource, name, level = _resource(fields), once(fields, "name").strip(), once(fields, "level")
    if resource not in OPTIONS or not name or not name.isprintable():
        raise BadRequestError("An object has a kind and a name.")
    if level not in set(Level):
        raise BadRequestError(f"A level on an object is one of {', '.join(Level)}.")
    return ObjectGrant(resource, name, Level(level))


def _resource(fields: Fields) -> Resource:
    try:
        return Resource(once(fields, "resource"))
    except ValueError:
        raise BadRequestError("The field 'resource' must be a resource of MLflow.") from None


def _page(visit: Visit, parts: Sequence[str], *, caller: Caller) -> OwnAnswer:
    return section_page(visit.static_prefix, _SECTION, parts=parts, user=caller.user.username)


def _action(visit: Visit) -> str:
    return visit.static_prefix + _PATH


ROUTES: Final = (
    OwnRoute("GET", _PATH, sharing(_show), is_page=True),
    OwnRoute("POST", _PATH, sharing(_grant), is_page=True),
    OwnRoute("POST", f"{_PATH}/revoke", sharing(_revoke), is_page=True),
)
