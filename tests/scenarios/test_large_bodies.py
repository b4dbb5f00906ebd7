"""Large bodies arrive: MLflow's own bounds hold, and none of ours lies below them."""

from __future__ import annotations

import base64
import json
import secrets
from functools import partial
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput

from tests.harness.plane import GROUP
from tests.harness.server import MlflowServer
from tests.isolation.listener import listening
from tests.scenarios import steps
from tests.scenarios.conftest import As
from tests.scenarios.naming import Maker
from tests.scenarios.people import TEAM_A, Cluster
from tests.scenarios.studio import Studio
from tests.scenarios.waiting import until

PROFILE: Final = json.dumps({"histogram": "7" * 5_000_000})
"""5 MB. MLflow allows 16 MB (``mlflow.utils.validation.MAX_DATASET_PROFILE_SIZE``)."""
IMAGE: Final = base64.b64encode(secrets.token_bytes(7_000_000)).decode()


def log_profile(run_id: str, profile: str) -> int:
    """Log a dataset with a profile. Returns the length of what is stored."""
    dataset = Dataset(name="big", digest="d1", source_type="local", source="s", profile=profile)
    MlflowClient().log_inputs(run_id, [DatasetInput(dataset=dataset, tags=[])])
    (stored,) = MlflowClient().get_run(run_id).inputs.dataset_inputs
    return len(stored.dataset.profile)


def test_a_dataset_with_a_large_profile(using_sdk: As, cluster: Cluster) -> None:
    """When somebody logs a dataset whose profile has 5 MB, then all of it is stored."""
    alice = using_sdk(token=cluster.people.alice.token, workspace=TEAM_A)
    experiment = alice.run(steps.create_experiment, f"large-{secrets.token_hex(4)}")
    assert alice.run(log_profile, alice.run(steps.create_run, experiment), PROFILE) == len(PROFILE)


def test_a_chat_with_a_large_image_by_the_right_on_one_endpoint(
    server: MlflowServer, cluster: Cluster
) -> None:
    """Given the right on one endpoint, when a chat has an image of 7 MB, then the provider gets all of it."""
    name = f"sees-{secrets.token_hex(4)}"
    token = cluster.plane.service_account(TEAM_A, name)
    rule = {"apiGroups": [GROUP], "resources": ["gatewayendpoints/use"], "verbs": ["create"]}
    with listening() as provider:
        ask = Maker(server, cluster.people.root.token, TEAM_A)
        Studio(ask, TEAM_A, server.database, f"{provider.url}/v1", lambda: name).endpoint_named(name)
        cluster.plane.role(TEAM_A, name, rules=[{**rule, "resourceNames": [name]}])
        cluster.plane.bind(TEAM_A, name, account=(TEAM_A, name), kind="Role")
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}
        chat = {"model": name, "messages": [{"role": "user", "content": [picture]}]}
        small = {"model": name, "messages": [{"role": "user", "content": "hello"}]}
        paths = ("/gateway/mlflow/v1/chat/completions", "/gateway/openai/v1/chat/completions")
        # What the provider makes of it is not the matter here.
        asking = partial(server.ask, "POST", token=token, workspace=TEAM_A)
        until(lambda: asking(paths[0], json_body=small).status != 403)
        provider.take()
        for path in paths:
            answer = asking(path, json_body=chat)
            assert answer.status != 403, answer.text[:300]
            (received,) = provider.take()
            assert IMAGE in received.body.decode()
