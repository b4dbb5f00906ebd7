"""Every route that touches objects with names, called by who holds rights on some of them by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.harness.http import Answer
from tests.harness.plane import User
from tests.harness.releases import USUAL, has
from tests.harness.server import MlflowServer
from tests.scenarios.campaign import called_for, request_of
from tests.scenarios.naming import FOREIGN, OWN, SIBLING
from tests.scenarios.people import NAMED
from tests.scenarios.recipes import RECIPES
from tests.scenarios.studio import Studio
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import Guarded, Origin
from workspace_authz.pipeline.naming import nameable
from workspace_authz.types import Resource

_NAMELESS: Final = frozenset({Resource.GATEWAY_GUARDRAILS, Resource.GATEWAY_BUDGETS, Resource.ASSISTANTS})


def _by_name(entry: Entry) -> bool:
    """Whether the route touches objects that rights can name, and nothing that only broad rights reach."""
    policy = entry.route.policy
    if not isinstance(policy, Guarded):
        return False
    scoped = [
        need for need in policy.requirements if need.resource not in _NAMELESS and need.verb != "create"
    ] + [need for need in policy.requirements if need.subresource]
    recipe = RECIPES[entry.route.operation]
    return any(called_for(need, recipe) for need in scoped) and all(map(nameable, scoped))


def _entries() -> tuple[Entry, ...]:
    """One of each operation and method, and one for an organization where there are such paths."""
    found: dict[tuple[str, str, bool], Entry] = {}
    for entry in compile_catalog().entries:
        if _by_name(entry):
            found.setdefault((entry.method, entry.route.operation, "@{" in entry.path), entry)
    return tuple(found.values())


ENTRIES: Final = _entries()
LISTS: Final = frozenset(
    entry
    for entry in ENTRIES
    if isinstance(entry.route.policy, Guarded)
    for need in entry.route.policy.requirements
    if any(source.origin is Origin.RESPONSE for source in need.names)
)
"""Routes that list whatever there is if the request names nothing."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one route answered nora."""

    own: Answer
    sibling: Answer
    foreign: Answer


AllAnswers = Mapping[Entry, Answers]


def answers_of(
    server: MlflowServer, nora: User, studios: Mapping[str, Studio], *, release: str = USUAL
) -> AllAnswers:
    """Every route that the server's release has, called by nora for her own object, its sibling and a foreign
    one."""
    return {
        entry: Answers(**{owner: _ask(server, nora, entry, studio) for owner, studio in studios.items()})
        for entry in ENTRIES
        if has(release, entry.route)
    }


def _ask(server: MlflowServer, nora: User, entry: Entry, studio: Studio) -> Answer:
    call = RECIPES[entry.route.operation].make(studio)
    target, headers, content = request_of(entry.method, entry.path, call)
    return server.ask(entry.method, target, token=nora.token, workspace=NAMED, headers=headers, body=content)


def then_a_right_on_the_object_is_enough(answers: AllAnswers, *, but: frozenset[str] = frozenset()) -> None:
    """MLflow answers for her own object, ``but`` where it cannot."""
    wrong = {
        f"{entry.method} {entry.path}": (found.own.status, found.own.text[:300])
        for entry, found in answers.items()
        if found.own.status not in RECIPES[entry.route.operation].answers and entry.route.operation not in but
    }
    assert not wrong, "\n".join(map(str, wrong.items()))


def then_another_object_is_refused(answers: AllAnswers, owner: str) -> None:
    """403, except of lists."""
    wrong = {
        f"{entry.method} {entry.path}": (answer.status, answer.text[:300])
        for entry, found in answers.items()
        if not refused(answer := getattr(found, owner)) and entry not in LISTS
    }
    assert not wrong, "\n".join(map(str, wrong.items()))


def then_lists_have_her_objects_and_no_others(answers: AllAnswers) -> None:
    """Whatever the request named."""
    wrong = {
        f"{entry.method} {entry.path}": (answer.status, answer.text[:300])
        for entry, found in answers.items()
        if entry in LISTS
        for answer in (found.own, found.sibling, found.foreign)
        if not refused(answer) and (SIBLING in answer.text or FOREIGN in answer.text)
    }
    assert not wrong, "\n".join(map(str, wrong.items()))
    assert sum(OWN in answers[entry].own.text for entry in LISTS & answers.keys()) > 10


def then_siblings_and_foreign_objects_answer_alike(answers: AllAnswers) -> None:
    """Nobody learns which of the two it is."""
    wrong = {
        f"{entry.method} {entry.path}": (found.sibling.text, found.foreign.text)
        for entry, found in answers.items()
        if entry not in LISTS and _told(found.sibling) != _told(found.foreign)
    }
    assert not wrong, "\n".join(map(str, wrong.items()))


def refused(answer: Answer) -> bool:
    """Whether the guard said no."""
    return bool(answer.status == 403 and answer.json["error_code"] == "PERMISSION_DENIED")


def _told(answer: Answer) -> str:
    """The answer without the names that the caller sent."""
    return re.sub(rf"-({OWN}|{SIBLING}|{FOREIGN})-[0-9]+", "", answer.text)
