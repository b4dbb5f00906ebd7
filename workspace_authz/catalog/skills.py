"""The registry of skills, which MLflow has since 3.18. A skill may belong to an organization.

The order is MLflow's (``skill_registry_api.py``). Clients upload the content with a version, and read it
through the artifact proxy (``catalog/artifacts.py``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from workspace_authz.catalog.build import Rule, all_of, body, listed, path, response, right, rpc
from workspace_authz.catalog.model import NameSource, Requirement, Route, Server
from workspace_authz.types import Resource, Verb

SINCE: Final = "3.18"
_SKILL: Final = "/{name}"
_ORGANIZATIONS_SKILL: Final = "/@{organization}/{name}"
_IDENTITIES: Final = "include_skill_identities"


def _of_organization(name: NameSource) -> NameSource:
    return replace(name, organization="organization")


def _names(place: str) -> NameSource:
    return _of_organization(path("name")) if place == _ORGANIZATIONS_SKILL else path("name")


def _get(place: str) -> Requirement:
    return right(Verb.GET, Resource.SKILLS, _names(place))


def _update(place: str) -> Requirement:
    return right(Verb.UPDATE, Resource.SKILLS, _names(place))


def _delete(place: str) -> Requirement:
    return right(Verb.DELETE, Resource.SKILLS, _names(place))


_CREATE: Final = right(Verb.CREATE, Resource.SKILLS)
_SEARCH: Final = listed(
    Verb.LIST,
    Resource.SKILLS,
    body(f"{_IDENTITIES}[]"),
    _of_organization(response("skills[].name")),
    inject=_IDENTITIES,
    paged=True,
)


def _skills(method: str, path: str, operation: str, rule: Rule) -> tuple[Route, ...]:
    return rpc(method, f"3.0/mlflow/skills{path}", operation, rule, server=Server.FASTAPI, since=SINCE)


def _skill(place: str) -> tuple[Route, ...]:
    """The operations on one skill. An organization's skill has a path of its own."""
    get, update = _get(place), _update(place)
    version, alias = f"{place}/versions/{{version}}", f"{place}/aliases/{{alias}}"
    return (
        *_skills("GET", place, "GetSkill", get),
        *_skills("GET", f"{place}/versions", "SearchSkillVersions", get),
        *_skills("POST", f"{place}/tags", "SetSkillTag", update),
        *_skills("DELETE", f"{place}/tags/{{key:path}}", "DeleteSkillTag", update),
        *_skills("POST", f"{version}/tags", "SetSkillVersionTag", update),
        *_skills("DELETE", f"{version}/tags/{{key:path}}", "DeleteSkillVersionTag", update),
        *_skills("PATCH", place, "UpdateSkill", update),
        # The first version of an unknown skill creates that skill.
        *_skills("POST", f"{place}/versions", "CreateSkillVersion", all_of(update, _CREATE)),
        *_skills("GET", version, "GetSkillVersion", get),
        *_skills("GET", alias, "GetSkillVersionByAlias", get),
        *_skills("POST", f"{place}/aliases", "SetSkillAlias", update),
        *_skills("DELETE", alias, "DeleteSkillAlias", update),
        *_skills("DELETE", version, "DeleteSkillVersion", update),
        *_skills("DELETE", place, "DeleteSkill", _delete(place)),
        *_skills("PATCH", version, "UpdateSkillVersion", update),
    )


ROUTES: Final[tuple[Route, ...]] = (
    *_skills("POST", "", "CreateSkill", _CREATE),
    *_skills("GET", "", "SearchSkills", _SEARCH),
    # MLflow tries the paths of organizations first where both could match: no name begins with "@".
    *_skill(_ORGANIZATIONS_SKILL),
    *_skill(_SKILL),
    # Registers new versions of known skills, and unknown skills, in one transaction.
    *_skills(
        "POST", "/bulk-register", "BulkRegisterSkills", all_of(right(Verb.UPDATE, Resource.SKILLS), _CREATE)
    ),
)
