"""``serviceaccounts/token``: asking for a service account's token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from workspace_authz.devplane.embedded.kinds import SECRETS, SERVICE_ACCOUNTS, TOKEN_REQUESTS
from workspace_authz.devplane.embedded.objects import Object, metadata, timestamp, uid_of
from workspace_authz.devplane.embedded.registry import Registry
from workspace_authz.devplane.embedded.status import (
    Target,
    bad_request,
    conflict,
    invalid,
    invalid_value,
    namespace_mismatch,
)
from workspace_authz.devplane.embedded.tokens import API_AUDIENCES, ServiceAccountTokens

_DEFAULT_SECONDS = 3600
_MIN_SECONDS, _MAX_SECONDS = 600, 2**32


class TokenRequests:
    """Answers TokenRequest objects. ``clock`` is seconds since the epoch.

    A longer lifetime than ``longest_seconds`` is shortened to it.
    """

    def __init__(
        self,
        registry: Registry,
        tokens: ServiceAccountTokens,
        *,
        longest_seconds: int = _MAX_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._tokens = tokens
        self._longest_seconds = longest_seconds
        self._clock = clock

    def answer(self, request: Object, *, namespace: str, name: str) -> Object:
        """The request with the token in its ``status``. Raises a 400, 404, 409 or 422."""
        given = metadata(request)
        if given.get("namespace", namespace) != namespace:
            raise namespace_mismatch()
        if given.get("name", name) != name:
            why = "must match the service account name if specified"
            raise invalid(
                TOKEN_REQUESTS.target(name), [invalid_value("metadata.name", given["name"], why=why)]
            )
        account = self._registry.get(SERVICE_ACCOUNTS, namespace=namespace, name=name)
        spec: Object = {
            "audiences": list(API_AUDIENCES),
            "expirationSeconds": _DEFAULT_SECONDS,
            "boundObjectRef": None,
        }
        spec |= request.get("spec") or {}
        spec["expirationSeconds"] = seconds = min(
            _checked_seconds(spec["expirationSeconds"]), self._longest_seconds
        )
        secret = self._bound_secret(spec["boundObjectRef"], namespace)
        expires = timestamp(self._clock() + seconds)
        token = self._tokens.issue(account, audiences=spec["audiences"], seconds=seconds, secret=secret)
        created = {"name": name, "namespace": namespace, "uid": uid_of(account)}
        return {
            "kind": TOKEN_REQUESTS.kind,
            "apiVersion": TOKEN_REQUESTS.api_version,
            "metadata": {**created, "creationTimestamp": timestamp(self._clock())},
            "spec": spec,
            "status": {"token": token, "expirationTimestamp": expires},
        }

    def _bound_secret(self, reference: Mapping[str, Any] | None, namespace: str) -> Object | None:
        if reference is None:
            return None
        version, kind, name = (reference.get(key, "") for key in ("apiVersion", "kind", "name"))
        if (version, kind) != ("v1", "Secret"):
            shown = version if "/" in version else f"/{version}"
            raise bad_request(f"cannot bind token to object of type {shown}, Kind={kind}")
        secret = self._registry.get(SECRETS, namespace=namespace, name=name)
        wanted = reference.get("uid")
        if wanted and wanted != uid_of(secret):
            why = (
                f"the UID in the bound object reference ({wanted}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise conflict(Target("", "Secret", name=name), why)
        return secret


def _checked_seconds(seconds: int) -> int:
    if seconds < _MIN_SECONDS:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > _MAX_SECONDS:
        why = "may not specify a duration larger than 2^32 seconds"
    else:
        return seconds
    raise invalid(TOKEN_REQUESTS.target(), [invalid_value("spec.expirationSeconds", seconds, why=why)])
