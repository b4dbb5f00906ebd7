"""The AI gateway: what is configured, and calls to a provider."""

from __future__ import annotations

from collections.abc import Mapping

from tests.scenarios.recipes.model import Call, Recipe, recipe
from tests.scenarios.studio import BUDGET, Studio

_WHY = "the endpoint's provider is OpenAI's, which has no such call"


def _calling(studio: Studio, **fields: object) -> Call:
    return Call(json={"model": studio.endpoint_name, **fields})


def _linked(studio: Studio, definition: str) -> Mapping[str, object]:
    return {"model_definition_id": definition, "linkage_type": "PRIMARY", "weight": 1.0}


def _chat(studio: Studio) -> Call:
    return _calling(studio, messages=[{"role": "user", "content": "hello"}])


def _named(studio: Studio) -> Call:
    return Call(
        path={"endpoint_name": studio.endpoint_name},
        json={"messages": [{"role": "user", "content": "hello"}]},
    )


def _gemini(studio: Studio) -> Call:
    return Call(
        path={"endpoint_name": studio.endpoint_name}, json={"contents": [{"parts": [{"text": "hello"}]}]}
    )


CONFIGURED: Mapping[str, Recipe] = {
    "CreateGatewaySecret": recipe(
        lambda s: Call(
            fields={
                "secret_name": s.a_name("secret"),
                "secret_value": {"api_key": "sk-nothing"},
                "provider": "openai",
            }
        )
    ),
    "GetGatewaySecretInfo": recipe(lambda s: Call(fields={"secret_id": s.secret})),
    "UpdateGatewaySecret": recipe(
        lambda s: Call(fields={"secret_id": s.new_secret(), "secret_value": {"api_key": "sk-other"}})
    ),
    "DeleteGatewaySecret": recipe(lambda s: Call(fields={"secret_id": s.new_secret()})),
    "ListGatewaySecretInfos": recipe(lambda _: Call()),
    "GetSecretsConfig": recipe(lambda _: Call()),
    "CreateGatewayModelDefinition": recipe(
        lambda s: Call(
            fields={
                "name": s.a_name("definition"),
                "secret_id": s.secret,
                "provider": "openai",
                "model_name": "gpt-4o-mini",
            }
        )
    ),
    "GetGatewayModelDefinition": recipe(lambda s: Call(fields={"model_definition_id": s.definition})),
    "ListGatewayModelDefinitions": recipe(lambda _: Call()),
    "UpdateGatewayModelDefinition": recipe(
        lambda s: Call(
            fields={
                "model_definition_id": s.new_definition(),
                "name": s.a_name("renamed"),
                "secret_id": s.secret,
            }
        )
    ),
    "DeleteGatewayModelDefinition": recipe(
        lambda s: Call(fields={"model_definition_id": s.new_definition()})
    ),
    "ListSupportedProviders": recipe(lambda _: Call()),
    "ListSupportedModels": recipe(lambda _: Call()),
    "GetProviderConfig": recipe(lambda _: Call(query={"provider": "openai"})),
    "CreateGatewayEndpoint": recipe(
        lambda s: Call(
            fields={
                "name": s.a_name("endpoint"),
                "model_configs": [_linked(s, s.definition)],
                "experiment_id": s.experiment,
            }
        )
    ),
    "GetGatewayEndpoint": recipe(lambda s: Call(fields={"endpoint_id": s.endpoint})),
    "ListGatewayEndpoints": recipe(lambda _: Call()),
    "UpdateGatewayEndpoint": recipe(
        lambda s: Call(
            fields={
                "endpoint_id": s.new_endpoint(),
                "name": s.a_name("renamed"),
                "model_configs": [_linked(s, s.definition)],
                "experiment_id": s.experiment,
                "usage_tracking": True,
            }
        )
    ),
    "DeleteGatewayEndpoint": recipe(lambda s: Call(fields={"endpoint_id": s.new_endpoint()})),
    "SetGatewayEndpointTag": recipe(
        lambda s: Call(fields={"endpoint_id": s.endpoint, "key": "t", "value": "v"})
    ),
    "DeleteGatewayEndpointTag": recipe(lambda s: Call(fields={"endpoint_id": s.endpoint, "key": "t"})),
    "AttachModelToGatewayEndpoint": recipe(
        lambda s: Call(
            fields={"endpoint_id": s.new_endpoint(), "model_config": _linked(s, s.new_definition())}
        )
    ),
    "DetachModelFromGatewayEndpoint": recipe(
        lambda s: Call(fields={"endpoint_id": s.new_endpoint(), "model_definition_id": s.definition})
    ),
    "CreateGatewayEndpointBinding": recipe(
        lambda s: Call(
            fields={
                "endpoint_id": s.endpoint,
                "resource_type": "scorer",
                "resource_id": s.new_scorer()["scorer_id"],
            }
        )
    ),
    "DeleteGatewayEndpointBinding": recipe(
        lambda s: Call(fields={"endpoint_id": s.endpoint, **s.new_binding()})
    ),
    "ListGatewayEndpointBindings": recipe(lambda s: Call(fields={"endpoint_id": s.endpoint})),
    "CreateGatewayGuardrail": recipe(
        lambda s: Call(
            fields={
                "name": s.a_name("guardrail"),
                "scorer_id": s.scorer["scorer_id"],
                "scorer_version": 1,
                "stage": "BEFORE",
                "action": "SANITIZATION",
                "action_endpoint_id": s.endpoint,
            }
        )
    ),
    "GetGatewayGuardrail": recipe(lambda s: Call(fields={"guardrail_id": s.new_guardrail()})),
    "DeleteGatewayGuardrail": recipe(lambda s: Call(fields={"guardrail_id": s.new_guardrail()})),
    "ListGatewayGuardrails": recipe(lambda _: Call()),
    "AddGuardrailToEndpoint": recipe(
        lambda s: Call(
            fields={"endpoint_id": s.endpoint, "guardrail_id": s.new_guardrail(), "execution_order": 1}
        )
    ),
    "RemoveGuardrailFromEndpoint": recipe(
        lambda s: Call(fields={"endpoint_id": s.endpoint, "guardrail_id": s.new_attached_guardrail()})
    ),
    "UpdateEndpointGuardrailConfig": recipe(
        lambda s: Call(
            fields={
                "endpoint_id": s.endpoint,
                "guardrail_id": s.new_attached_guardrail(),
                "execution_order": 2,
            }
        )
    ),
    "ListEndpointGuardrailConfigs": recipe(lambda s: Call(fields={"endpoint_id": s.endpoint})),
    "CreateGatewayBudgetPolicy": recipe(lambda _: Call(fields=BUDGET)),
    "GetGatewayBudgetPolicy": recipe(lambda s: Call(fields={"budget_policy_id": s.new_budget()})),
    "UpdateGatewayBudgetPolicy": recipe(
        lambda s: Call(fields={"budget_policy_id": s.new_budget(), "budget_amount": 6.0})
    ),
    "DeleteGatewayBudgetPolicy": recipe(lambda s: Call(fields={"budget_policy_id": s.new_budget()})),
    "ListGatewayBudgetPolicies": recipe(lambda _: Call()),
    "ListGatewayBudgetWindows": recipe(lambda _: Call()),
}

CALLS: Mapping[str, Recipe] = {
    "ListModels": recipe(lambda _: Call()),
    "Invocations": recipe(_named),
    "ChatCompletions": recipe(_chat),
    "OpenAIChatCompletions": recipe(_chat),
    "OpenAIEmbeddings": recipe(lambda s: _calling(s, input="hello")),
    "TypesafeSystemOne": recipe(_chat, answers=(422,), why=_WHY),
    "OpenAIResponses": recipe(lambda s: _calling(s, input="hello")),
    "OpenAIResponsesCompact": recipe(lambda s: _calling(s, input="hello")),
    "AnthropicMessages": recipe(_chat, answers=(400,), why=_WHY),
    "GeminiGenerateContent": recipe(_gemini, answers=(400,), why=_WHY),
    "GeminiStreamGenerateContent": recipe(_gemini, why="MLflow streams the error"),
    "RawProxy": recipe(lambda s: Call(path={"endpoint_name": s.endpoint_name, "path": "models"}, json={})),
    "GatewayProxy": recipe(
        lambda _: Call(query={"gateway_path": "api/2.0/endpoints/"}, json={}),
        why="MLFLOW_DEPLOYMENTS_TARGET is not set",
    ),
}

RECIPES: Mapping[str, Recipe] = {**CONFIGURED, **CALLS}

MINIMAL: Mapping[str, Recipe] = {
    "CreateGatewayEndpoint": recipe(
        lambda s: Call(fields={"name": s.a_name("endpoint"), "model_configs": [_linked(s, s.definition)]}),
        absent="experiment_id",
    ),
    "UpdateGatewayEndpoint": recipe(
        lambda s: Call(fields={"endpoint_id": s.new_endpoint(), "routing_strategy": 1}),
        absent="name model_configs[].model_definition_id experiment_id usage_tracking",
    ),
    "CreateGatewayGuardrail": recipe(
        lambda s: Call(
            fields={
                "name": s.a_name("guardrail"),
                "scorer_id": s.scorer["scorer_id"],
                "scorer_version": 1,
                "stage": "BEFORE",
                "action": "VALIDATION",
            }
        ),
        absent="action_endpoint_id",
    ),
}
"""The same operations without the names on which further rights depend."""
