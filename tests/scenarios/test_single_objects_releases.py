"""Rights on single objects before the oldest and the newest MLflow: the same routes, the same answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.harness.plane import EMBEDDED
from tests.harness.releases import NEWEST, OLDEST
from tests.harness.server import MlflowServer
from tests.scenarios.conftest import studios_on
from tests.scenarios.named import (
    AllAnswers,
    answers_of,
    then_a_right_on_the_object_is_enough,
    then_another_object_is_refused,
    then_lists_have_her_objects_and_no_others,
    then_siblings_and_foreign_objects_answer_alike,
)
from tests.scenarios.naming import FOREIGN, SIBLING
from tests.scenarios.people import Cluster
from tests.scenarios.studio import Studio

GRAPHQL: Final = frozenset({"GraphQL"})
"""Whose search for model versions cannot be kept to names there, and says so."""

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)


@pytest.fixture(scope="module", params=[OLDEST, NEWEST])
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def release_server(request: pytest.FixtureRequest, release: str) -> MlflowServer:
    found: MlflowServer = request.getfixturevalue({OLDEST: "oldest_server", NEWEST: "newest_server"}[release])
    return found


@pytest.fixture(scope="module")
def objects(
    release_server: MlflowServer, cluster: Cluster, named_rights: None
) -> Iterator[Mapping[str, Studio]]:
    with studios_on(release_server, cluster) as studios:
        yield studios


@pytest.fixture(scope="module")
def answers(
    release_server: MlflowServer, cluster: Cluster, objects: Mapping[str, Studio], release: str
) -> AllAnswers:
    return answers_of(release_server, cluster.people.nora, objects, release=release)


def test_a_right_on_the_object_is_enough(answers: AllAnswers, release: str) -> None:
    then_a_right_on_the_object_is_enough(answers, but=GRAPHQL if release == OLDEST else frozenset())


@pytest.mark.parametrize("owner", [SIBLING, FOREIGN])
def test_another_object_is_refused(answers: AllAnswers, owner: str) -> None:
    then_another_object_is_refused(answers, owner)
    then_siblings_and_foreign_objects_answer_alike(answers)


def test_a_list_has_her_objects_and_no_others(answers: AllAnswers) -> None:
    then_lists_have_her_objects_and_no_others(answers)
