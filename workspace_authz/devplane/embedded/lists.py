"""Lists: a collection at one version, whole or in pages."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object, name_of, namespace_of
from workspace_authz.devplane.embedded.requests import ApiRequest
from workspace_authz.devplane.embedded.selectors import selection
from workspace_authz.devplane.embedded.status import ApiError, bad_request, expired
from workspace_authz.devplane.embedded.store import Store, TooOldError


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a collection, and the ``metadata`` of the list."""

    objects: list[Object]
    metadata: Object


def list_objects(store: Store, kind: Kind, request: ApiRequest) -> Page:
    """What a list request asks for. Raises a 400, 410 or 504.

    A continued list keeps the version of its first page. Objects are read as they are now, so that a
    watch from that version tells of every difference, some of them twice.
    """
    query = request.query
    chosen = selection(labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", ""))
    objects = [obj for obj in store.list(kind.resource, request.attributes.namespace) if chosen(obj)]
    version, after = store.version, ("", "")
    if token := query.get("continue"):
        version, after = _continuation(store, kind, token)
    else:
        _check_version(store, query.get("resourceVersion", ""), query.get("resourceVersionMatch", ""))
    rest = [obj for obj in objects if _key(obj) > after]
    limit = _number(query.get("limit", ""), "limit")
    page = rest[:limit] if limit else rest
    metadata: Object = {"resourceVersion": str(version)}
    if left := len(rest) - len(page):
        metadata["continue"] = _token(version, _key(page[-1]))
        metadata["remainingItemCount"] = left
    return Page(page, metadata)


def _check_version(store: Store, given: str, match: str) -> None:
    version = _number(given, "resourceVersion")
    if version > store.version:
        message = f"Timeout: Too large resource version: {version}, current: {store.version}"
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        details = {"causes": [cause], "retryAfterSeconds": 1}
        raise ApiError(504, "Timeout", message, details=details)
    if match == "Exact" and version != store.version:
        raise expired("The resourceVersion for the provided list is too old.")


def _continuation(store: Store, kind: Kind, token: str) -> tuple[int, tuple[str, str]]:
    try:
        version, namespace, name = json.loads(base64.urlsafe_b64decode(token))
        store.since(kind.resource, int(version))
    except (ValueError, TypeError, binascii.Error):
        raise bad_request("continue key is not valid") from None
    except TooOldError:
        raise expired(
            "The provided continue parameter is too old to display a consistent list result. You must start "
            "a new list without the continue parameter."
        ) from None
    return int(version), (str(namespace), str(name))


def _token(version: int, key: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, *key]).encode()).decode("ascii")


def _key(obj: Object) -> tuple[str, str]:
    return namespace_of(obj), name_of(obj)


def _number(text: str, what: str) -> int:
    if text and not text.isdecimal():
        raise bad_request(f"{what}: Invalid value: {text!r}")
    return int(text or 0)
