"""Rights on single objects before the oldest MLflow that is supported: the same routes, the same answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.harness.plane import EMBEDDED
from tests.harness.server import MlflowServer
from tests.scenarios.conftest import studios_on
from tests.scenarios.named import (
    ENTRIES,
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

NEWER: Final = frozenset(entry.route.operation for entry in ENTRIES if entry.route.since)
"""What it does not have."""

GRAPHQL: Final = frozenset({"GraphQL"})
"""Whose search for model versions cannot be kept to names there, and says so."""

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)


@pytest.fixture(scope="module")
def objects(
    oldest_server: MlflowServer, cluster: Cluster, named_rights: None
) -> Iterator[Mapping[str, Studio]]:
    with studios_on(oldest_server, cluster) as studios:
        yield studios


@pytest.fixture(scope="module")
def answers(oldest_server: MlflowServer, cluster: Cluster, objects: Mapping[str, Studio]) -> AllAnswers:
    return answers_of(oldest_server, cluster.people.nora, objects)


def test_a_right_on_the_object_is_enough(answers: AllAnswers) -> None:
    then_a_right_on_the_object_is_enough(answers, but=NEWER | GRAPHQL)


@pytest.mark.parametrize("owner", [SIBLING, FOREIGN])
def test_another_object_is_refused(answers: AllAnswers, owner: str) -> None:
    then_another_object_is_refused(answers, owner)
    then_siblings_and_foreign_objects_answer_alike(answers)


def test_a_list_has_her_objects_and_no_others(answers: AllAnswers) -> None:
    then_lists_have_her_objects_and_no_others(answers)
