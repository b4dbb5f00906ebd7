"""A clause before a caller's filter: MLflow's own stores find nothing that it does not allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.entities.mcp_server import MCPRemoteTransportType, MCPStatus
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore as Registry
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore as Tracking
from mlflow.utils import search_utils
from mlflow.utils.search_utils import SearchModelUtils
from mlflow.utils.workspace_context import WorkspaceContext

from workspace_authz.catalog.listing import Clause
from workspace_authz.catalog.model import Guarded
from workspace_authz.catalog.routes import all_routes
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.filters import MOST_VALUES, clause_first

SEARCHES: Final[Mapping[str, tuple[str, Clause]]] = {
    route.operation: (route.operation, needed.listing.clause)
    for route in all_routes()
    if isinstance(route.policy, Guarded) and not route.policy.by_document
    for needed in route.policy.requirements
    if needed.listing is not None and needed.listing.clause is not None
}
NAMES: Final = (
    "plain",
    "it's",
    'say "x"',
    "back\\slash",
    "semi;colon",
    "-- dash",
    "tick`",
    "日本",
    "a) OR (b",
)


@dataclass(frozen=True, slots=True)
class Shop:
    """MLflow's stores with an object of every name of each kind."""

    find: Mapping[str, Callable[[str], Iterable[str]]]
    """What an operation finds with a filter: what its clause compares."""
    values: Mapping[str, tuple[str, ...]]
    """All that there is to be found."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home: Path = tmp_path_factory.mktemp("shop")
    patched = pytest.MonkeyPatch()
    patched.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    uri = f"sqlite:///{home / 'mlflow.db'}"
    with WorkspaceContext("team-a"):
        tracking, registry = Tracking(uri, str(home / "artifacts")), Registry(uri)
        try:
            yield _filled(tracking, registry)
        finally:
            tracking.engine.dispose()
            registry.engine.dispose()
            patched.undo()


def _filled(tracking: Any, registry: Any) -> Shop:
    ids = [str(tracking.create_experiment(name)) for name in NAMES]
    for name in NAMES:
        tracking.create_dataset(name)
        registry.create_registered_model(name)
        registry.create_model_version(name, "s3://bucket/model", None)
    servers = ("io.test/one", "io.test/two")
    for name in servers:
        tracking.create_mcp_server(name=name)
        version = {"name": name, "version": "1.0.0", "description": "d"}
        tracking.create_mcp_server_version(server_json=version, status=MCPStatus.ACTIVE)
        tracking.create_mcp_access_endpoint(
            server_name=name,
            url="https://io.test/",
            transport_type=MCPRemoteTransportType.STREAMABLE_HTTP,
            server_version="1.0.0",
        )
    search = tracking.search_experiments
    return Shop(
        {
            "SearchExperiments": lambda text: [each.experiment_id for each in search(filter_string=text)],
            "SearchEvaluationDatasets": lambda text: [
                each.name for each in tracking.search_datasets(filter_string=text)
            ],
            "SearchRegisteredModels": lambda text: [
                each.name for each in registry.search_registered_models(filter_string=text)
            ],
            "SearchModelVersions": lambda text: [
                each.name for each in registry.search_model_versions(filter_string=text)
            ],
            "SearchMcpServers": lambda text: [
                each.name for each in tracking.search_mcp_servers(filter_string=text)
            ],
            "SearchMcpAccessEndpoints": lambda text: [
                each.server_name for each in tracking.search_mcp_access_endpoints(filter_string=text)
            ],
        },
        {
            "SearchExperiments": tuple(ids),
            "SearchMcpServers": servers,
            "SearchMcpAccessEndpoints": servers,
            **dict.fromkeys(
                ("SearchEvaluationDatasets", "SearchRegisteredModels", "SearchModelVersions"), NAMES
            ),
        },
    )


def test_every_search_has_a_parser_and_is_tried_here(shop: Shop) -> None:
    assert SEARCHES.keys() == shop.find.keys()


@pytest.mark.parametrize("operation", sorted(SEARCHES))
def test_it_finds_exactly_what_the_clause_names(shop: Shop, operation: str) -> None:
    for value in shop.values[operation]:
        text = clause_first(*SEARCHES[operation], values=(value,), theirs="  ")
        assert text is not None
        assert list(shop.find[operation](text)) == [value]


@pytest.mark.parametrize(
    "theirs",
    [
        "name = 'plain'",
        "name = 'plain' AND name LIKE '%'",
        "name LIKE '%' AND name != 'it'",
        "name ILIKE 'PLAIN'",
    ],
)
@pytest.mark.parametrize(
    "operation",
    ["SearchExperiments", "SearchEvaluationDatasets", "SearchRegisteredModels", "SearchModelVersions"],
)
def test_a_filter_of_the_callers_still_counts(shop: Shop, operation: str, theirs: str) -> None:
    everything = shop.values[operation]
    both = clause_first(*SEARCHES[operation], values=everything, theirs=theirs)
    assert both is not None
    assert sorted(shop.find[operation](both)) == sorted(shop.find[operation](theirs)) != []


_WORDS: Final = r"""
name experiment_id server_name status tags.x attribute.name IN = != LIKE ILIKE OR AND or NOT UNION WHERE CASE
END AS BETWEEN 'plain' '%' ('plain','x') ('plain') ' " ` ( ) ; , -- /* */ # \ \' '' 1 1=1 '1' :: := ||
$$ [ ] . 日
"""
_PIECES: Final = st.sampled_from([*_WORDS.split(), "NOT IN", "IS NULL", "-- x\n", "\n", "\x00"])
_FILTERS: Final = st.lists(_PIECES, max_size=8).map(" ".join) | st.lists(_PIECES, max_size=8).map("".join)


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operation=st.sampled_from(sorted(SEARCHES)), theirs=_FILTERS, count=st.integers(1, 3))
def test_no_filter_widens_it(shop: Shop, operation: str, theirs: str, count: int) -> None:
    allowed = shop.values[operation][:count]
    try:
        text = clause_first(*SEARCHES[operation], values=allowed, theirs=theirs)
    except BadRequestError:
        return
    assert text is not None
    try:
        found = set(shop.find[operation](text))
    except MlflowException:
        return
    assert found <= set(allowed)


@settings(max_examples=100)
@given(values=st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True))
def test_any_name_can_be_said(values: list[str]) -> None:
    text = clause_first(*SEARCHES["SearchRegisteredModels"], values=values, theirs="name LIKE 'a%'")
    assert text is not None


@pytest.mark.parametrize("theirs", ["name OR name", "name =", "1 = 1", "tags.x IN ('a')"])
def test_what_mlflow_refuses_is_refused(theirs: str) -> None:
    with pytest.raises(BadRequestError):
        clause_first(*SEARCHES["SearchExperiments"], values=("1",), theirs=theirs)


@pytest.mark.parametrize("read_as", [[], ["theirs"], ["theirs", "ours"], ["ours"], ["ours", "other"]])
def test_a_parser_that_reads_it_otherwise_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, read_as: list[str]
) -> None:
    """No filter is known that MLflow's parser would read so; a later parser might."""
    ours = {"type": "attribute", "key": "name", "comparator": "IN", "value": ("plain",)}
    parts: dict[str, object] = {"ours": ours, "theirs": {"key": "x"}, "other": {"key": "y"}}

    def parse(text: str) -> list[object]:
        if " AND " in text:
            return [parts[each] for each in read_as]
        return [parts["ours" if "IN" in text else "theirs"]]

    monkeypatch.setattr(SearchModelUtils, "parse_search_filter", parse)
    with pytest.raises(BadRequestError, match="joined"):
        clause_first(*SEARCHES["SearchRegisteredModels"], values=("plain",), theirs="x = 'y'")


def test_too_many_names_and_none_are_not_said() -> None:
    search = SEARCHES["SearchRegisteredModels"]
    assert clause_first(*search, values=(), theirs="") is None
    assert clause_first(*search, values=[str(number) for number in range(MOST_VALUES + 1)], theirs="") is None


def test_an_mlflow_that_does_not_understand_the_clause_says_so() -> None:
    operation, clause = SEARCHES["SearchExperiments"]
    # MLflow 3.16 knows no list of experiment ids, as 3.17 knows none of creation times.
    unknown = Clause(clause.field, "creation_time")
    assert clause_first(operation, unknown, values=("1",), theirs="") is None
    assert clause_first(operation, unknown, values=("1",), theirs="name = 'plain'") is None


def test_an_mlflow_without_the_parser_does_not_understand_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the answer is filtered."""
    monkeypatch.delattr(search_utils, "SearchExperimentsUtils")
    assert clause_first(*SEARCHES["SearchExperiments"], values=("1",), theirs="") is None
