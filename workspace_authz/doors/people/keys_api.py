"""Access keys as JSON: list, create, revoke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import ROOT
from workspace_authz.doors.people.keys import DEFAULT_DAYS, namespace_keys
from workspace_authz.doors.visits import OwnRoute, Visit, json_answer, text_field
from workspace_authz.errors import BadRequestError
from workspace_authz.grants.key_records import KeyWish, seconds_of_days
from workspace_authz.grants.keys import BroadAccount, now

_PATH: Final = f"{ROOT}/api/keys"


async def _list(visit: Visit) -> OwnAnswer:
    own = await namespace_keys(visit, visit.parameter("workspace"))
    listed, at = await own.listed(), now()
    return json_answer(
        {
            "workspace": own.namespace,
            "keys": [key.document(at) for key in listed.keys],
            "more": listed.more,
            "audiences": list(own.people.audiences.names),
        }
    )


async def _create(visit: Visit) -> OwnAnswer:
    fields = await visit.document()
    own = await namespace_keys(visit, _text(fields, "workspace"))
    wish = KeyWish(
        account=text_field(fields, "service_account"),
        purpose=text_field(fields, "purpose"),
        seconds=_seconds(fields),
        audience=own.chosen_audience(_text(fields, "audience") if "audience" in fields else None),
    )
    made = await own.make(wish, confirmed=fields.get("confirmed") is True)
    if isinstance(made, BroadAccount):
        raise BadRequestError(
            "Without an audience the key is also a credential for the Kubernetes API, and "
            f"{wish.account} may do more in {own.namespace} than MLflow: {'; '.join(made.rights)}. "
            "No key was made: "
            'send "confirmed": true to make it.'
        )
    return json_answer({**made.key.document(now()), "key": made.value, "shortened": made.shortened})


async def _revoke(visit: Visit) -> OwnAnswer:
    own = await namespace_keys(visit, visit.parameter("workspace"))
    key = await own.revoke(visit.parameter("name"))
    return json_answer({"name": key.name, "ends_within_seconds": own.ends_within})


def _text(fields: Mapping[str, Any], name: str) -> str:
    """A text that may be missing or empty. Raises :class:`BadRequestError`."""
    return text_field(fields, name) if fields.get(name) else ""


def _seconds(fields: Mapping[str, Any]) -> int:
    days = fields.get("days", DEFAULT_DAYS)
    return seconds_of_days(str(days) if type(days) is int else "")


ROUTES: Final = (
    OwnRoute("GET", _PATH, _list),
    OwnRoute("POST", _PATH, _create),
    OwnRoute("DELETE", _PATH, _revoke),
)
