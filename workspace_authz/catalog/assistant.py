"""MLflow's assistant. All workspaces share it, and its tools run on the server. Off by default."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from workspace_authz.catalog.build import ajax, right
from workspace_authz.catalog.model import Refused, Route, Server
from workspace_authz.types import Resource, Verb

SWITCHED_OFF: Final = Refused(
    "The assistant is switched off: all workspaces share it, and it runs tools on the MLflow server."
)


def _assistant(method: str, path: str, operation: str, verb: Verb) -> tuple[Route, ...]:
    rule = right(verb, Resource.ASSISTANTS)
    return ajax(method, f"3.0/mlflow/assistant/{path}", operation, rule, server=Server.FASTAPI)


_SESSION: Final = "sessions/{session_id}"
_PROVIDER: Final = "providers/{provider}"
_GUARDED: Final[tuple[Route, ...]] = (
    *_assistant("POST", "message", "SendAssistantMessage", Verb.CREATE),
    *_assistant("GET", f"{_SESSION}/stream", "StreamAssistantResponse", Verb.GET),
    *_assistant("PATCH", _SESSION, "PatchAssistantSession", Verb.UPDATE),
    *_assistant("POST", f"{_SESSION}/permission", "ResolveAssistantPermission", Verb.UPDATE),
    *_assistant("POST", f"{_SESSION}/tool-result", "ResolveAssistantToolResult", Verb.UPDATE),
    *_assistant("GET", f"{_PROVIDER}/health", "CheckAssistantProvider", Verb.GET),
    *_assistant("GET", "providers", "ListAssistantProviders", Verb.GET),
    *_assistant("GET", "config", "GetAssistantConfig", Verb.GET),
    *_assistant("PUT", "config", "UpdateAssistantConfig", Verb.UPDATE),
    *_assistant("POST", "skills/install", "InstallAssistantSkills", Verb.UPDATE),
    *_assistant("GET", f"{_PROVIDER}/models", "ListAssistantProviderModels", Verb.GET),
)
_REFUSED: Final = tuple(replace(route, policy=SWITCHED_OFF) for route in _GUARDED)


def assistant_routes(*, enabled: bool) -> tuple[Route, ...]:
    """Guarded by rights on ``assistants`` when enabled, else refused."""
    return _GUARDED if enabled else _REFUSED
