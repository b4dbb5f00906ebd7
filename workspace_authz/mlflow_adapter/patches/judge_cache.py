"""What a judge caches about a gateway endpoint is the endpoint's workspace's (MLflow 3.17.2 and 3.18.0).

``mlflow.genai.judges.structured_judge`` remembers which gateway endpoints serve System One models. Its key is
``_resolve_gateway_uri()`` and the endpoint's name. Without this patch the function raises in a server, which
has no HTTP tracking URI, so that no guardrail's judge can use an endpoint. And the key has no workspace, so
that endpoints of the same name in two workspaces would be one. MLflow 3.16.1 has no such module.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from mlflow.genai.utils.gateway_utils import _resolve_gateway_uri

from workspace_authz.mlflow_adapter.patches.guardrails import SELF_URL
from workspace_authz.mlflow_adapter.serving import self_calls

_STRUCTURED_JUDGE: Final = "mlflow.genai.judges.structured_judge"


def apply() -> None:
    """Replace the function that makes the first part of the cache's key, where MLflow has that cache."""
    if find_spec(_STRUCTURED_JUDGE) is not None:
        structured_judge: Any = import_module(_STRUCTURED_JUDGE)
        structured_judge._resolve_gateway_uri = gateway_uri


def gateway_uri() -> str:
    """The address of the gateway, made up and with the workspace in it while a gateway call is served."""
    calls = self_calls.get()
    uri: str = _resolve_gateway_uri() if calls is None else f"{SELF_URL}/{calls.workspace or ''}"
    return uri
