"""What MLflow's AI gateway records, only the gateway writes: budgets are charged by it.

``sqlalchemy_mixin.sum_gateway_trace_cost`` (3.17.2) adds up the cost of every trace whose metadata has
``mlflow.gateway.endpointId``, between two times, maybe of one ``mlflow.auth.username``. Identity stamps
remove these entries from metadata that clients send. Here tags of such names are refused, and whatever would
change the cost, the time or the place of a trace that bears the marker: ``StartTraceV3`` and ``EndTrace``
with its id, and spans in it. The gateway writes within the server, by MLflow's store: its writes are no
requests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from workspace_authz.catalog.identity_stamps import RESERVED_PREFIXES
from workspace_authz.catalog.model import Guarded, Identifier, NameSource, Origin
from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.spellings import begins_with_key, spellings
from workspace_authz.mlflow_adapter.store.protocol import ObjectStore
from workspace_authz.types import Resource

_TRACES: Final = frozenset({Identifier.TRACE_ID, Identifier.NEW_TRACE_ID})


async def check_tags(reader: RequestReader) -> None:
    """Check the tag that the request sets, or those that its spans set. Raises :class:`ForbiddenError`."""
    if any(source.origin is Origin.SPANS for source in _sources(reader)):
        keys = await reader.trace_tags()
    else:
        document = await reader.document()
        keys = [document[name] for name in spellings("key") if isinstance(document.get(name), str)]
    if any(begins_with_key(key, prefix) for key in keys for prefix in RESERVED_PREFIXES):
        raise ForbiddenError(
            "Only the AI gateway itself sets what begins with " + " and ".join(RESERVED_PREFIXES) + "."
        )


async def check_trace(reader: RequestReader, store: ObjectStore | None, *, workspace: str | None) -> None:
    """Check that no trace that the request writes is one of the gateway's.

    Raises :class:`ForbiddenError`, and :class:`BadRequestError` where the trace cannot be known.
    """
    if store is None:
        return
    found: set[Any] = set()
    for source in _sources(reader):
        if source.origin is Origin.SPANS:
            found.update(await reader.trace_ids())
        else:
            if source.origin is Origin.BODY:
                await reader.document()
            found.update(_present(await reader.possible_values(source)))
    if not found:
        return
    recorded = await store.names(
        sorted(found),
        resource=Resource.GATEWAY_ENDPOINTS,
        identifier=Identifier.GATEWAY_TRACE_ID,
        workspace=workspace or "",
    )
    if recorded:
        raise ForbiddenError(
            f"Trace {sorted(recorded)[0]} is the AI gateway's own record of a call: only the gateway may "
            "change it."
        )


def _sources(reader: RequestReader) -> Iterable[NameSource]:
    """Where the request names the traces that it writes."""
    policy = reader.match.route.policy
    requirements = policy.requirements if isinstance(policy, Guarded) else ()
    return [source for needed in requirements for source in needed.names if source.identifies in _TRACES]


def _present(values: Iterable[Any]) -> Collection[str]:
    present = [value for value in values if value not in (None, "")]
    if not all(isinstance(value, str) for value in present):
        raise BadRequestError("The trace of this request must be named by a text.")
    return present
