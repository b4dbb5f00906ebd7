"""The parts of the page of permissions. Everything that is not ours is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from workspace_authz.doors.forms import form, option
from workspace_authz.doors.pages import table
from workspace_authz.grants.commands import OPTIONS, grant_object_line
from workspace_authz.grants.holdings import Holding
from workspace_authz.grants.levels import Level, levels_in
from workspace_authz.grants.objects import WORKSPACE_ROLES, ObjectGrant
from workspace_authz.grants.subjects import user_subject
from workspace_authz.types import Resource

MOST_SHOWN: Final = 1_000
"""Rows of a page. A command shows all."""
_NAMES: Final = 10
_READ_NAMES: Final = 50

Levels = Mapping[tuple[Resource, str], Level]


@dataclass(frozen=True, slots=True)
class Place:
    """The page of one workspace."""

    action: str
    """Its path, with the static prefix."""
    namespace: str

    def form(self, fields: Mapping[str, str], *, inner: str, path: str = "") -> str:
        """A form that sends ``fields`` and what ``inner``, which is HTML, has."""
        return form(self.action + path, {"workspace": self.namespace, **fields}, inner=inner)


def levels_text(levels: Levels) -> str:
    """Levels in few words: the broad ones by level, then the single objects."""
    broad: dict[Level, list[str]] = {}
    named: list[str] = []
    for (resource, name), level in levels.items():
        if name:
            named.append(f"<b>{level}</b> on {resource} <code>{escape(name)}</code>")
        else:
            broad.setdefault(level, []).append(str(resource))
    lines = [f"<b>{level}</b> on {_resources(broad[level])}" for level in reversed(Level) if level in broad]
    left = len(named) - _NAMES
    more = ["and more single objects"] if left > 0 else []
    return "<br>".join([*lines, *named[:_NAMES], *more]) or "rights that make up no level"


def _resources(names: Sequence[str]) -> str:
    return "everything" if len(names) == len(Resource) else ", ".join(names)


def own_rights(levels: Levels, *, username: str, namespace: str) -> str:
    """What the caller may do, and how a right of their own on one object is had: there are no owners."""
    wanted = ObjectGrant(Resource.EXPERIMENTS, "NAME", Level.MANAGE)
    line = grant_object_line(user_subject(username), namespace, grant=wanted)
    return (
        f"<section><p>You:</p><p>{levels_text(levels)}</p><p class=note>Who makes something gets no right by "
        "that. A right of your own on it, which outlives your others, is given by an administrator: "
        f"<code>{escape(line)}</code></p></section>"
    )


def holdings_table(place: Place, holdings: Sequence[Holding], *, writes: bool) -> str:
    """Who holds what, and from where. ``writes`` offers to take back what was given here."""
    if not holdings:
        return '<p class="note">No binding in this namespace gives anybody anything in MLflow.</p>'
    rows = [
        (
            escape(holding.subject.text),
            levels_text(levels_in(holding.role.rules, most_names=_READ_NAMES)),
            escape(holding.source),
            _revoke(place, holding) if writes and holding.managed and holding.binding_namespace else "",
        )
        for holding in holdings[:MOST_SHOWN]
    ]
    left = len(holdings) - MOST_SHOWN
    more = (
        f'<p class="note">And {left} more: workspace-authz who -n {place.namespace}</p>' if left > 0 else ""
    )
    return table(("Who", "May", "By", ""), rows) + more


def object_filter(place: Place, wanted: tuple[Resource, str] | None) -> str:
    """A form that keeps the table to who holds something on one object."""
    chosen, name = wanted if wanted is not None else (None, "")
    kinds = "".join(option(str(each), str(each), chosen=each is chosen) for each in OPTIONS)
    hidden = f'<input type="hidden" name="workspace" value="{escape(place.namespace)}">'
    field = f'<input name="name" maxlength="512" placeholder="name in MLflow" value="{escape(name)}">'
    button = '<button class="second">Who holds something on it?</button>'
    return (
        f'<form action="{escape(place.action)}">{hidden}<label>One object '
        f'<select name="resource">{kinds}</select> {field} {button}</label></form>'
    )


def _revoke(place: Place, holding: Holding) -> str:
    button = '<button class="second">Take back</button>'
    if holding.is_direct:
        fields = [
            {"resource": str(resource), "name": name}
            for resource, name in levels_in(holding.role.rules, most_names=2)
        ]
        if len(fields) != 1:
            return ""
        return place.form({"subject": holding.subject.text, **fields[0]}, inner=button, path="/revoke")
    kind = "Role" if holding.role_namespace else "ClusterRole"
    role = {"subject": holding.subject.text, "kind": kind, "role": holding.role_name}
    return place.form(role, inner=button, path="/revoke")


def grant_forms(place: Place) -> str:
    """The forms that give a level on the workspace, or on one object."""
    subject = (
        '<label>Who<br><input name="subject" required maxlength="512" autocomplete="off" '
        'placeholder="alice, group:data-scientists, system:serviceaccount:team-a:trainer"></label>'
    )
    level = _select("level", WORKSPACE_ROLES, label="Level")
    whole = subject + level + "<button>Give</button>"
    kinds = _select("resource", map(str, OPTIONS), label="Kind of object")
    name = '<label>Name in MLflow<br><input name="name" required maxlength="512"></label>'
    levels = _select("level", map(str, Level), label="Level")
    one = subject + kinds + name + levels + "<button>Give</button>"
    return (
        f"<h2>Give a level on the whole workspace</h2><section>{place.form({}, inner=whole)}</section>"
        f"<h2>Give a level on one object</h2><section>{place.form({}, inner=one)}</section>"
    )


def _select(name: str, values: Iterable[str], *, label: str) -> str:
    options = "".join(option(value, value) for value in values)
    return f'<label>{label}<br><select name="{name}">{options}</select></label>'


def no_writing(place: Place) -> str:
    """Why there are no forms for a caller whom the Kubernetes API does not know."""
    line = f"workspace-authz grant SUBJECT LEVEL -n {place.namespace}"
    return (
        '<p class="warning">You are signed in by what the Kubernetes API does not accept as yours, so this '
        "page cannot change anything in your name. Do it with your own access to the cluster: "
        f"<code>{escape(line)}</code></p>"
    )


def done(text: str) -> str:
    """What was done."""
    return f'<p class="done" role="status">{escape(text)}</p>'


CLUSTER_WIDE_HIDDEN: Final = (
    '<p class="note">Cluster-wide bindings may add more: you may not list ClusterRoleBindings.</p>'
)
