"""Configuration of MLflow's AI gateway: secrets, model definitions, endpoints, guardrails, budgets.

An endpoint uses model definitions, a model definition uses a secret, and a guardrail uses an endpoint. A
caller who links one to the other needs the right to ``use`` it. Calls are in :mod:`.gateway_calls`.
"""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    EXPERIMENT,
    ajax,
    all_of,
    body,
    experiments,
    linked,
    listed,
    response,
    restricted,
    right,
    rpc,
    use,
)
from workspace_authz.catalog.model import AnyRight, Identifier, Restriction, Route
from workspace_authz.types import Resource, Verb

_GATEWAY: Final = "3.0/mlflow/gateway"
_NAME: Final = body("name")


_SECRET: Final = body("secret_id", Identifier.SECRET_ID)
_SECRETS: Final = f"{_GATEWAY}/secrets"
_SECRET_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("POST", f"{_SECRETS}/create", "CreateGatewaySecret", right(Verb.CREATE, Resource.GATEWAY_SECRETS)),
    # The message has a secret_name too, which the handler does not read.
    *rpc(
        "GET",
        f"{_SECRETS}/get",
        "GetGatewaySecretInfo",
        right(Verb.GET, Resource.GATEWAY_SECRETS, _SECRET),
    ),
    *rpc(
        "POST",
        f"{_SECRETS}/update",
        "UpdateGatewaySecret",
        right(Verb.UPDATE, Resource.GATEWAY_SECRETS, _SECRET),
    ),
    *rpc(
        "DELETE",
        f"{_SECRETS}/delete",
        "DeleteGatewaySecret",
        right(Verb.DELETE, Resource.GATEWAY_SECRETS, _SECRET),
    ),
    *rpc(
        "GET",
        f"{_SECRETS}/list",
        "ListGatewaySecretInfos",
        listed(Verb.LIST, Resource.GATEWAY_SECRETS, response("secrets[].secret_name")),
    ),
    # Tells whether the server encrypts secrets with its default passphrase. Where it is refused, the UI shows
    # how to set the server up, in place of the gateway's pages.
    *ajax("GET", f"{_SECRETS}/config", "GetSecretsConfig", AnyRight()),
)

_DEFINITION: Final = body("model_definition_id", Identifier.MODEL_DEFINITION_ID)
_DEFINITIONS: Final = f"{_GATEWAY}/model-definitions"
_LIST_DEFINITIONS: Final = right(Verb.LIST, Resource.GATEWAY_MODEL_DEFINITIONS)
_DEFINITION_ROUTES: Final[tuple[Route, ...]] = (
    *rpc(
        "POST",
        f"{_DEFINITIONS}/create",
        "CreateGatewayModelDefinition",
        all_of(
            right(Verb.CREATE, Resource.GATEWAY_MODEL_DEFINITIONS),
            use(Resource.GATEWAY_SECRETS, _SECRET),
        ),
    ),
    *rpc(
        "GET",
        f"{_DEFINITIONS}/get",
        "GetGatewayModelDefinition",
        right(Verb.GET, Resource.GATEWAY_MODEL_DEFINITIONS, _DEFINITION),
    ),
    *rpc(
        "GET",
        f"{_DEFINITIONS}/list",
        "ListGatewayModelDefinitions",
        listed(Verb.LIST, Resource.GATEWAY_MODEL_DEFINITIONS, response("model_definitions[].name")),
    ),
    *rpc(
        "POST",
        f"{_DEFINITIONS}/update",
        "UpdateGatewayModelDefinition",
        all_of(
            right(Verb.UPDATE, Resource.GATEWAY_MODEL_DEFINITIONS, _DEFINITION),
            right(Verb.UPDATE, Resource.GATEWAY_MODEL_DEFINITIONS, _NAME, when_present=True),
            # Without a new secret the stored one serves whatever provider and model are set.
            use(Resource.GATEWAY_SECRETS, _SECRET, _DEFINITION),
        ),
    ),
    *rpc(
        "DELETE",
        f"{_DEFINITIONS}/delete",
        "DeleteGatewayModelDefinition",
        right(Verb.DELETE, Resource.GATEWAY_MODEL_DEFINITIONS, _DEFINITION),
    ),
    *ajax("GET", f"{_GATEWAY}/supported-providers", "ListSupportedProviders", _LIST_DEFINITIONS),
    *ajax("GET", f"{_GATEWAY}/supported-models", "ListSupportedModels", _LIST_DEFINITIONS),
    *ajax("GET", f"{_GATEWAY}/provider-config", "GetProviderConfig", _LIST_DEFINITIONS),
)

_ENDPOINT: Final = body("endpoint_id", Identifier.ENDPOINT_ID)
_ENDPOINTS: Final = f"{_GATEWAY}/endpoints"
_UPDATE_ENDPOINT: Final = right(Verb.UPDATE, Resource.GATEWAY_ENDPOINTS, _ENDPOINT)
_CONFIGURED: Final = body("model_configs[].model_definition_id", Identifier.MODEL_DEFINITION_ID)
_ENDPOINT_ROUTES: Final[tuple[Route, ...]] = (
    *rpc(
        "POST",
        f"{_ENDPOINTS}/create",
        "CreateGatewayEndpoint",
        all_of(
            right(Verb.CREATE, Resource.GATEWAY_ENDPOINTS),
            use(Resource.GATEWAY_MODEL_DEFINITIONS, _CONFIGURED),
            # Where its usage is traced to; without one MLflow makes an experiment, or takes the one that
            # is named gateway/<endpoint>.
            linked(experiments(Verb.UPDATE, EXPERIMENT)),
            experiments(Verb.CREATE, EXPERIMENT, unless_present=True),
        ),
    ),
    *rpc(
        "GET",
        f"{_ENDPOINTS}/get",
        "GetGatewayEndpoint",
        # MLflow takes exactly one of the two.
        right(Verb.GET, Resource.GATEWAY_ENDPOINTS, _ENDPOINT, _NAME),
    ),
    *rpc(
        "GET",
        f"{_ENDPOINTS}/list",
        "ListGatewayEndpoints",
        listed(Verb.LIST, Resource.GATEWAY_ENDPOINTS, response("endpoints[].name")),
    ),
    *rpc(
        "POST",
        f"{_ENDPOINTS}/update",
        "UpdateGatewayEndpoint",
        all_of(
            _UPDATE_ENDPOINT,
            right(Verb.UPDATE, Resource.GATEWAY_ENDPOINTS, _NAME, when_present=True),
            use(Resource.GATEWAY_MODEL_DEFINITIONS, _CONFIGURED, when_present=True),
            linked(experiments(Verb.UPDATE, EXPERIMENT)),
            # Switched on, it makes an experiment for an endpoint that has none.
            experiments(Verb.CREATE, body("usage_tracking", Identifier.FLAG), when_present=True),
        ),
    ),
    *rpc(
        "DELETE",
        f"{_ENDPOINTS}/delete",
        "DeleteGatewayEndpoint",
        right(Verb.DELETE, Resource.GATEWAY_ENDPOINTS, _ENDPOINT),
    ),
    *rpc("POST", f"{_ENDPOINTS}/set-tag", "SetGatewayEndpointTag", _UPDATE_ENDPOINT),
    *rpc("DELETE", f"{_ENDPOINTS}/delete-tag", "DeleteGatewayEndpointTag", _UPDATE_ENDPOINT),
    *rpc(
        "POST",
        f"{_ENDPOINTS}/models/attach",
        "AttachModelToGatewayEndpoint",
        all_of(
            _UPDATE_ENDPOINT,
            use(
                Resource.GATEWAY_MODEL_DEFINITIONS,
                body("model_config.model_definition_id", Identifier.MODEL_DEFINITION_ID),
            ),
        ),
    ),
    *rpc("POST", f"{_ENDPOINTS}/models/detach", "DetachModelFromGatewayEndpoint", _UPDATE_ENDPOINT),
    *rpc(
        "POST",
        f"{_ENDPOINTS}/bindings/create",
        "CreateGatewayEndpointBinding",
        all_of(
            _UPDATE_ENDPOINT,
            use(Resource.GATEWAY_ENDPOINTS, _ENDPOINT),
            # "scorer" is the only resource type (entities.gateway_endpoint.GatewayResourceType), and MLflow
            # refuses a binding without one.
            linked(experiments(Verb.UPDATE, body("resource_id", Identifier.SCORER_ID))),
        ),
    ),
    *rpc("DELETE", f"{_ENDPOINTS}/bindings/delete", "DeleteGatewayEndpointBinding", _UPDATE_ENDPOINT),
    # Without an endpoint it lists those of the whole workspace.
    *rpc(
        "GET",
        f"{_ENDPOINTS}/bindings/list",
        "ListGatewayEndpointBindings",
        listed(
            Verb.LIST,
            Resource.GATEWAY_ENDPOINTS,
            _ENDPOINT,
            response("bindings[].endpoint_id", Identifier.ENDPOINT_ID),
        ),
    ),
)

_GUARDRAIL: Final = body("guardrail_id", Identifier.GUARDRAIL_ID)
_GUARDRAILS: Final = f"{_GATEWAY}/guardrails"
_LIST_GUARDRAILS: Final = right(Verb.LIST, Resource.GATEWAY_GUARDRAILS)
_GUARD_ENDPOINT: Final = all_of(_UPDATE_ENDPOINT, right(Verb.GET, Resource.GATEWAY_GUARDRAILS, _GUARDRAIL))
_GUARDRAIL_ROUTES: Final[tuple[Route, ...]] = (
    *rpc(
        "POST",
        f"{_GUARDRAILS}/create",
        "CreateGatewayGuardrail",
        all_of(
            right(Verb.CREATE, Resource.GATEWAY_GUARDRAILS),
            experiments(Verb.GET, body("scorer_id", Identifier.SCORER_ID)),
            linked(use(Resource.GATEWAY_ENDPOINTS, body("action_endpoint_id", Identifier.ENDPOINT_ID))),
        ),
    ),
    *rpc(
        "GET",
        f"{_GUARDRAILS}/get",
        "GetGatewayGuardrail",
        right(Verb.GET, Resource.GATEWAY_GUARDRAILS, _GUARDRAIL),
    ),
    *rpc(
        "DELETE",
        f"{_GUARDRAILS}/delete",
        "DeleteGatewayGuardrail",
        right(Verb.DELETE, Resource.GATEWAY_GUARDRAILS, _GUARDRAIL),
    ),
    *rpc("GET", f"{_GUARDRAILS}/list", "ListGatewayGuardrails", _LIST_GUARDRAILS),
    *rpc("POST", f"{_GUARDRAILS}/add-to-endpoint", "AddGuardrailToEndpoint", _GUARD_ENDPOINT),
    *rpc("DELETE", f"{_GUARDRAILS}/remove-from-endpoint", "RemoveGuardrailFromEndpoint", _GUARD_ENDPOINT),
    *rpc("PATCH", f"{_GUARDRAILS}/update-config", "UpdateEndpointGuardrailConfig", _GUARD_ENDPOINT),
    *rpc(
        "GET",
        f"{_GUARDRAILS}/list-for-endpoint",
        "ListEndpointGuardrailConfigs",
        all_of(right(Verb.GET, Resource.GATEWAY_ENDPOINTS, _ENDPOINT), _LIST_GUARDRAILS),
    ),
)

# Budget policies have no names.
_BUDGETS: Final = f"{_GATEWAY}/budgets"
_LIST_BUDGETS: Final = right(Verb.LIST, Resource.GATEWAY_BUDGETS)
_BUDGET_ROUTES: Final[tuple[Route, ...]] = (
    *restricted(
        Restriction.NO_GLOBAL_BUDGET,
        (
            *rpc(
                "POST",
                f"{_BUDGETS}/create",
                "CreateGatewayBudgetPolicy",
                right(Verb.CREATE, Resource.GATEWAY_BUDGETS),
            ),
            *rpc(
                "POST",
                f"{_BUDGETS}/update",
                "UpdateGatewayBudgetPolicy",
                right(Verb.UPDATE, Resource.GATEWAY_BUDGETS),
            ),
        ),
    ),
    *rpc("GET", f"{_BUDGETS}/get", "GetGatewayBudgetPolicy", right(Verb.GET, Resource.GATEWAY_BUDGETS)),
    *rpc(
        "DELETE",
        f"{_BUDGETS}/delete",
        "DeleteGatewayBudgetPolicy",
        right(Verb.DELETE, Resource.GATEWAY_BUDGETS),
    ),
    *rpc("GET", f"{_BUDGETS}/list", "ListGatewayBudgetPolicies", _LIST_BUDGETS),
    *rpc("GET", f"{_BUDGETS}/windows", "ListGatewayBudgetWindows", _LIST_BUDGETS),
)

ROUTES: Final[tuple[Route, ...]] = (
    *_SECRET_ROUTES,
    *_DEFINITION_ROUTES,
    *_ENDPOINT_ROUTES,
    *_GUARDRAIL_ROUTES,
    *_BUDGET_ROUTES,
)
