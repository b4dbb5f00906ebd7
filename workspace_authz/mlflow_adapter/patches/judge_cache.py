"""What a judge caches about a gateway endpoint is the endpoint's workspace's (MLflow 3.17.2 and 3.18.0).

``mlflow.genai.judges.structured_judge`` remembers which gateway endpoints serve System One models. Its key is
``_resolve_gateway_uri()`` and the endpoint's name. Without this patch the function raises in a server, which
has no HTTP tracking URI, so that no guardrail's judge can use an endpoint. And the key has no workspace, so
that endpoints of the same name in two workspaces would be one. MLflow 3.16.1 has no such module.
"""

from __future__ import annotations

from workspace_authz.mlflow_adapter.compat import optional_module, replace_attribute
from workspace_authz.mlflow_adapter.patches.guardrails import SELF_URL
from workspace_authz.mlflow_adapter.serving import self_calls

gateway_utils = optional_module("mlflow.genai.utils.gateway_utils")
structured_judge = optional_module("mlflow.genai.judges.structured_judge")


def apply() -> None:
    """Replace the function that makes the first part of the cache's key, where MLflow has that cache."""
    replace_attribute(structured_judge, "_resolve_gateway_uri", by=gateway_uri)


def gateway_uri() -> str:
    """The address of the gateway, made up and with the workspace in it while a gateway call is served."""
    calls = self_calls.get()
    uri: str = (
        gateway_utils._resolve_gateway_uri() if calls is None else f"{SELF_URL}/{calls.workspace or ''}"
    )
    return uri
