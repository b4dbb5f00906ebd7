"""The registry of MCP servers. The name of a server is ``namespace/slug``, which is two segments of a path.

The order is MLflow's (``mcp_server_api.py``). FastAPI takes the first template that matches. Neither MLflow
nor this catalog can therefore distinguish a server whose slug is ``versions`` or ``endpoints`` from a list.
"""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    Rule,
    all_of,
    path,
    response,
    right,
    rpc,
    search,
)
from workspace_authz.catalog.model import Route, Server
from workspace_authz.types import Resource, Verb

_GET: Final = right(Verb.GET, Resource.MCP_SERVERS, path("name"))
_UPDATE: Final = right(Verb.UPDATE, Resource.MCP_SERVERS, path("name"))
_CREATE: Final = right(Verb.CREATE, Resource.MCP_SERVERS)


def _mcp(method: str, path: str, operation: str, rule: Rule) -> tuple[Route, ...]:
    return rpc(method, f"3.0/mlflow/mcp-servers{path}", operation, rule, server=Server.FASTAPI)


_VERSION: Final = "/{name:path}/versions/{version:path}"
_ENDPOINT: Final = "/{name:path}/endpoints/{endpoint_id}"
_ALIAS: Final = "/{name:path}/aliases/{alias:path}"

ROUTES: Final[tuple[Route, ...]] = (
    *_mcp("POST", "", "CreateMcpServer", _CREATE),
    *_mcp(
        "GET",
        "",
        "SearchMcpServers",
        search(Resource.MCP_SERVERS, response("mcp_servers[].name"), filtered_by="filter_string"),
    ),
    *_mcp(
        "GET",
        "/endpoints",
        "SearchMcpAccessEndpoints",
        search(
            Resource.MCP_SERVERS,
            response("mcp_access_endpoints[].server_name"),
            key="server_name",
            filtered_by="filter_string",
        ),
    ),
    *_mcp("POST", f"{_VERSION}/tags", "SetMcpServerVersionTag", _UPDATE),
    *_mcp("DELETE", f"{_VERSION}/tags/{{key:path}}", "DeleteMcpServerVersionTag", _UPDATE),
    *_mcp("GET", _VERSION, "GetMcpServerVersion", _GET),
    *_mcp("PATCH", _VERSION, "UpdateMcpServerVersion", _UPDATE),
    *_mcp("DELETE", _VERSION, "DeleteMcpServerVersion", _UPDATE),
    # The first version of an unknown server creates that server.
    *_mcp("POST", "/{name:path}/versions", "CreateMcpServerVersion", all_of(_UPDATE, _CREATE)),
    *_mcp("GET", "/{name:path}/versions", "SearchMcpServerVersions", _GET),
    *_mcp("POST", "/{name:path}/endpoints", "CreateMcpAccessEndpoint", _UPDATE),
    *_mcp("GET", _ENDPOINT, "GetMcpAccessEndpoint", _GET),
    *_mcp("PATCH", _ENDPOINT, "UpdateMcpAccessEndpoint", _UPDATE),
    *_mcp("DELETE", _ENDPOINT, "DeleteMcpAccessEndpoint", _UPDATE),
    *_mcp("GET", "/{name:path}/endpoints", "SearchMcpServerAccessEndpoints", _GET),
    *_mcp("POST", "/{name:path}/tags", "SetMcpServerTag", _UPDATE),
    *_mcp("DELETE", "/{name:path}/tags/{key:path}", "DeleteMcpServerTag", _UPDATE),
    *_mcp("POST", "/{name:path}/aliases", "SetMcpServerAlias", _UPDATE),
    *_mcp("GET", _ALIAS, "GetMcpServerVersionByAlias", _GET),
    *_mcp("DELETE", _ALIAS, "DeleteMcpServerAlias", _UPDATE),
    *_mcp("GET", "/{name:path}", "GetMcpServer", _GET),
    *_mcp("PATCH", "/{name:path}", "UpdateMcpServer", _UPDATE),
    *_mcp(
        "DELETE", "/{name:path}", "DeleteMcpServer", right(Verb.DELETE, Resource.MCP_SERVERS, path("name"))
    ),
)
