"""Whether a running MLflow has an object of this name: rights go by names, and people know ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from workspace_authz.types import Resource

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)
_LARGEST_ANSWER: Final = 2**20
_V2, _V3 = "api/2.0/mlflow", "api/3.0/mlflow"


class Found(StrEnum):
    """What a name is."""

    NAME = "name"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """The server does not say: it is out of reach, or the caller may not look."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What a server knows of a name."""

    found: Found
    name_of_id: str = ""
    """The name of the object of which what was given is the id."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """Where MLflow lists objects, and the fields of each in the answer."""

    path: str
    key: str
    name: str = "name"
    id: str = ""


_BY_NAME: Final[Mapping[Resource, str]] = MappingProxyType(
    {
        Resource.EXPERIMENTS: f"{_V2}/experiments/get-by-name?experiment_name={{}}",
        Resource.REGISTERED_MODELS: f"{_V2}/registered-models/get?name={{}}",
        Resource.MCP_SERVERS: f"{_V3}/mcp-servers/{{}}",
        Resource.SKILLS: f"{_V3}/skills/{{}}",
    }
)
"""Where MLflow answers for one name; ``{}`` is the name."""
_LISTED: Final[Mapping[Resource, _Listed]] = MappingProxyType(
    {
        Resource.GATEWAY_ENDPOINTS: _Listed(f"{_V3}/gateway/endpoints/list", "endpoints", id="endpoint_id"),
        Resource.GATEWAY_SECRETS: _Listed(
            f"{_V3}/gateway/secrets/list", "secrets", name="secret_name", id="secret_id"
        ),
        Resource.GATEWAY_MODEL_DEFINITIONS: _Listed(
            f"{_V3}/gateway/model-definitions/list", "model_definitions", id="model_definition_id"
        ),
        Resource.DATASETS: _Listed(f"{_V3}/datasets/search?filter_string={{}}", "datasets"),
    }
)
_BY_ID: Final[Mapping[Resource, tuple[str, str]]] = MappingProxyType(
    {
        Resource.EXPERIMENTS: (f"{_V2}/experiments/get?experiment_id={{}}", "experiment"),
        Resource.DATASETS: (f"{_V3}/datasets/{{}}", "dataset"),
    }
)
"""Where MLflow answers for one id, and the object in the answer."""


@dataclass(frozen=True, slots=True)
class MlflowNames:
    """Asks one MLflow as the owner of ``token``, which goes to no other address."""

    url: str
    """With its static prefix."""
    token: str = field(repr=False)
    workspace: str
    insecure: bool = False

    async def naming(self, resource: Resource, name: str) -> Naming:
        """What ``name`` is to this server. Never raises: a server that does not answer knows nothing."""
        connector = aiohttp.TCPConnector(ssl=not self.insecure)
        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector) as http:
                listed = _LISTED.get(resource)
                if listed is None:
                    found = await self._one(http, _BY_NAME[resource].format(_in_url(resource, name)))
                    naming = Naming(Found.MISSING if found is None else Found.NAME)
                else:
                    naming = await self._among(http, listed, name=name)
                if naming.found is Found.MISSING and not naming.name_of_id and resource in _BY_ID:
                    return await self._by_id(http, resource, value=name)
                return naming
        except (aiohttp.ClientError, TimeoutError, OSError, _UnknownError):
            return Naming(Found.UNKNOWN)

    async def _among(self, http: aiohttp.ClientSession, listed: _Listed, *, name: str) -> Naming:
        document = await self._one(http, listed.path.format(quote(_filter(name), safe="")))
        items = [item for item in (document or {}).get(listed.key) or [] if isinstance(item, dict)]
        for item in items:
            if item.get(listed.name) == name:
                return Naming(Found.NAME)
        ids = (str(item.get(listed.name)) for item in items if listed.id and item.get(listed.id) == name)
        return Naming(Found.MISSING, next(ids, ""))

    async def _by_id(self, http: aiohttp.ClientSession, resource: Resource, *, value: str) -> Naming:
        path, key = _BY_ID[resource]
        try:
            document = await self._one(http, path.format(quote(value, safe="")))
        except _UnknownError:
            return Naming(Found.MISSING)
        found = (document or {}).get(key)
        return Naming(
            Found.MISSING, str(found["name"]) if isinstance(found, dict) and "name" in found else ""
        )

    async def _one(self, http: aiohttp.ClientSession, path: str) -> dict[str, Any] | None:
        """The answer; None where there is no such object. Raises :class:`_UnknownError`."""
        headers = {"Authorization": f"Bearer {self.token}", "X-MLFLOW-WORKSPACE": self.workspace}
        url = URL(f"{self.url.rstrip('/')}/{path}", encoded=True)
        async with http.get(url, headers=headers, allow_redirects=False) as response:
            content = await response.content.read(_LARGEST_ANSWER)
            if response.status == 404 and b"RESOURCE_DOES_NOT_EXIST" in content:
                return None
            try:
                document = json.loads(content) if response.status == 200 else None
            except ValueError:
                document = None
            if not isinstance(document, dict):
                raise _UnknownError
            return document


class _UnknownError(Exception):
    """The server did not say."""


def _in_url(resource: Resource, name: str) -> str:
    # Names of skills and MCP servers may have several parts, which are parts of the path.
    return quote(name, safe="@/" if resource in (Resource.SKILLS, Resource.MCP_SERVERS) else "")


def _filter(name: str) -> str:
    quotes = '"' if "'" in name else "'"
    return f"name = {quotes}{name}{quotes}"
