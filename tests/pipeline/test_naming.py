"""Which requirements a right on a named object can fulfil."""

from __future__ import annotations

import pytest

from workspace_authz.catalog.build import EXPERIMENT, body, experiments, graphql, listed, path, response, use
from workspace_authz.catalog.model import Identifier, Requirement
from workspace_authz.pipeline.naming import nameable
from workspace_authz.types import Resource, Verb

FLAG = body("usage_tracking", Identifier.FLAG)


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (experiments(Verb.GET, EXPERIMENT), True),
        (experiments(Verb.UPDATE, EXPERIMENT, when_present=True), True),
        (use(Resource.GATEWAY_ENDPOINTS, path("endpoint_name")), True),
        (experiments(Verb.CREATE, EXPERIMENT, unless_present=True), False),
        (experiments(Verb.CREATE, FLAG, when_present=True), False),
        (experiments(Verb.CREATE, EXPERIMENT, when_present=True), False),
        (experiments(Verb.LIST), False),
        (listed(Verb.LIST, Resource.EXPERIMENTS, response("experiments[].name")), True),
        (experiments(Verb.GET, graphql("input.run_id", Identifier.RUN_ID)), True),
        (use(Resource.GATEWAY_ENDPOINTS), False),
    ],
)
def test_a_name_can_fulfil(requirement: Requirement, expected: bool) -> None:
    assert nameable(requirement) is expected
