"""The registry of MCP servers."""

from __future__ import annotations

from collections.abc import Mapping

from tests.scenarios.recipes.model import Call, Recipe, recipe
from tests.scenarios.studio import Studio

_CREATED = (200, 201)
_REMOVED = (200, 204)


def _fresh(studio: Studio, **parameters: str) -> Mapping[str, str]:
    return {"name": studio.new_mcp_server(status="draft"), **parameters}


def _endpoint(studio: Studio) -> Mapping[str, str]:
    server = studio.mcp_server
    return {"name": server, "endpoint_id": studio.new_mcp_endpoint(server)}


def _another_version(studio: Studio) -> Call:
    server = studio.new_mcp_server()
    return Call(path={"name": server}, json={"server_json": studio.server_json(server, "2.0.0")})


RECIPES: Mapping[str, Recipe] = {
    "CreateMcpServer": recipe(
        lambda s: Call(json={"name": f"example.test/{s.a_name('mcp')}"}), answers=_CREATED
    ),
    "SearchMcpServers": recipe(lambda _: Call()),
    "SearchMcpAccessEndpoints": recipe(lambda _: Call()),
    "SetMcpServerVersionTag": recipe(
        lambda s: Call(path={"name": s.mcp_server, "version": "1.0.0"}, json={"key": "k", "value": "v"}),
        answers=(200, 201, 204),
    ),
    "DeleteMcpServerVersionTag": recipe(
        lambda s: Call(path=_fresh(s, version="1.0.0", key="t")), answers=_REMOVED
    ),
    "GetMcpServerVersion": recipe(lambda s: Call(path={"name": s.mcp_server, "version": "1.0.0"})),
    "UpdateMcpServerVersion": recipe(
        lambda s: Call(path=_fresh(s, version="1.0.0"), json={"status": "active"})
    ),
    "DeleteMcpServerVersion": recipe(lambda s: Call(path=_fresh(s, version="1.0.0")), answers=_REMOVED),
    "CreateMcpServerVersion": recipe(_another_version, answers=_CREATED),
    "SearchMcpServerVersions": recipe(lambda s: Call(path={"name": s.mcp_server})),
    "CreateMcpAccessEndpoint": recipe(
        lambda s: Call(
            path={"name": s.mcp_server},
            json={"url": f"https://mcp.example/{s.counter()}", "server_version": "1.0.0"},
        ),
        answers=_CREATED,
    ),
    "GetMcpAccessEndpoint": recipe(lambda s: Call(path=_endpoint(s))),
    "UpdateMcpAccessEndpoint": recipe(
        lambda s: Call(path=_endpoint(s), json={"url": f"https://mcp.example/{s.counter()}"})
    ),
    "DeleteMcpAccessEndpoint": recipe(lambda s: Call(path=_endpoint(s)), answers=_REMOVED),
    "SearchMcpServerAccessEndpoints": recipe(lambda s: Call(path={"name": s.mcp_server})),
    "SetMcpServerTag": recipe(
        lambda s: Call(path={"name": s.mcp_server}, json={"key": "k", "value": "v"}),
        answers=(200, 201, 204),
    ),
    "DeleteMcpServerTag": recipe(lambda s: Call(path=_fresh(s, key="t")), answers=_REMOVED),
    "SetMcpServerAlias": recipe(
        lambda s: Call(path={"name": s.mcp_server}, json={"alias": "other", "version": "1.0.0"}),
        answers=(200, 201, 204),
    ),
    "GetMcpServerVersionByAlias": recipe(lambda s: Call(path={"name": s.mcp_server, "alias": "best"})),
    "DeleteMcpServerAlias": recipe(lambda s: Call(path=_fresh(s, alias="best")), answers=_REMOVED),
    "GetMcpServer": recipe(lambda s: Call(path={"name": s.mcp_server})),
    "UpdateMcpServer": recipe(lambda s: Call(path={"name": s.mcp_server}, json={"description": "new"})),
    "DeleteMcpServer": recipe(lambda s: Call(path=_fresh(s)), answers=_REMOVED),
}
