"""The registry of skills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.scenarios.recipes.model import Call, Recipe, recipe
from tests.scenarios.studio import Studio

_TAG: Mapping[str, str] = {"key": "k", "value": "v"}


def _on(name: str, document: Any = None, **parameters: str) -> Call:
    """A call about one skill. Paths without an organization leave that out."""
    return Call(path={"name": name, "organization": Studio.ORGANIZATION, **parameters}, json=document)


def _bulk(studio: Studio) -> Call:
    skill = {**studio.skill_source, "name": studio.a_name("skill"), "subpath": "a", "digest": "0" * 64}
    return Call(json={"skills": [skill]})


RECIPES: Mapping[str, Recipe] = {
    "CreateSkill": recipe(lambda s: Call(json={"name": s.a_name("skill")})),
    "SearchSkills": recipe(lambda _: Call()),
    "GetSkill": recipe(lambda s: _on(s.skill)),
    "UpdateSkill": recipe(lambda s: _on(s.skill, {"description": "new"})),
    "DeleteSkill": recipe(lambda s: _on(s.new_skill())),
    "SearchSkillVersions": recipe(lambda s: _on(s.skill)),
    "CreateSkillVersion": recipe(lambda s: _on(s.new_skill(), {**s.skill_source, "ref": "next"})),
    "GetSkillVersion": recipe(lambda s: _on(s.skill, version="1")),
    "UpdateSkillVersion": recipe(lambda s: _on(s.new_skill(), {"status": "deprecated"}, version="1")),
    "DeleteSkillVersion": recipe(lambda s: _on(s.new_skill(status="draft"), version="1")),
    "SetSkillTag": recipe(lambda s: _on(s.skill, _TAG)),
    "DeleteSkillTag": recipe(lambda s: _on(s.new_skill(), key="t")),
    "SetSkillVersionTag": recipe(lambda s: _on(s.skill, _TAG, version="1")),
    "DeleteSkillVersionTag": recipe(lambda s: _on(s.new_skill(), version="1", key="t")),
    "SetSkillAlias": recipe(lambda s: _on(s.skill, {"alias": "other", "version": 1})),
    "GetSkillVersionByAlias": recipe(lambda s: _on(s.skill, alias="best")),
    "DeleteSkillAlias": recipe(lambda s: _on(s.new_skill(), alias="best")),
    "BulkRegisterSkills": recipe(_bulk),
}
