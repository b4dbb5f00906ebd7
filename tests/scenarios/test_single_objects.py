"""Rights on single objects: whoever holds one by name reaches that object by every route, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from tests.harness.http import Answer
from tests.harness.provider import model_provider
from tests.harness.server import MlflowServer
from tests.scenarios.campaign import request_of
from tests.scenarios.naming import FOREIGN, OWN, SIBLING, given_named_rights, studio_of
from tests.scenarios.people import NAMED, TEAM_B, Cluster
from tests.scenarios.recipes import RECIPES
from tests.scenarios.recipes.model import Call
from tests.scenarios.studio import Studio
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import Guarded
from workspace_authz.enforcement.naming import nameable
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
    return bool(scoped) and all(map(nameable, scoped))


def _entries() -> tuple[Entry, ...]:
    """One of each operation and method."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in compile_catalog().entries:
        if _by_name(entry):
            found.setdefault((entry.method, entry.route.operation), entry)
    return tuple(found.values())


ENTRIES: Final = _entries()


@dataclass(frozen=True, slots=True)
class Answers:
    """What one route answered nora."""

    own: Answer
    sibling: Answer
    foreign: Answer


@pytest.fixture(scope="module")
def studios(server: MlflowServer, cluster: Cluster) -> Iterator[Mapping[str, Studio]]:
    given_named_rights(cluster.plane, cluster.people)
    with model_provider() as provider:
        yield {
            owner: studio_of(server, cluster.people, owner, workspace=workspace, provider=provider.url)
            for owner, workspace in ((OWN, NAMED), (SIBLING, NAMED), (FOREIGN, TEAM_B))
        }


@pytest.fixture(scope="module")
def answers(server: MlflowServer, cluster: Cluster, studios: Mapping[str, Studio]) -> Mapping[Entry, Answers]:
    """Every route, called by nora for her own object, for its sibling and for one of another workspace."""
    return {
        entry: Answers(**{owner: _ask(server, cluster, entry, studio) for owner, studio in studios.items()})
        for entry in ENTRIES
    }


def _ask(server: MlflowServer, cluster: Cluster, entry: Entry, studio: Studio) -> Answer:
    return _call(server, cluster, entry, RECIPES[entry.route.operation].make(studio))


def _call(server: MlflowServer, cluster: Cluster, entry: Entry, call: Call) -> Answer:
    target, headers, content = request_of(entry.method, entry.path, call)
    return server.ask(
        entry.method, target, token=cluster.people.nora.token, workspace=NAMED, headers=headers, body=content
    )


def _told(answer: Answer) -> str:
    """The answer without the names that the caller sent."""
    return re.sub(rf"-({OWN}|{SIBLING}|{FOREIGN})-[0-9]+", "", answer.text)


def test_most_routes_are_covered() -> None:
    assert len(ENTRIES) > 130


def test_a_right_on_the_object_is_enough(answers: Mapping[Entry, Answers]) -> None:
    wrong = {
        f"{entry.method} {entry.path}": (found.own.status, found.own.text[:300])
        for entry, found in answers.items()
        if found.own.status not in RECIPES[entry.route.operation].answers
    }
    assert not wrong, "\n".join(map(str, wrong.items()))


@pytest.mark.parametrize("owner", [SIBLING, FOREIGN])
def test_another_object_is_refused(answers: Mapping[Entry, Answers], owner: str) -> None:
    wrong = {
        f"{entry.method} {entry.path}": (answer.status, answer.text[:300])
        for entry, found in answers.items()
        if (answer := getattr(found, owner)).status != 403 or answer.json["error_code"] != "PERMISSION_DENIED"
    }
    assert not wrong, "\n".join(map(str, wrong.items()))


def test_a_sibling_and_a_foreign_object_answer_alike(answers: Mapping[Entry, Answers]) -> None:
    wrong = {
        f"{entry.method} {entry.path}": (found.sibling.text, found.foreign.text)
        for entry, found in answers.items()
        if _told(found.sibling) != _told(found.foreign)
    }
    assert not wrong, "\n".join(map(str, wrong.items()))
