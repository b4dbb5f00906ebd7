"""A request for every operation of MLflow that somebody may call, by the operation's name in the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.scenarios.recipes import gateway, mcp, registry, skills, tracing, tracking
from tests.scenarios.recipes.model import Call, Recipe, recipe

_OPEN: Mapping[str, Recipe] = {
    "Index": recipe(lambda _: Call(), answers=(200, 308), why="below a prefix, a slash may be missing"),
    "StaticFile": recipe(lambda _: Call(path={"path": "index.html"}), answers=(200, 404)),
    "StaticFolder": recipe(lambda _: Call(path={"filename": "index.html"})),
    "Version": recipe(lambda _: Call()),
    "Health": recipe(lambda _: Call()),
    "GetServerInfo": recipe(lambda _: Call()),
    "ListWorkspaces": recipe(lambda _: Call()),
    "GetWorkspace": recipe(lambda s: Call(path={"workspace_name": s.workspace})),
    "GetUiTelemetry": recipe(lambda _: Call()),
    "PostUiTelemetry": recipe(lambda _: Call(json={"records": []})),
}

RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        **_OPEN,
        **tracking.RECIPES,
        **tracing.RECIPES,
        **registry.RECIPES,
        **gateway.RECIPES,
        **mcp.RECIPES,
        **skills.RECIPES,
    }
)

MINIMAL: Final[Mapping[str, Recipe]] = MappingProxyType(
    {**tracking.MINIMAL, **tracing.MINIMAL, **registry.MINIMAL, **gateway.MINIMAL}
)
"""Some of them again, without the names on which further rights depend."""
