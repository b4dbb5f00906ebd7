"""Inputs that once cost a guarded server far more than stock MLflow, or than they cost who sent them.

``make fuzz`` tries very many more, on every route.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

import pytest

from tests.fuzz.costly.campaign import Campaign
from tests.fuzz.costly.costs import Row, table
from tests.fuzz.costly.pair import BROAD, NAMED, NOBODY, pair
from tests.fuzz.world import ENTRIES
from workspace_authz.catalog.entries import Entry

SIZE: Final = 64 * 1024
TRIED: Final = (
    ("POST", "/api/2.0/mlflow/runs/set-tag", BROAD, "text: key: marks|JSON|head"),
    ("POST", "/api/2.0/mlflow/runs/set-tag", NAMED, "text: key: marks|list|JSON"),
    ("PATCH", "/api/3.0/mlflow/traces/{trace_id}/tags", NAMED, "text: (key|value): marks"),
    ("POST", "/api/2.0/mlflow/experiments/create", BROAD, "artifact_location|tags"),
    ("POST", "/v1/traces", BROAD, "spans: (marks|empty|events|unknown|no protobuf|deep|JSON of lists)"),
    ("POST", "/graphql", NAMED, "GraphQL: (fragments|aliases|deep|directives|inline)"),
    ("GET", "/api/2.0/mlflow/experiments/search", NAMED, "field: (filter|order_by|page)"),
    ("GET", "/version", NOBODY, "head|body"),
)
"""Method, path, caller, and which inputs."""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    with pair(tmp_path_factory.mktemp("costly")) as servers:
        yield Campaign(servers, SIZE, chance=3, seed="1")


def entry_at(method: str, path: str) -> Entry:
    return next(entry for entry in ENTRIES if (entry.method, entry.path) == (method, path))


def test_no_input_costs_a_guarded_server_much_more(campaign: Campaign) -> None:
    tried: list[Row] = list(
        chain.from_iterable(
            campaign.try_route(entry_at(method, path), caller=caller, only=only)
            for method, path, caller, only in TRIED
        )
    )
    tried += [campaign.try_slow(entry_at(method, path), caller=caller) for method, path, caller, _ in TRIED]
    bad = [row for row in tried if row.problems]
    assert not bad, table(bad, most=len(bad))
    assert len(tried) > 50
