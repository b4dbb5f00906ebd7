"""MLflow's own reading of requests, in threads of its own: none of it may block the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from workspace_authz.catalog.graphql import Changes, FieldCall
from workspace_authz.catalog.listing import Clause
from workspace_authz.catalog.model import Route
from workspace_authz.errors import MlflowRefusedError
from workspace_authz.mlflow_adapter.reading.filters import any_large_filter, clause_first
from workspace_authz.mlflow_adapter.reading.graphql import read_calls
from workspace_authz.mlflow_adapter.reading.graphql_arguments import changed_document
from workspace_authz.mlflow_adapter.reading.messages import Headers, has_field, read_message
from workspace_authz.mlflow_adapter.reading.mlflow_refusals import path_refusal, refusal_of
from workspace_authz.mlflow_adapter.reading.spans import Spans, read_spans

_THREADS: Final = 4

T = TypeVar("T")


class MLflowReading:
    """Implements :class:`workspace_authz.mlflow_adapter.reading.reader.Reading`; ``close`` it at the end."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="reading")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def message(
        self, route: Route, *, method: str, query: bytes, headers: Headers, body: bytes
    ) -> Mapping[str, Any]:
        """See :func:`read_message`."""
        return await self._run(
            partial(read_message, route, method=method, query=query, headers=headers, body=body)
        )

    async def document(
        self, *, method: str, query: bytes, headers: Headers, body: bytes
    ) -> Sequence[FieldCall]:
        """See :func:`read_calls`."""
        return await self._run(partial(read_calls, method=method, query=query, headers=headers, body=body))

    async def changed_document(
        self, changes: Changes, *, method: str, query: bytes, headers: Headers, body: bytes
    ) -> bytes:
        """See :func:`.graphql_arguments.changed_document`."""
        return await self._run(
            partial(changed_document, changes, method=method, query=query, headers=headers, body=body)
        )

    async def spans(self, body: bytes, *, encoding: bytes, as_json: bool) -> Spans:
        """See :func:`read_spans`."""
        return await self._run(partial(read_spans, body, encoding=encoding, as_json=as_json))

    async def narrowed_filter(
        self, operation: str, clause: Clause, *, values: Collection[str], theirs: str
    ) -> str | None:
        """See :func:`clause_first`."""
        return await self._run(partial(clause_first, operation, clause, values=values, theirs=theirs))

    async def any_large_filter(self, texts: Collection[str], *, comparisons: int) -> bool:
        """See :func:`.filters.any_large_filter`."""
        return await self._run(partial(any_large_filter, texts, comparisons=comparisons))

    async def refusal(
        self, route: Route, *, method: str, query: bytes, headers: Headers, body: bytes
    ) -> MlflowRefusedError | None:
        """See :func:`.mlflow_refusals.refusal_of`."""
        return await self._run(
            partial(refusal_of, route, method=method, query=query, headers=headers, body=body)
        )

    def path_refusal(self, path: str) -> MlflowRefusedError | None:
        """See :func:`.mlflow_refusals.path_refusal`."""
        return path_refusal(path)

    def has_field(self, route: Route, field: str) -> bool:
        """See :func:`workspace_authz.mlflow_adapter.reading.messages.has_field`."""
        return has_field(route, field)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
