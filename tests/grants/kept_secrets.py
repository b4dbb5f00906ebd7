"""Secrets and tokens as an API server would keep and make them, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from workspace_authz.kubernetes.listwatch_answers import JsonObject

MADE = datetime(2026, 11, 30, 12, tzinfo=UTC)
VALUE = "header.payload.signature-of-the-new-key"
NAME = "mlflow-key-x"


@dataclass
class KeptSecrets:
    """An :class:`~workspace_authz.kubernetes.objects.Objects`; what is in ``failures`` fails, by method."""

    failures: dict[str, BaseException] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict)
    lives: timedelta = timedelta(days=1)
    accounts: list[Any] = field(default_factory=list)
    queries: list[Mapping[str, str] | None] = field(default_factory=list)
    """Of what was listed."""
    waits: bool = False
    """Whether a token never comes."""

    async def get(self, path: str) -> JsonObject:
        raise AssertionError(path)

    async def list(self, path: str) -> Sequence[JsonObject]:
        raise AssertionError(path)

    async def first(
        self, path: str, *, most: int, query: Mapping[str, str] | None = None
    ) -> tuple[Sequence[JsonObject], bool]:
        self.queries.append(query)
        found = self.accounts if path.endswith("/serviceaccounts") else list(self.secrets.values())
        return found[:most], len(found) > most

    async def create(self, path: str, document: JsonObject) -> JsonObject:
        if path.endswith("/token"):
            self._fail("token")
            if self.waits:
                await asyncio.Event().wait()
            expires = (MADE + self.lives).isoformat()
            return {"status": {"token": VALUE, "expirationTimestamp": expires}}
        self._fail("create")
        made = {"name": NAME, "uid": "u", "resourceVersion": "1", "creationTimestamp": MADE.isoformat()}
        self.secrets[f"{path}/{NAME}"] = {**document, "metadata": {**document["metadata"], **made}}
        stored: JsonObject = self.secrets[f"{path}/{NAME}"]
        return stored

    async def replace(self, path: str, document: JsonObject) -> JsonObject:
        self._fail("replace")
        self.secrets[path] = document
        return document

    async def delete(self, path: str, *, seen: JsonObject) -> None:
        self._fail("delete")
        assert seen == {"metadata": {"uid": "u"}}
        del self.secrets[path]

    def _fail(self, method: str) -> None:
        if method in self.failures:
            raise self.failures[method]
