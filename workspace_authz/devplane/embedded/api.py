"""The way of a request: who asks, may they, and then the one place that answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web

from workspace_authz.devplane.embedded import kinds
from workspace_authz.devplane.embedded.authentication import Authenticator
from workspace_authz.devplane.embedded.bodies import parse_object
from workspace_authz.devplane.embedded.discovery import OPENAPI_V2, OPENAPI_V2_TYPE, documents
from workspace_authz.devplane.embedded.http import (
    client_certificate,
    failure,
    json_response,
    read_body,
)
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.rbac import RbacAuthorizer
from workspace_authz.devplane.embedded.requests import ApiRequest, parse_request, refusal
from workspace_authz.devplane.embedded.resources import Call, Resources
from workspace_authz.devplane.embedded.reviews import Reviewer
from workspace_authz.devplane.embedded.status import (
    ApiError,
    method_not_allowed,
    no_such_resource,
    unsupported,
)
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.devplane.embedded.stored import StoredApi
from workspace_authz.devplane.embedded.tokenrequests import TokenRequests
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

    def __init__(self, parts: Parts, *, bookmark_seconds: float) -> None:
        self._parts = parts
        self._stored = StoredApi(parts.store, parts.resources, bookmark_seconds=bookmark_seconds)
        self._documents = documents()

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
        parsed = parse_request(request.method, request.path, query=request.query)
        user = self._user(request)
        if request.path in _HEALTH:  # allowed to everybody, whatever RBAC says
            return web.Response(text="ok")
        access = self._parts.authorizer.authorize(user, parsed.attributes)
        if not access.allowed:
            raise refusal(user, parsed.attributes, reason=access.reason)
        if parsed.attributes.path is not None:
            return self._document(parsed.attributes.path)
        kind = _kind(parsed)
        if kind in kinds.STORED:
            return await self._stored.answer(Call(kind, parsed, user), request)
        if kind is not kinds.TOKEN_REQUESTS and parsed.path_name:
            raise no_such_resource()
        if parsed.attributes.verb != "create":
            raise method_not_allowed()
        body = await read_body(request)
        review = parse_object(kind, body, field_validation=parsed.field_validation)
        if kind is kinds.TOKEN_REQUESTS:
            namespace, name = parsed.attributes.namespace, parsed.path_name
            answer = self._parts.token_requests.answer(review, namespace=namespace, name=name)
        else:
            answer = self._parts.reviewer.answer(kind, review, user=user)
        return json_response(answer, status=201)

    def _user(self, request: web.BaseRequest) -> UserInfo:
        authorization = request.headers.get("Authorization", "")
        user = self._parts.authenticator.authenticate(client_certificate(request), authorization)
        if any(header.lower().startswith("impersonate-") for header in request.headers):
            # Ignoring the header would answer with the rights of the wrong user.
            raise unsupported("impersonation")
        return user

    def _document(self, path: str) -> web.Response:
        if path == OPENAPI_V2:
            return web.Response(body=b"", headers={"Content-Type": OPENAPI_V2_TYPE})
        found = self._documents.get(path.rstrip("/"))
        if found is None:
            raise no_such_resource()
        return json_response(found)


def _kind(parsed: ApiRequest) -> Kind:
    asked = parsed.attributes
    kind = _KINDS.get((asked.group, asked.resource, asked.subresource))
    if kind is None or parsed.version != "v1" or parsed.below:
        raise no_such_resource()
    if asked.namespace and not kind.namespaced and kind is not kinds.NAMESPACES:
        raise no_such_resource()
    return kind
