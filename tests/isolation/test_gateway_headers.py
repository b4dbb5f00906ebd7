"""What of a caller arrives at the address that the author of a gateway endpoint chose: nothing."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.harness.releases import OLDEST, has
from tests.harness.url_clients import PROGRAMS, clients_programs, outcome
from tests.isolation.listener import Listener, Received, listening
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A
from workspace_authz.catalog.compile import compile_catalog

GATEWAY = "/api/3.0/mlflow/gateway"
PROVIDERS = {"openai": "/tenant/v1", "anthropic": "/v1", "typesafe": "/v1", "databricks": ""}
MESSAGES = "/gateway/anthropic/v1/messages"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
SECRET = "an-identity-that-must-not-leave"
USER_AGENTS = [
    "python-requests/2.32",
    "claude-cli/2.0 (external, cli)",
    "codex_cli_rs/0.5",
    "GeminiCLI/1.0/x",
]

# Route of the gateway, and the provider of the endpoint that it calls.
CALLS = {
    "/gateway/{name}/mlflow/invocations": "openai",
    "/gateway/mlflow/v1/chat/completions": "openai",
    "/gateway/openai/v1/chat/completions": "openai",
    "/gateway/openai/v1/embeddings": "openai",
    "/gateway/typesafe/v1/systemone": "typesafe",
    "/gateway/openai/v1/responses": "openai",
    "/gateway/openai/v1/responses/compact": "openai",
    "/gateway/anthropic/v1/messages": "anthropic",
    "/gateway/gemini/v1beta/models/{name}:generateContent": "databricks",
    "/gateway/gemini/v1beta/models/{name}:streamGenerateContent": "databricks",
    "/gateway/proxy/{name}/chat/completions": "openai",
}
CLAIMS = {
    "X-Forwarded-User": SECRET,
    "X-Forwarded-Email": SECRET,
    "X-Forwarded-Groups": SECRET,
    "X-Forwarded-Client-Cert": SECRET,
    "X-Forwarded-For": SECRET,
    "Forwarded": f"for={SECRET}",
    "X_Forwarded_User": SECRET,
    "X-Auth-Request-Access-Token": SECRET,
    "X-Remote-User": SECRET,
    "Kubeflow-Userid": SECRET,
    "Impersonate-User": SECRET,
    "X-Amzn-Oidc-Data": SECRET,
    "Cf-Access-Jwt-Assertion": SECRET,
    "X-Goog-Iap-Jwt-Assertion": SECRET,
    "Cookie": f"session={SECRET}",
    "X-MLflow-Guardrail-Bypass": "1",
}

KEY_HEADERS: Final = ("X-Api-Key", "X-Goog-Api-Key", "Api-Key")
MESSAGE: Final = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "model",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
"""As Anthropic answers."""

ROUTES: Final = {entry.path: entry.route for entry in compile_catalog().entries}


@dataclass(frozen=True, slots=True)
class Gateway:
    """A server with an endpoint of each provider, all of which lead to one listener."""

    world: World
    provider: Listener
    names: dict[str, str]

    def call(self, route: str, headers: dict[str, str]) -> list[Received]:
        """What arrives at the provider of a call."""
        name = self.names[CALLS[route]]
        document: dict[str, object] = {"messages": [{"role": "user", "content": "?"}]}
        if "invocations" not in route:
            document |= {"model": name, "input": "?", "contents": [], "max_tokens": 1}
        self.provider.take()
        self.world.server.ask(
            "POST",
            route.format(name=name),
            workspace=TEAM_A,
            headers=headers,
            json_body=document,
        )
        return [one for one in self.provider.take() if one.method == "POST"]

    def serves(self, route: str) -> bool:
        """Whether this MLflow has the route."""
        known = ROUTES.get(route)
        return known is None or has(self.world.release, known)


def furnished(world: World, provider: Listener) -> Gateway:
    names = {}
    for kind, base in PROVIDERS.items():
        name = f"{kind}-{secrets.token_hex(4)}"
        secret = world.make(
            f"{GATEWAY}/secrets/create",
            {
                "secret_name": name,
                "secret_value": {"api_key": "the-providers-key"},
                "provider": kind,
                "auth_config": {"api_base": provider.url + base},
            },
        )["secret"]["secret_id"]
        definition = world.make(
            f"{GATEWAY}/model-definitions/create",
            {"name": name, "secret_id": secret, "provider": kind, "model_name": "model"},
        )["model_definition"]["model_definition_id"]
        config = {"model_definition_id": definition, "linkage_type": "PRIMARY", "weight": 1.0}
        world.make(
            f"{GATEWAY}/endpoints/create",
            {"name": name, "model_configs": [config], "usage_tracking": False},
        )
        names[kind] = name
    return Gateway(world, provider, names)


@pytest.fixture(scope="module")
def provider() -> Iterator[Listener]:
    with listening(lambda asked: MESSAGE if asked.path.endswith("/messages") else {}) as listener:
        yield listener


@pytest.fixture(scope="module")
def on_stock(stock: World, provider: Listener) -> Gateway:
    return furnished(stock, provider)


@pytest.fixture(scope="module")
def gateway(guarded: World, provider: Listener) -> Gateway:
    return furnished(guarded, provider)


def test_every_route_that_calls_a_provider_is_looked_at() -> None:
    entries = compile_catalog().entries
    served = {
        entry.path for entry in entries if entry.path.startswith("/gateway/") and entry.method == "POST"
    }
    called = {
        path.replace("{name}", "{endpoint_name}").replace("proxy/{endpoint_name}/chat/completions", "proxy")
        for path in CALLS
    }
    assert {path.replace("/{endpoint_name}/{path:path}", "") for path in served} == called


def test_stock_mlflow_hands_a_callers_token_and_claims_to_the_provider(on_stock: Gateway) -> None:
    token = secrets.token_urlsafe(24)
    (arrived,) = on_stock.call(
        "/gateway/anthropic/v1/messages",
        {"Authorization": f"Bearer {token}", "User-Agent": "claude-cli/2.0", **CLAIMS},
    )
    assert arrived.headers["authorization"] == f"Bearer {token}"
    assert arrived.headers["x-forwarded-user"] == SECRET
    assert SECRET in arrived.headers["cookie"]
    assert arrived.headers["x-mlflow-guardrail-bypass"] == "1"
    (arrived,) = on_stock.call(
        "/gateway/openai/v1/chat/completions", {"X-Forwarded-Access-Token": token, "User-Agent": "x"}
    )
    assert arrived.headers["x-forwarded-access-token"] == token


def ways(token: str) -> Iterator[dict[str, str]]:
    """How a caller may present the token."""
    basic = base64.b64encode(f"alice:{token}".encode()).decode()
    yield {"Authorization": f"Bearer {token}"}
    yield {"Authorization": f"Basic {basic}"}
    yield {"X-Forwarded-Access-Token": token}
    yield {"X-MLflow-Authorization": f"Bearer {token}"}
    for key in KEY_HEADERS:
        yield {key: token}
    yield {"X-Api-Key": token, "Api-Key": f" {token} ", "Authorization": ""}
    for doubled in (f"Bearer {token}", f"Basic {basic}"):
        yield {"X-MLflow-Authorization": f"Bearer {token}", "Authorization": doubled, "X-Api-Key": token}


@pytest.mark.parametrize("user_agent", USER_AGENTS)
@pytest.mark.parametrize("route", CALLS)
def test_neither_token_nor_cookie_nor_claim_arrives(gateway: Gateway, route: str, user_agent: str) -> None:
    token = gateway.world.tokens[TEAM_A]
    for presented in ways(token):
        calls = gateway.call(route, {**presented, **CLAIMS, "User-Agent": user_agent})
        assert bool(calls) is gateway.serves(route)
        for arrived in calls:
            text = repr(arrived)
            assert token not in text
            assert base64.b64encode(f"alice:{token}".encode()).decode() not in text
            assert SECRET not in text
            assert "x-mlflow-guardrail-bypass" not in arrived.headers
            assert "alice" not in text


@pytest.mark.parametrize("user_agent", ["claude-cli/2.0", "codex"])
def test_a_providers_own_key_goes_on_beside_the_callers_token(gateway: Gateway, user_agent: str) -> None:
    mine = {"X-MLflow-Authorization": f"Bearer {gateway.world.tokens[TEAM_A]}", "User-Agent": user_agent}
    (arrived,) = gateway.call("/gateway/anthropic/v1/messages", {**mine, "Authorization": "Bearer provider"})
    assert arrived.headers["authorization"] == "Bearer provider"
    (arrived,) = gateway.call("/gateway/anthropic/v1/messages", mine)
    assert "authorization" not in arrived.headers
    assert arrived.headers["x-api-key"] == "the-providers-key"


@pytest.mark.parametrize("route", CALLS)
def test_beside_the_callers_token_key_headers_reach_the_provider_as_under_stock_mlflow(
    gateway: Gateway, on_stock: Gateway, route: str
) -> None:
    """Given a key of the caller's own for the provider, then this server neither reads nor changes it.

    The stock server is of the newest MLflow; the oldest one passes more of them on.
    """
    keys = {key: f"the-callers-{key.lower()}" for key in KEY_HEADERS}
    token = gateway.world.tokens[TEAM_A]
    if gateway.world.release == OLDEST:
        return
    stock = [call.headers for call in on_stock.call(route, keys)]
    for credential in ({"Authorization": f"Bearer {token}"}, {"X-Forwarded-Access-Token": token}):
        ours = [call.headers for call in gateway.call(route, {**keys, **credential})]
        for name in map(str.lower, KEY_HEADERS):
            assert [headers.get(name) for headers in ours] == [headers.get(name) for headers in stock]


def test_a_key_header_counts_at_the_gateway_only(gateway: Gateway) -> None:
    server, token = gateway.world.server, gateway.world.tokens[TEAM_A]
    for key in KEY_HEADERS:
        answer = server.ask("GET", SEARCH, workspace=TEAM_A, headers={key: token})
        assert answer.status == 401
        asked = {"model": gateway.names["anthropic"], "messages": [], "max_tokens": 1}
        answer = server.ask("POST", MESSAGES, workspace=TEAM_A, headers={key: "nonsense"}, json_body=asked)
        assert answer.status == 401
        assert f"The token was read from {key}." in answer.json["message"]
        assert "nonsense" not in answer.text


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_anthropics_sdk_knows_a_url_and_a_key_only(gateway: Gateway, tmp_path: Path, variable: str) -> None:
    """Given the URL of a workspace and a token as the key, then the message gets there without the token."""
    server, token = gateway.world.server, gateway.world.tokens[TEAM_A]
    url = f"{server.url}/workspaces/{TEAM_A}/gateway/anthropic"
    command = (clients_programs() / "python", PROGRAMS / "anthropic_messages.py", url)
    gateway.provider.take()
    done = outcome(*command, gateway.names["anthropic"], environment={variable: token}, home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    (arrived,) = gateway.provider.take()
    assert (arrived.path, arrived.headers["x-api-key"]) == ("/v1/messages", "the-providers-key")
    assert token not in repr(arrived)
    assert token not in server.process.output
    assert token not in server.audit_file.read_text()


def proxied(gateway: Gateway, path: str) -> tuple[int, list[str]]:
    """The answer to a raw call, and what arrived at the provider.

    MLflow puts the path below ``/tenant``: callers name the version themselves (``proxy_root_url``).
    """
    gateway.provider.take()
    answer = gateway.world.ask("POST", f"/gateway/proxy/{gateway.names['openai']}/{path}", json_body={})
    return answer.status, [one.path for one in gateway.provider.take()]


def test_stock_mlflow_lets_a_caller_leave_the_base_path(on_stock: Gateway) -> None:
    assert proxied(on_stock, "%2e%2e/admin") == (200, ["/admin"])


@pytest.mark.parametrize(
    "path",
    [
        *("%2e%2e/admin", "../admin", "chat/%2e%2e/%2e%2e/admin", "%252e%252e/admin", "%2E./admin"),
        *("..%2fadmin", "..%5cadmin", "./admin", "%2e", "chat/..", "%25252e%25252e%25252fadmin"),
    ],
)
def test_no_dot_segment_leaves_the_base_path(gateway: Gateway, path: str) -> None:
    assert proxied(gateway, path) == (400, [])


def test_other_paths_arrive_as_they_were_sent(gateway: Gateway) -> None:
    for path in ("chat/completions", "files/a..b", "models/m:generate?alt=sse"):
        assert proxied(gateway, path) == (200, [f"/tenant/{path}"])
