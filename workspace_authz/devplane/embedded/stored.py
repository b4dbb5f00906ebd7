"""HTTP for objects that are kept: one, a list, or a watch of them."""

from __future__ import annotations

from contextlib import suppress

from aiohttp import web

from workspace_authz.devplane.embedded.http import encode, json_response, read_body
from workspace_authz.devplane.embedded.requests import is_true
from workspace_authz.devplane.embedded.resources import Call, Resources
from workspace_authz.devplane.embedded.selectors import selection
from workspace_authz.devplane.embedded.status import bad_request, method_not_allowed, quoted, unsupported
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.devplane.embedded.watches import WatchOptions, watch


class StoredApi:
    """Answers requests about the kinds of :data:`~.kinds.STORED`."""

    def __init__(self, store: Store, resources: Resources, *, bookmark_seconds: float) -> None:
        self._store = store
        self._resources = resources
        self._bookmark_seconds = bookmark_seconds

    async def answer(self, call: Call, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request that was allowed. Raises a 405 for a method that the path does not have."""
        resources, verb = self._resources, call.request.attributes.verb
        match verb:
            case "get":
                return json_response(resources.get(call))
            case "list":
                return json_response(resources.list(call))
            case "watch":
                return await self._watched(call, request)
        body = await read_body(request)  # from here on nothing waits: reads and writes are one step
        match verb, bool(call.request.path_name):
            case "create", False:
                return json_response(resources.create(call, body), status=201)
            case "update", True:
                return json_response(resources.update(call, body))
            case "patch", True:
                return json_response(resources.patch(call, body))
            case "delete", True:
                return json_response(resources.delete(call, body))
        raise method_not_allowed()

    async def _watched(self, call: Call, request: web.BaseRequest) -> web.StreamResponse:
        options = _watch_options(call)
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        # Whoever watched and went away needs no answer.
        with suppress(ConnectionResetError):
            async for event in watch(self._store, options, bookmark_seconds=self._bookmark_seconds):
                await response.write(encode({"type": event.type, "object": event.object}) + b"\n")
            await response.write_eof()
        return response


def _watch_options(call: Call) -> WatchOptions:
    query = call.request.query
    if "sendInitialEvents" in query:
        raise unsupported("streamed lists")
    version, seconds = query.get("resourceVersion", ""), query.get("timeoutSeconds", "")
    for field, value in (("resourceVersion", version), ("timeoutSeconds", seconds)):
        if value and not value.isdecimal():
            raise bad_request(f"{field}: Invalid value: {quoted(value)}")
    return WatchOptions(
        call.kind,
        call.namespace,
        selection(labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", "")),
        version=int(version or 0),
        bookmarks=is_true(query.get("allowWatchBookmarks")),
        timeout_seconds=float(seconds) if int(seconds or 0) else None,
    )
