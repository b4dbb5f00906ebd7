"""The way of a request: who asks, may they, and then the one place that answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web

from workspace_authz.devplane.embedded import kinds
from workspace_authz.devplane.embedded.authentication import Authenticator
from workspace_authz.devplane.embedded.bodies import Body, parse_object
from workspace_authz.devplane.embedded.discovery import OPENAPI_V2, OPENAPI_V2_TYPE, documents
from workspace_authz.devplane.embedded.http import (
    client_certificate,
    encode,
    failure,
    json_response,
    read_body,
)
from workspace_authz.devplane.embedded.impersonation import Impersonator
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.lists import list_objects
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.rbac import AccessAttributes, RbacAuthorizer
from workspace_authz.devplane.embedded.requests import ApiRequest, is_true, parse_request, refusal
from workspace_authz.devplane.embedded.resources import Resources, object_list
from workspace_authz.devplane.embedded.reviews import Reviewer
from workspace_authz.devplane.embedded.selectors import selection
from workspace_authz.devplane.embedded.status import (
    ApiError,
    bad_request,
    method_not_allowed,
    no_such_resource,
)
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.devplane.embedded.tables import table, wants_table
from workspace_authz.devplane.embedded.tokenrequests import TokenRequests
from workspace_authz.devplane.embedded.watches import WatchEvent, WatchOptions, watch
from workspace_authz.types import UserInfo

_log = logging.getLogger(__name__)

_HEALTH = frozenset(("/healthz", "/livez", "/readyz"))
_KINDS: Mapping[tuple[str, str, str], Kind] = MappingProxyType(
    {
        **{(kind.group, kind.resource, ""): kind for kind in (*kinds.STORED, *kinds.REVIEWS)},
        ("", kinds.TOKEN_REQUESTS.resource, kinds.TOKEN_REQUESTS.subresource): kinds.TOKEN_REQUESTS,
    }
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the API answers from."""

    store: Store
    authenticator: Authenticator
    authorizer: RbacAuthorizer
    resources: Resources
    reviewer: Reviewer
    token_requests: TokenRequests


class Api:
    """One request handler for ``aiohttp.web.Server``."""

    def __init__(
        self, parts: Parts, *, bookmark_seconds: float = 10.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._parts = parts
        self._bookmark_seconds = bookmark_seconds
        self._clock = clock
        self._documents = documents()
        self._impersonator = Impersonator(parts.authorizer)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            response = await self._answer(request)
        except ApiError as error:
            response = failure(error)
        # The path, never the query or a header: those may hold what a log must not.
        _log.debug("%s %s %d", request.method, request.path, response.status)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        parsed = parse_request(request.method, request.path, request.query)
        user = self._user(request, parsed.attributes)
        if request.path in _HEALTH:  # allowed to everybody, whatever RBAC says
            return web.Response(text="ok")
        answer = self._parts.authorizer.authorize(user, parsed.attributes)
        if not answer.allowed:
            raise refusal(user, parsed.attributes, answer.reason)
        if parsed.attributes.path is not None:
            return self._document(parsed.attributes.path)
        kind = _kind(parsed)
        if kind in kinds.STORED:
            return await self._stored(kind, parsed, request, user)
        if kind is not kinds.TOKEN_REQUESTS and parsed.path_name:
            raise no_such_resource()
        if parsed.attributes.verb != "create":
            raise method_not_allowed()
        return self._reviewed(kind, parsed, await read_body(request), user)

    def _user(self, request: web.BaseRequest, asked: AccessAttributes) -> UserInfo:
        authorization = request.headers.get("Authorization", "")
        user = self._parts.authenticator.authenticate(client_certificate(request), authorization)
        return self._impersonator.effective_user(user, request.headers, asked)

    def _document(self, path: str) -> web.Response:
        if path == OPENAPI_V2:
            return web.Response(body=b"", headers={"Content-Type": OPENAPI_V2_TYPE})
        found = self._documents.get(path.rstrip("/"))
        if found is None:
            raise no_such_resource()
        return json_response(found)

    def _reviewed(self, kind: Kind, parsed: ApiRequest, body: Body, user: UserInfo) -> web.Response:
        validation = parsed.query.get("fieldValidation", "")
        review = parse_object(kind, body, field_validation=validation)
        if kind is kinds.TOKEN_REQUESTS:
            namespace, name = parsed.attributes.namespace, parsed.path_name
            answer = self._parts.token_requests.answer(review, namespace=namespace, name=name)
        else:
            answer = self._parts.reviewer.answer(kind, review, user)
        return json_response(answer, status=201)

    async def _stored(
        self, kind: Kind, parsed: ApiRequest, request: web.BaseRequest, user: UserInfo
    ) -> web.StreamResponse:
        resources, accept = self._parts.resources, request.headers.get("Accept", "")
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
            case "deletecollection", False if kind is not kinds.NAMESPACES:
                return json_response(resources.delete_collection(kind, parsed))
        raise method_not_allowed()

    def _shown(
        self, kind: Kind, parsed: ApiRequest, accept: str, obj: Object, *, status: int = 200
    ) -> web.Response:
        if wants_table(accept):
            obj = self._table(kind, parsed, [obj], {"resourceVersion": obj["metadata"]["resourceVersion"]})
        return json_response(obj, status=status)

    def _listed(self, kind: Kind, parsed: ApiRequest, accept: str) -> web.Response:
        page = list_objects(self._parts.store, kind, parsed)
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
            async for event in watch(self._parts.store, options, bookmark_seconds=self._bookmark_seconds):
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


def _kind(parsed: ApiRequest) -> Kind:
    asked = parsed.attributes
    kind = _KINDS.get((asked.group, asked.resource, asked.subresource))
    if kind is None or parsed.version != "v1" or parsed.rest:
        raise no_such_resource()
    if asked.namespace and not kind.namespaced and kind is not kinds.NAMESPACES:
        raise no_such_resource()
    return kind


def _watch_options(kind: Kind, parsed: ApiRequest) -> WatchOptions:
    query = parsed.query
    initial = query.get("sendInitialEvents")
    if initial is not None and query.get("resourceVersionMatch") != "NotOlderThan":
        raise bad_request("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    seconds = query.get("timeoutSeconds", "")
    if seconds and not seconds.isdecimal():
        raise bad_request("timeoutSeconds: Invalid value")
    return WatchOptions(
        kind,
        parsed.attributes.namespace if kind.namespaced else "",
        selection(labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", "")),
        version=query.get("resourceVersion", ""),
        bookmarks=is_true(query.get("allowWatchBookmarks")),
        initial_events=None if initial is None else is_true(initial),
        timeout_seconds=float(seconds) if int(seconds or 0) else None,
    )
