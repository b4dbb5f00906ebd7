"""Calls of AI gateway endpoints: ``gatewayendpoints/use`` on the endpoint that is called.

The order is MLflow's (``gateway_api.py``). FastAPI takes the first template that matches, and two match
``/gateway/proxy/mlflow/invocations``.
"""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    Rule,
    ajax,
    at_path,
    body,
    listed,
    path,
    response,
    restricted,
    use,
)
from workspace_authz.catalog.model import Restriction, Route, Server
from workspace_authz.types import Resource, Verb

_BY_PATH: Final = use(Resource.GATEWAY_ENDPOINTS, path("endpoint_name"))
_BY_MODEL: Final = use(Resource.GATEWAY_ENDPOINTS, body("model"))
"""The handlers ignore the content type and unpack ``Content-Encoding: zstd``."""

_GEMINI: Final = "gemini/v1beta/models/{endpoint_name}"


def _call(method: str, path: str, operation: str, rule: Rule, *, since: str = "") -> tuple[Route, ...]:
    return at_path(method, f"/gateway/{path}", operation, rule, server=Server.FASTAPI, since=since)


_NATIVE_ROUTES: Final[tuple[Route, ...]] = (
    *_call("POST", "{endpoint_name}/mlflow/invocations", "Invocations", _BY_PATH),
    *_call("POST", "mlflow/v1/chat/completions", "ChatCompletions", _BY_MODEL),
    *_call(
        "GET",
        "mlflow/v1/models",
        "ListModels",
        listed(Verb.LIST, Resource.GATEWAY_ENDPOINTS, response("data[].id")),
        since="3.17",
    ),
    *_call("POST", "openai/v1/chat/completions", "OpenAIChatCompletions", _BY_MODEL),
    *_call("POST", "openai/v1/embeddings", "OpenAIEmbeddings", _BY_MODEL),
    *_call("POST", "typesafe/v1/systemone", "TypesafeSystemOne", _BY_MODEL, since="3.17"),
    *_call("POST", "openai/v1/responses", "OpenAIResponses", _BY_MODEL),
    *_call("POST", "openai/v1/responses/compact", "OpenAIResponsesCompact", _BY_MODEL),
    *_call("POST", "anthropic/v1/messages", "AnthropicMessages", _BY_MODEL),
    *_call("POST", f"{_GEMINI}:generateContent", "GeminiGenerateContent", _BY_PATH),
    *_call("POST", f"{_GEMINI}:streamGenerateContent", "GeminiStreamGenerateContent", _BY_PATH),
    *restricted(
        Restriction.UPSTREAM_PATH,
        _call("POST", "proxy/{endpoint_name}/{path:path}", "RawProxy", _BY_PATH),
    ),
)

# The old deployments proxy reaches one gateway for the whole server (MLFLOW_DEPLOYMENTS_TARGET), whose
# endpoints are not those of the workspace: a name in gateway_path gives no right.
_ANY_ENDPOINT: Final = use(Resource.GATEWAY_ENDPOINTS)
_DEPLOYMENTS_ROUTES: Final[tuple[Route, ...]] = (
    *ajax("GET", "2.0/mlflow/gateway-proxy", "GatewayProxy", _ANY_ENDPOINT),
    *ajax("POST", "2.0/mlflow/gateway-proxy", "GatewayProxy", _ANY_ENDPOINT),
)

ROUTES: Final[tuple[Route, ...]] = (*_NATIVE_ROUTES, *_DEPLOYMENTS_ROUTES)
