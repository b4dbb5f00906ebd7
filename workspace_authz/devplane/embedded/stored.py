"""HTTP for objects that are kept: one, a list, or a watch of them, as JSON or as a table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from workspace_authz.devplane.embedded.http import encode, json_response, read_body
from workspace_authz.devplane.embedded.kinds import NAMESPACES, Kind
from workspace_authz.devplane.embedded.lists import list_objects
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.requests import ApiRequest, is_true
from workspace_authz.devplane.embedded.resources import Resources, object_list
from workspace_authz.devplane.embedded.selectors import selection
from workspace_authz.devplane.embedded.status import bad_request, method_not_allowed, quoted
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.devplane.embedded.tables import table, wants_table
from workspace_authz.devplane.embedded.watches import WatchEvent, WatchOptions, watch
from workspace_authz.types import UserInfo


class StoredApi:
    """Answers requests about the kinds of :data:`~.kinds.STORED`."""

    def __init__(
        self,
        *,
        store: Store,
        resources: Resources,
        bookmark_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._resources = resources
        self._bookmark_seconds = bookmark_seconds
        self._clock = clock

    async def answer(
        self, kind: Kind, parsed: ApiRequest, request: web.BaseRequest, user: UserInfo
    ) -> web.StreamResponse:
        """Answer a request that was allowed."""
        resources, accept = self._resources, request.headers.get("Accept", "")
        match parsed.attributes.verb:
            case "get":
                return self._shown(kind, parsed, accept, resources.get(kind, parsed))
            case "list":
                return self._listed(kind, parsed, accept)
            case "watch":
                return await self._watched(kind, parsed, request)
        body = await read_body(request)  # from here on nothing waits: reads and writes are one step
        match parsed.attributes.verb, bool(parsed.path_name):
            case "create", False:
                created = resources.create(kind, parsed, body, user)
                return self._shown(kind, parsed, accept, created, status=201)
            case "update", True:
                return self._shown(kind, parsed, accept, resources.update(kind, parsed, body, user))
            case "patch", True:
                patched, new = resources.patch(kind, parsed, body, user)
                return self._shown(kind, parsed, accept, patched, status=201 if new else 200)
            case "delete", True:
                return json_response(resources.delete(kind, parsed, body))
            case "deletecollection", False if kind is not NAMESPACES:
                return json_response(resources.delete_collection(kind, parsed))
        raise method_not_allowed()

    def _shown(
        self, kind: Kind, parsed: ApiRequest, accept: str, obj: Object, *, status: int = 200
    ) -> web.Response:
        if wants_table(accept):
            obj = self._table(kind, parsed, [obj], {"resourceVersion": obj["metadata"]["resourceVersion"]})
        return json_response(obj, status=status)

    def _listed(self, kind: Kind, parsed: ApiRequest, accept: str) -> web.Response:
        page = list_objects(self._store, kind, parsed)
        if wants_table(accept):
            return json_response(self._table(kind, parsed, page.objects, page.metadata))
        return json_response(object_list(kind, page.objects, page.metadata))

    async def _watched(self, kind: Kind, parsed: ApiRequest, request: web.BaseRequest) -> web.StreamResponse:
        options = _watch_options(kind, parsed)
        as_table = wants_table(request.headers.get("Accept", ""))
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        head = True
        # Whoever watched and went away needs no answer.
        with suppress(ConnectionResetError):
            async for event in watch(self._store, options, bookmark_seconds=self._bookmark_seconds):
                await response.write(
                    encode(self._event(kind, parsed, event, as_table=as_table, head=head)) + b"\n"
                )
                head = head and not event.is_object
            await response.write_eof()
        return response

    def _event(
        self, kind: Kind, parsed: ApiRequest, event: WatchEvent, *, as_table: bool, head: bool
    ) -> Object:
        shown = event.object
        if as_table and event.is_object:
            version = {"resourceVersion": shown["metadata"]["resourceVersion"]}
            shown = self._table(kind, parsed, [shown], version, head=head)
        return {"type": event.type, "object": shown}

    def _table(
        self,
        kind: Kind,
        parsed: ApiRequest,
        objects: list[Object],
        metadata: Object,
        *,
        head: bool = True,
    ) -> Object:
        include = parsed.query.get("includeObject", "Metadata")
        return table(kind, objects, list_metadata=metadata, include=include, now=self._clock(), head=head)


def _watch_options(kind: Kind, parsed: ApiRequest) -> WatchOptions:
    query = parsed.query
    initial = query.get("sendInitialEvents")
    if initial is not None and query.get("resourceVersionMatch") != "NotOlderThan":
        raise bad_request("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    version, seconds = query.get("resourceVersion", ""), query.get("timeoutSeconds", "")
    for field, value in (("resourceVersion", version), ("timeoutSeconds", seconds)):
        if value and not value.isdecimal():
            raise bad_request(f"{field}: Invalid value: {quoted(value)}")
    return WatchOptions(
        kind,
        parsed.attributes.namespace if kind.namespaced else "",
        selection(labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", "")),
        version=int(version or 0),
        bookmarks=is_true(query.get("allowWatchBookmarks")),
        initial_events=None if initial is None else is_true(initial),
        timeout_seconds=float(seconds) if int(seconds or 0) else None,
    )
