"""A proxy that proves who it is names the caller, beside tokens on the same port. Nobody else names anybody.

The server knows its proxy by a secret, by a service account and by an address. People of the cluster are
named as their tokens name them, so that the same RoleBindings must decide.
"""

from __future__ import annotations

import http.client
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.harness.forked import mlflow_command
from tests.harness.http import Answer
from tests.harness.oauth_proxy import Browser, oauth_proxy
from tests.harness.oidc import oidc_provider
from tests.harness.plane import RBAC, REAL, User
from tests.harness.processes import ROOT, clean_environment, free_port
from tests.harness.provider import model_provider
from tests.harness.server import WORKSPACE, MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.own_account import OwnAccount, own_account
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.studio import Studio
from tests.scenarios.tracking_studio import ENVIRONMENT
from tests.scenarios.waiting import until

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
CREATE = "/api/2.0/mlflow/experiments/create"
LIST = "/api/3.0/mlflow/workspaces"
EXPLAIN = "/workspace-authz/explain"
ADDRESS = "127.0.0.9"
"""From which a proxy comes. Everybody else here comes from 127.0.0.1."""
GATEWAY = "gateway"
Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Proxied:
    """A server, and what its proxies prove themselves by."""

    cluster: Cluster
    account: OwnAccount
    server: MlflowServer
    secret_file: Path
    gateway: str = field(repr=False)
    """The token of the proxy's service account."""

    @property
    def proof(self) -> Header:
        """The proxy's secret as it is now."""
        return "X-Proxy-Secret", self.secret_file.read_text().split()[0]

    def ask(
        self,
        *headers: Header,
        path: str = SEARCH,
        workspace: str = TEAM_A,
        token: str | None = None,
        json_body: object = None,
    ) -> Answer:
        method = "GET" if json_body is None else "POST"
        return self.server.ask(
            method, path, headers=headers, workspace=workspace, token=token, json_body=json_body
        )

    def statuses(self, *headers: Header) -> tuple[int, int]:
        """In the workspace of alice and in that of carol."""
        own, foreign = (self.ask(*headers, workspace=name).status for name in (TEAM_A, TEAM_B))
        return own, foreign

    def refusal(self, *headers: Header, token: str | None = None) -> str:
        """What is said to somebody who is not authenticated."""
        answer = self.ask(*headers, token=token)
        assert answer.status == 401, answer.text
        assert answer.json["error_code"] == "UNAUTHENTICATED"
        return str(answer.json["message"])


@pytest.fixture(scope="module")
def proxied(cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    plane, state = cluster.plane, tmp_path_factory.mktemp("proxy-headers")
    secret_file = state / "secret"
    secret_file.write_text(secrets.token_hex(32))
    gateway = plane.service_account("mlflow", GATEWAY)
    with ExitStack() as stack:
        account = stack.enter_context(own_account(plane, "mlflow-behind-a-proxy", state=state))
        options = ServerOptions(
            kubeconfig=account.kubeconfig,
            database=database,
            arguments=("--uvicorn-opts", "--no-proxy-headers"),
            environment={
                **ENVIRONMENT,
                "MLFLOW_K8S_AUTH_AUTHORIZATION_MODE": "subject_access_review",
                "WORKSPACE_AUTHZ_PROXY_SECRET_FILE": str(secret_file),
                "WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS": f"mlflow/{GATEWAY}",
                "WORKSPACE_AUTHZ_PROXY_ADDRESSES": ADDRESS,
                "WORKSPACE_AUTHZ_AUDIENCES": "mlflow",
                "WORKSPACE_AUTHZ_IMPERSONATE_FOR_GRANTS": "true",
            },
        )
        server = stack.enter_context(mlflow_server(state / "server", options))
        yield Proxied(cluster, account, server, secret_file, gateway)


def named(user: User, *more: str) -> tuple[Header, ...]:
    """As kube-rbac-proxy and the plugin spell it."""
    groups = "|".join((*user.groups, *more))
    return ("X-Remote-User", user.name), *((("X-Remote-Groups", groups),) if groups else ())


def from_address(server: MlflowServer, address: str, *headers: Header) -> int:
    """The status of a search that is sent from ``address``."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=60, source_address=(address, 0)
    )
    with closing(connection):
        connection.request("GET", SEARCH, headers={WORKSPACE: TEAM_A, **dict(headers)})
        return connection.getresponse().status


# Who is believed.


def test_rbac_decides_about_who_is_named_as_about_their_token(proxied: Proxied) -> None:
    """Given users by name and by group, then the rights are those that they have with their tokens."""
    people = proxied.cluster.people
    proxied.server.skip_records()
    for user, statuses in (
        (people.alice, (200, 403)),
        (people.bob, (200, 403)),  # by a group
        (people.carol, (403, 200)),
        (people.mallory, (403, 403)),
    ):
        assert proxied.statuses(*named(user), proxied.proof) == statuses
        assert [record["user"] for record in proxied.server.records(2)] == [user.name] * 2
        by_token = tuple(proxied.ask(token=user.token, workspace=name).status for name in (TEAM_A, TEAM_B))
        assert by_token == statuses
        proxied.server.skip_records()


def test_their_name_is_written_where_mlflow_records_a_person(proxied: Proxied) -> None:
    alice = named(proxied.cluster.people.alice)
    made = proxied.ask(*alice, proxied.proof, path=CREATE, json_body={"name": secrets.token_hex(8)})
    assert made.status == 200, made.text
    run = {"experiment_id": made.json["experiment_id"], "user_id": "carol"}
    created = proxied.ask(*alice, proxied.proof, path="/api/2.0/mlflow/runs/create", json_body=run)
    tags = {tag["key"]: tag["value"] for tag in created.json["run"]["data"]["tags"]}
    assert (created.json["run"]["info"]["user_id"], tags["mlflow.user"]) == ("alice", "alice")


def test_they_see_their_workspaces(proxied: Proxied) -> None:
    answer = proxied.server.ask("GET", LIST, headers=(*named(proxied.cluster.people.alice), proxied.proof))
    by_token = proxied.server.ask("GET", LIST, token=proxied.cluster.people.alice.token)
    assert answer.json == by_token.json
    assert TEAM_A in [each["name"] for each in answer.json["workspaces"]]


@pytest.mark.parametrize("audience", [(), ("mlflow",)], ids=["of the API server", "for MLflow only"])
def test_the_token_of_the_proxys_account_is_enough(proxied: Proxied, audience: tuple[str, ...]) -> None:
    """As a sidecar has one: a projected token that is rotated by the kubelet."""
    plane, alice = proxied.cluster.plane, named(proxied.cluster.people.alice)
    token = plane.account_token("mlflow", GATEWAY, audiences=audience)
    assert proxied.statuses(*alice, ("X-Proxy-Token", token)) == (200, 403)


def test_the_token_of_another_account_is_not(proxied: Proxied) -> None:
    alice = named(proxied.cluster.people.alice)
    for token in (proxied.cluster.trainer, proxied.cluster.people.root.token):
        assert "none of the service accounts" in proxied.refusal(*alice, ("X-Proxy-Token", token))
    assert "is not accepted" in proxied.refusal(*alice, ("X-Proxy-Token", proxied.gateway[:-4] + "AAAA"))
    assert "is not accepted" in proxied.refusal(("X-Proxy-Token", "invented"), token=proxied.cluster.trainer)


def test_an_address_is_enough_and_cannot_be_claimed(proxied: Proxied) -> None:
    """Given X-Forwarded-For from loopback, which uvicorn believes by default, then it changes nothing."""
    alice = named(proxied.cluster.people.alice)
    assert from_address(proxied.server, ADDRESS, *alice) == 200
    assert from_address(proxied.server, ADDRESS, *named(proxied.cluster.people.carol)) == 403
    for claim in ("X-Forwarded-For", "X-Real-Ip", "Forwarded"):
        value = f"for={ADDRESS}" if claim == "Forwarded" else ADDRESS
        assert from_address(proxied.server, "127.0.0.1", *alice, (claim, value)) == 401


def test_a_rotated_secret_counts_without_a_restart(proxied: Proxied) -> None:
    alice, old = named(proxied.cluster.people.alice), proxied.proof
    assert proxied.ask(*alice, old).status == 200
    proxied.secret_file.write_text(f"{secrets.token_hex(32)}\n{old[1]}\n")
    until(lambda: proxied.ask(*alice, proxied.proof).status == 200)
    assert proxied.ask(*alice, old).status == 200
    proxied.secret_file.write_text(proxied.proof[1])
    until(lambda: proxied.ask(*alice, old).status == 401)
    assert proxied.ask(*alice, proxied.proof).status == 200


# Beside tokens.


def test_tokens_of_every_kind_work_on_the_same_port(proxied: Proxied) -> None:
    for token in (
        proxied.cluster.people.alice.token,
        proxied.cluster.trainer,
        proxied.cluster.plane.account_token(TEAM_A, "trainer", audiences=["mlflow"]),
    ):
        for proof in ((), (proxied.proof,)):
            answers = [proxied.ask(*proof, token=token, workspace=name).status for name in (TEAM_A, TEAM_B)]
            assert answers == [200, 403]


def test_a_proxys_word_stands_before_a_token(proxied: Proxied) -> None:
    """As kube-apiserver has it. Given a token of carol's that the proxy passes on, then alice is alice."""
    people = proxied.cluster.people
    proxied.server.skip_records()
    assert proxied.ask(*named(people.alice), proxied.proof, token=people.carol.token).status == 200
    assert proxied.ask(*named(people.mallory), proxied.proof, token=people.alice.token).status == 403
    assert [record["user"] for record in proxied.server.records(2)] == ["alice", "mallory"]


def test_a_service_account_behind_the_proxy_proves_itself_by_its_token(proxied: Proxied) -> None:
    trainer = ("X-Remote-User", f"system:serviceaccount:{TEAM_A}:trainer")
    groups = ("X-Remote-Groups", f"system:serviceaccounts|system:serviceaccounts:{TEAM_A}")
    assert proxied.ask(trainer, groups, proxied.proof, token=proxied.cluster.trainer).status == 200
    assert "Kubernetes' own" in proxied.refusal(trainer, groups, proxied.proof)
    assert "does not accept this token" in proxied.refusal(trainer, proxied.proof, token="invented")


def test_explain_tells_who_is_named(proxied: Proxied) -> None:
    asked = {"method": "POST", "path": CREATE, "body": "{}"}
    answer = proxied.ask(*named(proxied.cluster.people.bob), proxied.proof, path=EXPLAIN, json_body=asked)
    assert (answer.json["user"], answer.json["decision"]) == (proxied.cluster.people.bob.name, "deny")
    assert proxied.ask(*named(proxied.cluster.people.bob), path=EXPLAIN, json_body=asked).status == 401


# Who is not.


@pytest.mark.parametrize(
    "headers",
    [
        (("X-Remote-User", "alice"),),
        (("X-Remote-Groups", "system:masters"),),
        (("X_Remote_User", "alice"),),
        (("x-remote_user", "alice"),),
        (("X-Remote-User", "alice"), ("X-Proxy-Secret", "")),
        (("X-Remote-User", "alice"), ("X-Proxy-Secret", "0" * 64)),
        (("X-Remote-User", "alice"), ("X-Proxy-Token", "")),
        (("X_Proxy_Secret", "0" * 64),),
    ],
)
def test_a_client_that_names_somebody_is_refused(proxied: Proxied, headers: tuple[Header, ...]) -> None:
    """Given a good token beside it, too; and nothing of it is looked at."""
    for token in (None, proxied.cluster.people.alice.token, proxied.cluster.people.root.token):
        assert "X" in proxied.refusal(*headers, token=token)


def test_other_claims_mean_nothing(proxied: Proxied) -> None:
    """Given the header of another proxy, from the proxy itself, then it names nobody."""
    for claim in (
        "X-Forwarded-User",
        "Kubeflow-Userid",
        "X-Auth-Request-User",
        "Remote-User",
        "Impersonate-User",
    ):
        assert "carries no Kubernetes token" in proxied.refusal((claim, "alice"), proxied.proof)


@pytest.mark.parametrize(
    "more",
    [
        (("X-Remote-User", "mallory"),),
        (("X-Remote-User", "alice"),),
        (("X_Remote_User", "mallory"),),
        (("X_REMOTE-USER", "mallory"),),
        (("X_Remote_Groups", "system:masters"),),
        (("X-Remote-Groups", "a"), ("X-Remote-Groups", "b")),
        (("X-Remote-Groups", "admins, a"),),
        (("X-Remote-Groups", "system:masters"),),
        (("X-Remote-Groups", "a|system:masters"),),
        (("X-Remote-Groups", "|".join(f"g{number}" for number in range(10_000))),),
        (("X-Remote-Groups", "g" * 2000),),
        (("X-Remote-Groups", "\xff"),),
        (("X_Proxy_Secret", "0" * 64),),
        (("X-Proxy-Secret", "0" * 64),),
    ],
    ids=lambda more: more[0][0] + " " + more[0][1][:20],
)
def test_what_a_client_added_to_a_proxys_headers_is_refused(
    proxied: Proxied, more: tuple[Header, ...]
) -> None:
    """Given a proxy that passes a client's headers on beside its own, then nobody is let in."""
    proxied.refusal(("X-Remote-User", "alice"), *more, proxied.proof)


@pytest.mark.parametrize(
    "name",
    [
        "system:masters",
        "system:admin",
        "system:anonymous",
        "mallory, alice",
        "a" * 2000,
        "\xff\xfe",
        "al\x85ice",
    ],
)
def test_what_is_no_name_is_refused(proxied: Proxied, name: str) -> None:
    proxied.refusal(("X-Remote-User", name), proxied.proof)


def test_control_characters_do_not_get_as_far(proxied: Proxied) -> None:
    """The parser of HTTP refuses them (RFC 9110, 5.5)."""
    host, _, port = proxied.server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        name, proof = b"al\x00ice", proxied.proof[1].encode()
        connection.sendall(
            b"GET %s HTTP/1.1\r\nHost: x\r\nX-Remote-User: %s\r\nX-Proxy-Secret: %s\r\n\r\n"
            % (SEARCH.encode(), name, proof)
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_name_reaches_the_api_server_as_it_was_sent(proxied: Proxied) -> None:
    """Given a RoleBinding for a name beyond ASCII, then it counts for that name and for none like it."""
    plane, name = proxied.cluster.plane, "jörg"
    binding = plane.bind(TEAM_B, "mlflow-view", user=name)
    as_sent = ("X-Remote-User", name.encode().decode("latin-1"))
    until(lambda: proxied.statuses(as_sent, proxied.proof) == (403, 200))
    decomposed = "jo\u0308rg".encode().decode("latin-1")
    assert proxied.statuses(("X-Remote-User", decomposed), proxied.proof) == (403, 403)
    assert proxied.statuses(("X-Remote-User", "jorg"), proxied.proof) == (403, 403)
    plane.delete(binding)


def test_as_many_groups_as_are_allowed_count(proxied: Proxied) -> None:
    many = tuple(f"group-{number}" for number in range(999))
    assert proxied.statuses(*named(proxied.cluster.people.bob, *many), proxied.proof) == (200, 403)


def test_a_binding_that_is_taken_away_counts_at_once(proxied: Proxied) -> None:
    plane, dora = proxied.cluster.plane, named(proxied.cluster.people.dora)
    assert proxied.statuses(*dora, proxied.proof) == (403, 403)
    binding = plane.bind(TEAM_A, "mlflow-view", user=proxied.cluster.people.dora.name)
    until(lambda: proxied.statuses(*dora, proxied.proof) == (200, 403))
    plane.delete(binding)
    until(lambda: proxied.statuses(*dora, proxied.proof) == (403, 403))


def test_no_proof_is_written_anywhere(proxied: Proxied) -> None:
    proxied.ask(*named(proxied.cluster.people.alice), proxied.proof)
    proxied.ask(*named(proxied.cluster.people.alice), ("X-Proxy-Token", proxied.gateway))
    proxied.server.skip_records()
    written = proxied.server.process.output + proxied.server.audit_file.read_text()
    assert proxied.proof[1] not in written
    assert proxied.gateway.rpartition(".")[2] not in written


def test_nothing_of_it_reaches_what_a_tenants_endpoint_calls(proxied: Proxied) -> None:
    """Given MLflow's AI gateway, which hands headers on, then the provider sees neither name nor proof."""
    alice = (*named(proxied.cluster.people.alice, "readers"), proxied.proof)
    chat = {"messages": [{"role": "user", "content": "hello"}]}
    token = proxied.cluster.people.carol.token

    def ask(method: str, path: str, *, json_body: object = None, **_: object) -> Answer:
        return proxied.server.ask(method, path, headers=alice, workspace=TEAM_A, json_body=json_body)

    with model_provider() as provider:
        endpoint = Studio(ask, TEAM_A, proxied.server.database, provider.url).endpoint_name
        for path in (
            f"/gateway/{endpoint}/mlflow/invocations",
            f"/gateway/proxy/{endpoint}/chat/completions",
        ):
            for more in ((), (("X-Harmless", "kept"), ("X-Proxy-Token", proxied.gateway))):
                answer = proxied.ask(*alice, *more, path=path, json_body=chat, token=token)
                assert answer.status == 200, answer.text
    assert len(provider.calls) == 4
    for path, headers in provider.calls:
        seen = str(headers)
        for secret in ("alice", "readers", proxied.proof[1], proxied.gateway, token, "x-remote", "x-proxy"):
            assert secret not in seen, path
        assert headers["authorization"] == "Bearer sk-nothing"


# A real proxy.


@pytest.fixture(scope="module")
def browsers(proxied: Proxied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    """oauth2-proxy, which names who is logged in and shows the secret, and people's browsers at it."""
    people, state = proxied.cluster.people, tmp_path_factory.mktemp("naming-proxy")
    headers = {
        "X-Remote-User": {"claimSource": {"claim": "preferred_username"}},
        "X-Remote-Groups": {"claimSource": {"claim": "groups"}},
        "X-Proxy-Secret": {"secretSource": {"fromFile": str(proxied.secret_file)}},
    }
    with ExitStack() as stack:
        provider = stack.enter_context(
            oidc_provider({each.name: "unused" for each in (people.alice, people.carol)})
        )
        proxy = stack.enter_context(
            oauth_proxy(state, provider=provider, upstream=proxied.server.url, inject=headers)
        )
        yield {name: stack.enter_context(proxy.person(name)) for name in ("alice", "carol")}


def test_who_logs_in_at_a_real_proxy_works_under_their_own_name(
    proxied: Proxied, browsers: dict[str, Browser]
) -> None:
    proxied.server.skip_records()
    statuses = [
        browsers[name].ask("GET", SEARCH, workspace=workspace).status
        for name, workspace in (("alice", TEAM_A), ("carol", TEAM_A), ("carol", TEAM_B), ("alice", TEAM_B))
    ]
    assert statuses == [200, 403, 200, 403]
    assert [record["user"] for record in proxied.server.records(4)] == ["alice", "carol", "carol", "alice"]


@pytest.mark.parametrize(
    "header",
    [
        ("X-Remote-User", "carol"),
        ("X_Remote_User", "carol"),
        ("x-remote-Groups", "system:masters"),
        ("X_Remote_Groups", "system:masters"),
        ("X-Proxy-Secret", "0" * 64),
        ("X-Proxy-Token", "invented"),
        ("Authorization", "Bearer of-carol"),
    ],
)
def test_nobody_becomes_another_through_it(
    proxied: Proxied, browsers: dict[str, Browser], header: Header
) -> None:
    """Given alice's session and a header of hers that would name carol, then she is alice, or refused."""
    proxied.server.skip_records()
    answer = browsers["alice"].ask("GET", SEARCH, workspace=TEAM_B, headers=[header])
    record = proxied.server.records(1)[0]
    assert answer.status in (401, 403), answer.text
    assert record["user"] == (None if answer.status == 401 else "alice")


# The start.


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"MLFLOW_K8S_AUTH_AUTHORIZATION_MODE": "subject_access_review"},
            "set one of WORKSPACE_AUTHZ_PROXY_SECRET_FILE, WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS and "
            "WORKSPACE_AUTHZ_PROXY_ADDRESSES",
        ),
        ({"WORKSPACE_AUTHZ_PROXY_ADDRESSES": ADDRESS}, "start with --uvicorn-opts=--no-proxy-headers"),
        ({"WORKSPACE_AUTHZ_PROXY_SECRET_FILE": "/nowhere"}, "PROXY_SECRET_FILE cannot be read: No such file"),
        (
            {"WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS": f"mlflow/{GATEWAY}"},
            "which WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS needs: run `kubectl create clusterrolebinding "
            "mlflow-server-reviews",
        ),
    ],
)
def test_what_is_missing_stops_the_start_in_one_sentence(
    cluster: Cluster, database: Path, tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig, database=database, environment=environment
    )
    options.prepare(tmp_path)
    variables = {**clean_environment(), **options.variables(tmp_path), "PYTHONPATH": str(ROOT)}
    arguments = [str(part) for part in options.command(tmp_path, free_port())[1:]]
    ended = mlflow_command(arguments, environment=variables, directory=tmp_path)
    assert ended.status not in (0, None), ended.output
    (complaint,) = (line for line in ended.output.splitlines() if line.startswith("Error:"))
    assert said in complaint
    assert "Traceback" not in ended.output


# What they grant. The embedded engine has no impersonation.

GRANT = "/ajax-api/3.0/mlflow/users/permissions/grant"
REVOKE = "/ajax-api/3.0/mlflow/users/permissions/revoke"

ACTING_NAME = "mlflow-server-acts-for-people"
ACTING: dict[str, object] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "metadata": {"name": ACTING_NAME},
}
_ON_RBAC = [f"impersonate-on:user-info:{verb}" for verb in ("get", "list", "create", "update", "delete")]
ACTING_RULES = [
    {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["users"],
        "resourceNames": ["carol"],
        "verbs": ["impersonate:user-info"],
    },
    {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles", "rolebindings"],
        "verbs": [
            f"impersonate-on:user-info:{verb}" for verb in ("get", "list", "create", "update", "delete")
        ],
    },
]


@pytest.mark.parametrize("engine", [REAL], indirect=True)
def test_the_server_grants_as_them_if_an_administrator_lets_it(proxied: Proxied) -> None:
    plane, carol = proxied.cluster.plane, (*named(proxied.cluster.people.carol), proxied.proof)
    # Given carol, who administers team-b and is known by name only
    name = f"fraud {secrets.token_hex(8)}"
    made = proxied.ask(*carol, path=CREATE, workspace=TEAM_B, json_body={"name": name})
    wanted = {
        "username": "dora",
        "resource_type": "experiment",
        "resource_id": made.json["experiment_id"],
        "permission": "READ",
    }

    def grant(*who: Header) -> Answer:
        return proxied.ask(*who, path=GRANT, workspace=TEAM_B, json_body=wanted)

    # When she grants and the server's account may not act as her
    refused = grant(*carol)
    # Then she is told that it is not her fault
    assert (refused.status, refused.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "its account may not" in refused.json["message"]
    # When an administrator of the cluster lets it act as her, on Roles and RoleBindings alone
    plane.make(f"{RBAC}/clusterroles", {**ACTING, "kind": "ClusterRole", "rules": ACTING_RULES})
    proxied.account.bind(ACTING_NAME)
    until(lambda: grant(*carol).status == 200)
    # Then dora sees the experiment, by an object that Kubernetes let carol write
    dora = proxied.cluster.people.dora
    path = f"/api/2.0/mlflow/experiments/get?experiment_id={wanted['resource_id']}"
    until(lambda: proxied.server.ask("GET", path, token=dora.token, workspace=TEAM_B).status == 200)
    # And who may not grant is refused as ever, and nobody of Kubernetes' own is acted for
    for user in (proxied.cluster.people.alice, proxied.cluster.people.mallory):
        assert grant(*named(user), proxied.proof).status == 403
    # When she takes it back, it is gone
    taken = proxied.ask(*carol, path=REVOKE, workspace=TEAM_B, json_body=wanted)
    assert taken.status == 200, taken.text
    until(lambda: proxied.server.ask("GET", path, token=dora.token, workspace=TEAM_B).status == 403)
    proxied.account.unbind(ACTING_NAME)
