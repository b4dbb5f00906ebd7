"""A gateway endpoint whose guardrail lets nothing secret through, and who plays the models behind it."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

from mlflow.genai.judges import make_judge

from tests.harness.http import Answer, Headers
from tests.isolation.listener import Listener, Received
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A

GATEWAY: Final = "/api/3.0/mlflow/gateway"
SECRET: Final = "the launch code 4711"
REDACTED: Final = "[REDACTED]"
_TRACED_SECONDS: Final = 120.0


class Models:
    """What the provider has: ``judge`` says whether there is a secret, ``writer`` removes it."""

    def __init__(self) -> None:
        self.most = 3
        """How often the judge minds at most: stock MLflow could ask it without end."""

    def __call__(self, received: Received) -> object:
        asked = received.json
        match str(asked.get("model", "writer")).partition("-")[0]:
            case "judge":
                minds = self.most > 0 and SECRET in str(asked)
                self.most -= minds
                verdict = {"result": "no" if minds else "yes", "rationale": "It holds a launch code."}
                return _completion(json.dumps(verdict))
            case "writer":
                return _completion(_rewritten(asked["messages"][-1]["content"]))
            case _:
                return _completion("Certainly.")


def _rewritten(prompt: str) -> str:
    document = prompt.partition("Input payload:\n")[2]
    return document.replace(SECRET, REDACTED)


def _completion(content: str) -> object:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    made = {"id": "1", "object": "chat.completion", "created": 1, "model": "model"}
    return {**made, "choices": [choice], "usage": usage}


@dataclass(frozen=True, slots=True)
class Moderated:
    """A server with the endpoints ``talker``, which has the guardrail, ``judge`` and ``writer``."""

    world: World
    provider: Listener
    models: Models
    names: dict[str, str]
    """Of the endpoints, by model."""
    endpoints: dict[str, Any]
    guardrail: str
    workspace: str

    def ask(self, *, headers: Headers = (), token: str | None = None) -> Answer:
        """Send the talker the secret."""
        return self.world.server.ask(
            "POST",
            f"/gateway/{self.names['talker']}/mlflow/invocations",
            token=token or self.world.tokens.get(self.workspace),
            workspace=self.workspace,
            headers=headers,
            json_body={"messages": [{"role": "user", "content": f"Remember {SECRET}."}]},
        )

    def heard(self) -> dict[str, list[Received]]:
        """What each model was sent since the last time."""
        heard: dict[str, list[Received]] = {"judge": [], "writer": [], "talker": []}
        for received in self.provider.take():
            heard[str(received.json["model"]).partition("-")[0]].append(received)
        return heard

    def guard_too(self, model: str) -> None:
        """Put the guardrail before another endpoint, too."""
        document = {
            "endpoint_id": self.endpoints[model]["endpoint_id"],
            "guardrail_id": self.guardrail,
            "execution_order": 1,
        }
        self.world.make(f"{GATEWAY}/guardrails/add-to-endpoint", document, workspace=self.workspace)

    def traced(self) -> dict[str, Answer]:
        """The traces of each endpoint, once all three have a finished one. Raises ``AssertionError``."""
        deadline = time.monotonic() + _TRACED_SECONDS
        while True:
            found = {model: self._traces(model) for model in self.endpoints}
            if all("mlflow.auth.username" in answer.text for answer in found.values()):
                return found
            assert time.monotonic() < deadline, f"some trace never came: {found}"
            time.sleep(0.05)

    def _traces(self, model: str) -> Answer:
        experiment = {"experiment_id": self.endpoints[model]["experiment_id"]}
        search = {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": experiment}]}
        path = "/api/3.0/mlflow/traces/search"
        return self.world.ask("POST", path, workspace=self.workspace, json_body=search)


def moderated(world: World, provider: Listener, models: Models, *, workspace: str = TEAM_A) -> Moderated:
    """New endpoints, and a guardrail before the talker that asks the judge and the writer."""
    suffix = secrets.token_hex(4)
    names = {model: f"{model}-{suffix}" for model in ("judge", "writer", "talker")}
    made = {model: endpoint(world, names[model], provider, workspace=workspace) for model in names}
    scorer = make_judge(
        name=f"discretion-{suffix}",
        instructions="Is there no launch code in {{ inputs }}?",
        model=f"gateway:/{names['judge']}",
        feedback_value_type=str,
    )
    registered = world.make(
        "/api/3.0/mlflow/scorers/register",
        {
            "experiment_id": world.experiment(workspace, f"discretion-{suffix}"),
            "name": scorer.name,
            "serialized_scorer": json.dumps(scorer.model_dump()),
        },
        workspace=workspace,
    )
    guardrail = world.make(
        f"{GATEWAY}/guardrails/create",
        {
            "name": f"discretion-{suffix}",
            "scorer_id": registered["scorer_id"],
            "scorer_version": registered["version"],
            "stage": "BEFORE",
            "action": "SANITIZATION",
            "action_endpoint_id": made["writer"]["endpoint_id"],
        },
        workspace=workspace,
    )["guardrail"]["guardrail_id"]
    scene = Moderated(world, provider, models, names, made, guardrail, workspace)
    scene.guard_too("talker")
    provider.take()
    return scene


def endpoint(world: World, name: str, provider: Listener, *, workspace: str) -> Any:
    """A new endpoint; what it is asked arrives at ``provider``, and its traces in its own experiment."""
    secret = world.make(
        f"{GATEWAY}/secrets/create",
        {
            "secret_name": name,
            "secret_value": {"api_key": "the-providers-key"},
            "provider": "openai",
            "auth_config": {"api_base": f"{provider.url}/v1"},
        },
        workspace=workspace,
    )["secret"]["secret_id"]
    definition = world.make(
        f"{GATEWAY}/model-definitions/create",
        {"name": name, "secret_id": secret, "provider": "openai", "model_name": name},
        workspace=workspace,
    )["model_definition"]["model_definition_id"]
    config = {"model_definition_id": definition, "linkage_type": "PRIMARY", "weight": 1.0}
    made = world.make(
        f"{GATEWAY}/endpoints/create",
        {"name": name, "model_configs": [config], "usage_tracking": True},
        workspace=workspace,
    )
    return made["endpoint"]
