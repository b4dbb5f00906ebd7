"""Live objects of every kind that MLflow keeps, made through its REST API when a test needs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final

from tests.scenarios.tracking_studio import NOBODY_LISTENS, V2, V3, TrackingStudio

SCORER: Final = json.dumps(
    {
        "name": "polite",
        "mlflow_version": "3.17.2",
        "serialization_version": 1,
        "instructions_judge_pydantic_data": {
            "instructions": "Is {{ outputs }} polite?",
            "model": "gateway:/judge",
            "feedback_value_type": {"type": "string"},
        },
    }
)
BUDGET: Final[Mapping[str, object]] = {
    "budget_unit": "USD",
    "budget_amount": 5.0,
    "duration": {"unit": "DAYS", "value": 1},
    "target_scope": "WORKSPACE",
    "budget_action": "ALERT",
}


@dataclass
class Studio(TrackingStudio):
    """Makes objects. A plain attribute is one object for whoever only reads it; ``new_…`` makes another."""

    # The model registry.

    def new_model(self) -> str:
        name = self.a_name("model")
        self.post(f"{V2}/registered-models/create", name=name, tags=[{"key": "t", "value": "v"}])
        return name

    @property
    def model_source(self) -> str:
        """Where the SDK says that a model is which a run logged."""
        run = f"{self.experiment}/{self.run}/artifacts/model"
        return f"mlflow-artifacts:/workspaces/{self.workspace}/{run}"

    def new_version(self, model: str) -> str:
        made = self.post(
            f"{V2}/model-versions/create",
            name=model,
            source=self.model_source,
            run_id=self.run,
            tags=[{"key": "t", "value": "v"}],
        )
        return str(made["model_version"]["version"])

    @cached_property
    def model(self) -> str:
        """With a version 1 that is aliased ``best``."""
        name = self.new_model()
        self.put_artifact(f"{self.experiment}/{self.run}/artifacts/model/MLmodel")
        self.new_version(name)
        self.post(f"{V2}/registered-models/alias", name=name, alias="best", version="1")
        return name

    def new_versioned_model(self) -> str:
        name = self.new_model()
        self.new_version(name)
        return name

    prompt_tags: ClassVar = [
        {"key": "mlflow.prompt.is_prompt", "value": "true"},
        {"key": "mlflow.prompt.text", "value": "Say {{ what }}"},
    ]

    @cached_property
    def prompt(self) -> str:
        name = self.a_name("prompt")
        self.post(f"{V2}/registered-models/create", name=name, tags=self.prompt_tags[:1])
        self.post(f"{V2}/model-versions/create", name=name, source="dummy-source", tags=self.prompt_tags)
        return name

    def new_webhook(self) -> str:
        events = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
        made = self.post(
            f"{V2}/webhooks", name=self.a_name("hook"), url=NOBODY_LISTENS, events=events, status="DISABLED"
        )
        return str(made["webhook"]["webhook_id"])

    # Evaluation datasets.

    def new_dataset(self) -> str:
        made = self.post(
            f"{V3}/datasets/create", name=self.a_name("dataset"), experiment_ids=[self.experiment]
        )
        dataset = str(made["dataset"]["dataset_id"])
        self.post(f"{V3}/datasets/{dataset}/records", records=json.dumps([{"inputs": {"q": "?"}}]))
        return dataset

    @cached_property
    def dataset(self) -> str:
        return self.new_dataset()

    # The AI gateway.

    def new_secret(self) -> str:
        made = self.post(
            f"{V3}/gateway/secrets/create",
            secret_name=self.a_name("secret"),
            secret_value={"api_key": "sk-nothing"},
            provider="openai",
            auth_config={"api_base": self.provider},
        )
        return str(made["secret"]["secret_id"])

    @cached_property
    def secret(self) -> str:
        return self.new_secret()

    def new_definition(self) -> str:
        made = self.post(
            f"{V3}/gateway/model-definitions/create",
            name=self.a_name("definition"),
            secret_id=self.secret,
            provider="openai",
            model_name="gpt-4o-mini",
        )
        return str(made["model_definition"]["model_definition_id"])

    @cached_property
    def definition(self) -> str:
        return self.new_definition()

    def endpoint_named(self, name: str) -> str:
        made = self.post(
            f"{V3}/gateway/endpoints/create",
            name=name,
            model_configs=[
                {"model_definition_id": self.definition, "linkage_type": "PRIMARY", "weight": 1.0}
            ],
            usage_tracking=False,
        )
        return str(made["endpoint"]["endpoint_id"])

    @cached_property
    def endpoint_name(self) -> str:
        name = self.a_name("endpoint")
        self.endpoint_named(name)
        return name

    def new_endpoint(self) -> str:
        return self.endpoint_named(self.a_name("endpoint"))

    @cached_property
    def endpoint(self) -> str:
        return self.new_endpoint()

    def new_binding(self) -> Mapping[str, str]:
        binding = {"resource_type": "scorer", "resource_id": str(self.new_scorer()["scorer_id"])}
        self.post(f"{V3}/gateway/endpoints/bindings/create", endpoint_id=self.endpoint, **binding)
        return binding

    def new_guardrail(self) -> str:
        made = self.post(
            f"{V3}/gateway/guardrails/create",
            name=self.a_name("guardrail"),
            scorer_id=self.scorer["scorer_id"],
            scorer_version=1,
            stage="BEFORE",
            action="VALIDATION",
        )
        return str(made["guardrail"]["guardrail_id"])

    def new_attached_guardrail(self) -> str:
        guardrail = self.new_guardrail()
        self.post(
            f"{V3}/gateway/guardrails/add-to-endpoint",
            endpoint_id=self.endpoint,
            guardrail_id=guardrail,
            execution_order=1,
        )
        return guardrail

    def new_budget(self) -> str:
        made = self.post(f"{V3}/gateway/budgets/create", **BUDGET)
        return str(made["budget_policy"]["budget_policy_id"])

    # The registry of MCP servers.

    @staticmethod
    def server_json(name: str, version: str = "1.0.0") -> Mapping[str, str]:
        return {"name": name, "version": version, "description": "d"}

    def new_mcp_server(self, status: str = "active") -> str:
        """With a version 1.0.0 that is aliased ``best``, and a tag."""
        name = f"example.test/{self.a_name('mcp')}"
        self.post(f"{V3}/mcp-servers", name=name, description="d")
        self.post(f"{V3}/mcp-servers/{name}/versions", server_json=self.server_json(name), status=status)
        self.post(f"{V3}/mcp-servers/{name}/versions/1.0.0/tags", key="t", value="v")
        self.post(f"{V3}/mcp-servers/{name}/tags", key="t", value="v")
        self.post(f"{V3}/mcp-servers/{name}/aliases", alias="best", version="1.0.0")
        return name

    @cached_property
    def mcp_server(self) -> str:
        return self.new_mcp_server()

    # Skills, which MLflow has since 3.18.

    ORGANIZATION: ClassVar = "acme"

    def new_skill(self, status: str = "active") -> str:
        """Two of the same name, one of which belongs to :attr:`ORGANIZATION`."""
        name = self.a_name("skill")
        for organization in ("", self.ORGANIZATION):
            place = f"{V3}/skills/@{organization}/{name}" if organization else f"{V3}/skills/{name}"
            self.post(f"{V3}/skills", name=name, organization=organization, description="d")
            self.post(f"{place}/versions", **self.skill_source, status=status)
            self.post(f"{place}/versions/1/tags", key="t", value="v")
            self.post(f"{place}/tags", key="t", value="v")
            self.post(f"{place}/aliases", alias="best", version=1)
        return name

    skill_source: ClassVar = {"source_type": "git", "source": "https://git.example/skills", "ref": "main"}

    @cached_property
    def skill(self) -> str:
        return self.new_skill()

    def new_mcp_endpoint(self, server: str) -> str:
        made = self.post(
            f"{V3}/mcp-servers/{server}/endpoints",
            url=f"https://mcp.example/{self.counter()}",
            server_version="1.0.0",
        )
        return str(made["id"])

    def new_scorer(self) -> Mapping[str, Any]:
        made: Mapping[str, Any] = self.post(
            f"{V3}/scorers/register",
            experiment_id=self.experiment,
            name=self.a_name("scorer"),
            serialized_scorer=SCORER.replace("gateway:/judge", f"gateway:/{self.endpoint_name}"),
        )
        return made

    @cached_property
    def scorer(self) -> Mapping[str, Any]:
        return self.new_scorer()

    @property
    def scorer_id(self) -> str:
        return str(self.scorer["scorer_id"])
