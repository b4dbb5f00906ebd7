"""The page of access keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from workspace_authz.doors.forms import workspace_choice
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import ROOT, section_page
from workspace_authz.doors.people import keys_html as html
from workspace_authz.doors.people.keys import DEFAULT_DAYS, NamespaceKeys, namespace_keys
from workspace_authz.doors.people.sharing import sharing
from workspace_authz.doors.people.visible import visible_namespaces
from workspace_authz.doors.visits import OwnRoute, Visit, once
from workspace_authz.errors import ForbiddenError
from workspace_authz.grants.key_formats import UNKNOWN_URI, KeyUse
from workspace_authz.grants.key_records import KeyWish, seconds_of_days
from workspace_authz.grants.key_rights import CREATE, LIST
from workspace_authz.grants.keys import BroadAccount, now

_SECTION: Final = "/keys"
_PATH: Final = f"{ROOT}{_SECTION}"
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


async def _show(visit: Visit) -> OwnAnswer:
    asked = visit.parameter("workspace")
    if not (asked or visit.workspace or visit.runtime.pipeline.rule.single):
        caller = await visit.caller()
        names = await visible_namespaces(visit, caller)
        return _page(visit, [workspace_choice(_action(visit), names)], user=caller.user.username)
    own = await namespace_keys(visit, asked)
    return _page(visit, await _parts(own), user=own.caller.user.username)


async def _parts(own: NamespaceKeys, *, notice: str = "") -> Sequence[str]:
    """The page of one workspace. ``notice`` is HTML and comes first."""
    forms, audience = html.Forms(_action(own.visit), own.namespace), own.audience
    head = [f"<h2>{own.namespace}</h2>", notice, html.explanation(audience, seconds=own.ends_within)]
    if not own.acts_as_caller:
        return [*head, html.by_command(own.namespace, audience=audience)]
    lacking = await own.missing_rights()
    parts = [*head]
    if lacking:
        parts.append(html.missing(own.namespace, lacking, username=own.caller.user.username))
    if LIST not in lacking:
        parts.append(f"<section>{html.key_table(forms, await own.listed(), now=now())}</section>")
    if CREATE not in lacking:  # a right on the tokens of some accounts may be enough
        parts += await _new(own, forms=forms)
    return parts


async def _new(own: NamespaceKeys, *, forms: html.Forms) -> Sequence[str]:
    """The form for a new key, and whose rights it would have."""
    accounts: Sequence[str] = ()
    more = True
    try:
        accounts, more = await own.accounts()
        rights = await own.rights_of(accounts)
        shown = html.rights_table(accounts, rights.levels, note=rights.note)
    except ForbiddenError:
        shown = '<p class="note">You may not list serviceaccounts here, so name one.</p>'
    audiences = own.people.audiences
    form = html.new_form(
        forms, accounts, more=more, audiences=audiences.names, only=audiences.only, days=DEFAULT_DAYS
    )
    return [f"<h2>New key</h2><section>{form}</section>", "<h2>Whose rights a key has</h2>", shown]


async def _make(visit: Visit) -> OwnAnswer:
    fields = await visit.form()
    own = await namespace_keys(visit, once(fields, "workspace"))
    wish = KeyWish(
        account=once(fields, "account"),
        purpose=once(fields, "purpose"),
        seconds=seconds_of_days(once(fields, "days")),
        audience=own.chosen_audience(once(fields, "audience") if "audience" in fields else None),
    )
    made = await own.make(wish, confirmed=once(fields, "confirmed") == "yes")
    user = own.caller.user.username
    if isinstance(made, BroadAccount):
        forms = html.Forms(_action(visit), own.namespace)
        parts = [html.confirmation(forms, wish, rights=made.rights), html.back(forms)]
        return _page(visit, parts, user=user)
    use = KeyUse(_uri(own), own.namespace, made.value)
    back = html.back(html.Forms(_action(visit), own.namespace))
    return _page(visit, [*html.shown_key(made, use), back], user=user, script=html.COPY)


async def _revoke(visit: Visit) -> OwnAnswer:
    fields = await visit.form()
    own = await namespace_keys(visit, once(fields, "workspace"))
    key = await own.revoke(once(fields, "name"))
    notice = (
        f'<p class="done" role="status">The key <code>{key.name}</code> ends within '
        f"{own.ends_within} seconds.</p>"
    )
    return _page(visit, await _parts(own, notice=notice), user=own.caller.user.username)


def _page(visit: Visit, parts: Sequence[str], *, user: str, script: str = "") -> OwnAnswer:
    return section_page(visit.static_prefix, _SECTION, parts=parts, user=user, script=script)


def _action(visit: Visit) -> str:
    return visit.static_prefix + _PATH


def _uri(own: NamespaceKeys) -> str:
    """How programs reach this server: as an operator has said, else as this request did."""
    visit = own.visit
    hosts = visit.header(b"host")
    origin = next(iter(own.people.origins), "")
    if not origin and len(hosts) == 1 and _HOST.fullmatch(hosts[0]):
        origin = f"{visit.scope.get('scheme', 'http')}://{hosts[0]}"
    return f"{origin}{visit.static_prefix}" if origin else UNKNOWN_URI


ROUTES: Final = (
    OwnRoute("GET", _PATH, sharing(_show), is_page=True),
    OwnRoute("POST", _PATH, _make, is_page=True),
    OwnRoute("POST", f"{_PATH}/revoke", _revoke, is_page=True),
)
