"""How much a search may ask for.

MLflow's stores join one table for each comparison of a filter and each term of an order, and SQLAlchemy puts
the joins together in a time that grows with their cube: 100 comparisons of tags take 0.7 s of CPU, 400 take
11 s, 8 KB of filter in all (MLflow 3.17.2). SQLite refuses more than 64 joins, after that work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.documents import too_large
from workspace_authz.mlflow_adapter.reading.reader import RequestReader

MAX_COMPARISONS: Final = 100
"""In one filter, and terms in one order."""
MAX_FILTER: Final = 256 * 2**10
"""Characters of a filter or an order. MLflow's parser ends at some 5000 values, which are ids."""
_SHORT: Final = 4 * MAX_COMPARISONS
"""Bytes of body and query that cannot hold more."""

SEARCHES: Final = frozenset(
    {
        "SearchExperiments",
        "SearchRuns",
        "SearchTraces",
        "SearchTracesV3",
        "CalculateTraceFilterCorrelation",
        "QueryTraceMetrics",
        "SearchIssues",
        "SearchLoggedModels",
        "SearchRegisteredModels",
        "SearchModelVersions",
        "SearchEvaluationDatasets",
        "SearchMcpServers",
        "SearchMcpServerVersions",
        "SearchMcpAccessEndpoints",
        "SearchMcpServerAccessEndpoints",
        "SearchSkills",
        "SearchSkillVersions",
    }
)
"""The operations that take a filter or an order."""
FILTERS: Final = ("filter", "filter_string", "filter_string1", "filter_string2", "base_filter", "filters")
ORDER: Final = "order_by"
_GRAPHQL: Final = "GraphQL"


async def check_search(reader: RequestReader) -> None:
    """Check the request's filters and orders. Raises :class:`BadRequestError`.

    What MLflow could not read is refused where it is long enough to hold too many.
    """
    operation = reader.match.route.operation
    if (operation not in SEARCHES and operation != _GRAPHQL) or not reader.has_mlflow:
        return
    body = await reader.content()
    if body is None:
        raise too_large(reader.request.body.limit)
    if len(body) + len(reader.request.query) <= _SHORT:
        return
    texts = [text for fields in await _searches(reader) for text in _texts(fields)]
    if any(len(text) > MAX_FILTER for text in texts):
        raise BadRequestError(f"A filter or order_by may have at most {MAX_FILTER} characters.")
    if await reader.reading.any_large_filter(texts, comparisons=MAX_COMPARISONS):
        raise BadRequestError(f"A filter may have at most {MAX_COMPARISONS} comparisons.")


async def _searches(reader: RequestReader) -> Iterable[Mapping[str, Any]]:
    """The fields of each search in the request."""
    if reader.match.route.operation != _GRAPHQL:
        return (await reader.fields(),)
    calls = {call.path[0]: call.arguments for call in await reader.calls()}
    return tuple(given["input"] for given in calls.values() if isinstance(given.get("input"), Mapping))


def _texts(fields: Mapping[str, Any]) -> Iterator[str]:
    """The filters and terms of an order. Raises :class:`BadRequestError` for too many terms."""
    for field in FILTERS:
        yield from _listed(fields.get(field))
    terms = fields.get(ORDER)
    if isinstance(terms, list) and len(terms) > MAX_COMPARISONS:
        raise BadRequestError(f"{ORDER} may have at most {MAX_COMPARISONS} terms.")
    yield from _listed(terms)


def _listed(value: Any) -> Iterator[str]:
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, str):
            yield each
