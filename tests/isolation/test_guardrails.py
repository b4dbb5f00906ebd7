"""Nobody gets past a guardrail, and one that asks MLflow itself works: as its caller, inside the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.server.gateway_api import _get_guardrails_and_auth
from starlette.requests import Request

from tests.harness.plane import GROUP
from tests.harness.server import ServerOptions, mlflow_server
from tests.isolation.conftest import ENVIRONMENT
from tests.isolation.listener import Listener, listening
from tests.isolation.moderation import REDACTED, SECRET, Models, Moderated, endpoint, moderated
from tests.isolation.world import DEFAULT, World
from tests.operations.secret import SecretMount
from tests.scenarios.people import TEAM_A, Cluster
from workspace_authz.devplane.pki import create_pki

BYPASS = "X-MLflow-Guardrail-Bypass"


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def provider(models: Models) -> Iterator[Listener]:
    with listening(models) as listener:
        yield listener


@pytest.fixture
def on_stock(stock: World, provider: Listener, models: Models) -> Moderated:
    # In no other workspace does a guardrail that rewrites work on stock MLflow: see below.
    return moderated(stock, provider, models, workspace=DEFAULT)


@pytest.fixture
def scene(guarded: World, provider: Listener, models: Models) -> Moderated:
    return moderated(guarded, provider, models)


def counted(scene: Moderated) -> dict[str, int]:
    return {model: len(asked) for model, asked in scene.heard().items()}


class Guardless:
    """A store, and an endpoint, whose guardrails nobody must look for."""

    endpoint_id = "e"

    def list_endpoint_guardrail_configs(self, _: str) -> object:
        raise LookupError


def test_stock_mlflow_runs_no_guardrail_for_a_header_that_anybody_could_send() -> None:
    lower, spelt = (BYPASS.lower().encode(), b"1"), (BYPASS.encode(), b"1")
    scope = {"type": "http", "headers": [lower, spelt]}
    assert _get_guardrails_and_auth(Guardless(), Guardless(), Request(scope)) == ([], {})
    # uvicorn leaves only the lower case of it, which hides a caller's header, and MLflow's own, from MLflow.
    with pytest.raises(LookupError):
        _get_guardrails_and_auth(Guardless(), Guardless(), Request(scope | {"headers": [lower, lower]}))


def test_stock_mlflow_runs_a_guardrail_on_the_guardrails_own_call(on_stock: Moderated) -> None:
    """Without end, if this judge were not tired after three times."""
    on_stock.guard_too("writer")
    assert on_stock.ask().status == 200
    assert counted(on_stock) == {"judge": 4, "writer": 3, "talker": 1}


def test_stock_mlflow_calls_itself_where_the_caller_says(on_stock: Moderated, models: Models) -> None:
    with listening(models) as elsewhere:
        host = elsewhere.url.removeprefix("http://")
        on_stock.ask(headers={"Host": host, "Authorization": "Bearer a-callers-own"})
        judged, rewritten = elsewhere.take()
    assert SECRET in judged.body.decode()
    assert SECRET in rewritten.body.decode()
    assert rewritten.headers["authorization"] == "Bearer a-callers-own"


def test_stock_mlflow_has_another_workspaces_endpoint_rewrite(
    stock: World, provider: Listener, models: Models
) -> None:
    """Its call names no workspace: whoever has one of the name in ``default`` reads what is secret here."""
    scene = moderated(stock, provider, models)
    with listening() as foreign:
        endpoint(stock, scene.names["writer"], foreign, workspace=DEFAULT)
        scene.ask()
        (arrived,) = foreign.take()
    assert SECRET in arrived.body.decode()


def test_a_guardrail_rewrites_and_is_not_run_on_its_own_call(scene: Moderated) -> None:
    scene.guard_too("writer")
    answer = scene.ask()
    assert answer.status == 200, answer.text
    heard = scene.heard()
    assert {model: len(asked) for model, asked in heard.items()} == {"judge": 1, "writer": 1, "talker": 1}
    said = heard["talker"][0].json["messages"][-1]["content"]
    assert SECRET not in said
    assert REDACTED in said
    for asked in heard.values():
        text = repr(asked)
        assert scene.world.tokens[TEAM_A] not in text
        assert BYPASS.lower() not in text.lower()
        assert asked[0].headers["authorization"] == "Bearer the-providers-key"
    for model, found in scene.traced().items():
        # Each is a call of its own, in the experiment of its endpoint.
        (trace,) = found.json["traces"]
        assert trace["trace_metadata"]["mlflow.auth.username"] == "alice", model
    kept = scene.world.server.state
    for file in (kept / "mlflow.db", kept / "mlflow.log", scene.world.server.audit_file):
        assert scene.world.tokens[TEAM_A].encode() not in file.read_bytes()


@pytest.mark.parametrize("name", [BYPASS, BYPASS.lower(), BYPASS.replace("-", "_"), BYPASS.upper()])
def test_no_header_switches_it_off(scene: Moderated, name: str) -> None:
    assert scene.ask(headers=[(name, "1"), (name, "1")]).status == 200
    assert REDACTED in str(scene.heard()["talker"][0].json)


def test_its_calls_go_neither_where_the_caller_says_nor_to_another_workspace(scene: Moderated) -> None:
    with listening() as elsewhere:
        endpoint(scene.world, scene.names["writer"], elsewhere, workspace=DEFAULT)
        for host in (elsewhere.url.removeprefix("http://"), "localhost:1"):
            assert scene.ask(headers={"Host": host}).status == 200
        assert elsewhere.take() == []


def test_a_judge_that_would_be_judged_itself_is_refused(scene: Moderated) -> None:
    scene.guard_too("judge")
    answer = scene.ask()
    assert answer.status >= 400
    assert "no guardrails of their own" in answer.text
    assert counted(scene) == {"judge": 0, "writer": 0, "talker": 0}


@pytest.mark.parametrize("missing", ["judge", "writer"])
def test_a_caller_needs_the_right_to_use_what_the_guardrail_uses(
    scene: Moderated, cluster: Cluster, missing: str
) -> None:
    plane, dora = cluster.plane, cluster.people.dora
    usable = [scene.names[model] for model in ("judge", "writer", "talker") if model != missing]
    rule = {"apiGroups": [GROUP], "resources": ["gatewayendpoints/use"], "verbs": ["create"]}
    plane.role(TEAM_A, usable[0], rules=[rule | {"resourceNames": usable}])
    bound = plane.bind(TEAM_A, usable[0], user=dora.name, kind="Role")
    try:
        scene.world.server.skip_records()
        answer = scene.ask(token=dora.token)
        assert answer.status >= 400
        assert "that you may not use" in answer.text
        assert scene.names[missing] not in answer.text
        assert counted(scene)["talker"] == 0
        own = [record for record in scene.world.server.records(2) if record.get("self_call")]
        assert own[-1]["user"] == dora.name
        assert own[-1]["decision"] == "deny"
        assert scene.names[missing] in own[-1]["reason"]
    finally:
        plane.delete(bound)


def test_it_works_by_tls_below_a_prefix_on_whichever_worker(
    cluster: Cluster, provider: Listener, models: Models, tmp_path: Path
) -> None:
    mount = SecretMount(tmp_path / "tls")
    mount.put(create_pki(tmp_path / "pki"))
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        workers=2,
        prefix="/mlflow",
        root_path="/outside",
        certificate=(mount.certificate, mount.key),
        environment=ENVIRONMENT,
    )
    with mlflow_server(tmp_path / "far", options) as server:
        scene = moderated(World(server, {TEAM_A: cluster.people.alice.token}), provider, models)
        answer = scene.ask()
        assert answer.status == 200, answer.text
        assert REDACTED in str(scene.heard()["talker"][0].json)
