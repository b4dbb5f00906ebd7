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
from tests.harness.plane import User
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
class Site:
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
def site(cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
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
            },
        )
        server = stack.enter_context(mlflow_server(state / "server", options))
        yield Site(cluster, account, server, secret_file, gateway)


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


def test_rbac_decides_about_who_is_named_as_about_their_token(site: Site) -> None:
    """Given users by name and by group, then the rights are those that they have with their tokens."""
    people = site.cluster.people
    site.server.skip_records()
    for user, statuses in (
        (people.alice, (200, 403)),
        (people.bob, (200, 403)),  # by a group
        (people.carol, (403, 200)),
        (people.mallory, (403, 403)),
    ):
        assert site.statuses(*named(user), site.proof) == statuses
        assert [record["user"] for record in site.server.records(2)] == [user.name] * 2
        by_token = tuple(site.ask(token=user.token, workspace=name).status for name in (TEAM_A, TEAM_B))
        assert by_token == statuses
        site.server.skip_records()


def test_their_name_is_written_where_mlflow_records_a_person(site: Site) -> None:
    alice = named(site.cluster.people.alice)
    made = site.ask(*alice, site.proof, path=CREATE, json_body={"name": secrets.token_hex(8)})
    assert made.status == 200, made.text
    run = {"experiment_id": made.json["experiment_id"], "user_id": "carol"}
    created = site.ask(*alice, site.proof, path="/api/2.0/mlflow/runs/create", json_body=run)
    tags = {tag["key"]: tag["value"] for tag in created.json["run"]["data"]["tags"]}
    assert (created.json["run"]["info"]["user_id"], tags["mlflow.user"]) == ("alice", "alice")


def test_they_see_their_workspaces(site: Site) -> None:
    answer = site.server.ask("GET", LIST, headers=(*named(site.cluster.people.alice), site.proof))
    by_token = site.server.ask("GET", LIST, token=site.cluster.people.alice.token)
    assert answer.json == by_token.json
    assert TEAM_A in [each["name"] for each in answer.json["workspaces"]]


@pytest.mark.parametrize("audience", [(), ("mlflow",)], ids=["of the API server", "for MLflow only"])
def test_the_token_of_the_proxys_account_is_enough(site: Site, audience: tuple[str, ...]) -> None:
    """As a sidecar has one: a projected token that is rotated by the kubelet."""
    plane, alice = site.cluster.plane, named(site.cluster.people.alice)
    token = plane.account_token("mlflow", GATEWAY, audiences=audience)
    assert site.statuses(*alice, ("X-Proxy-Token", token)) == (200, 403)


def test_the_token_of_another_account_is_not(site: Site) -> None:
    alice = named(site.cluster.people.alice)
    for token in (site.cluster.trainer, site.cluster.people.root.token):
        assert "none of the service accounts" in site.refusal(*alice, ("X-Proxy-Token", token))
    assert "is not accepted" in site.refusal(*alice, ("X-Proxy-Token", site.gateway[:-4] + "AAAA"))
    assert "is not accepted" in site.refusal(("X-Proxy-Token", "invented"), token=site.cluster.trainer)


def test_an_address_is_enough_and_cannot_be_claimed(site: Site) -> None:
    """Given X-Forwarded-For from loopback, which uvicorn believes by default, then it changes nothing."""
    alice = named(site.cluster.people.alice)
    assert from_address(site.server, ADDRESS, *alice) == 200
    assert from_address(site.server, ADDRESS, *named(site.cluster.people.carol)) == 403
    for claim in ("X-Forwarded-For", "X-Real-Ip", "Forwarded"):
        value = f"for={ADDRESS}" if claim == "Forwarded" else ADDRESS
        assert from_address(site.server, "127.0.0.1", *alice, (claim, value)) == 401


def test_a_rotated_secret_counts_without_a_restart(site: Site) -> None:
    alice, old = named(site.cluster.people.alice), site.proof
    assert site.ask(*alice, old).status == 200
    site.secret_file.write_text(f"{secrets.token_hex(32)}\n{old[1]}\n")
    until(lambda: site.ask(*alice, site.proof).status == 200)
    assert site.ask(*alice, old).status == 200
    site.secret_file.write_text(site.proof[1])
    until(lambda: site.ask(*alice, old).status == 401)
    assert site.ask(*alice, site.proof).status == 200


# Beside tokens.


def test_tokens_of_every_kind_work_on_the_same_port(site: Site) -> None:
    for token in (
        site.cluster.people.alice.token,
        site.cluster.trainer,
        site.cluster.plane.account_token(TEAM_A, "trainer", audiences=["mlflow"]),
    ):
        for proof in ((), (site.proof,)):
            answers = [site.ask(*proof, token=token, workspace=name).status for name in (TEAM_A, TEAM_B)]
            assert answers == [200, 403]


def test_a_proxys_word_stands_before_a_token(site: Site) -> None:
    """As kube-apiserver has it. Given a token of carol's that the proxy passes on, then alice is alice."""
    people = site.cluster.people
    site.server.skip_records()
    assert site.ask(*named(people.alice), site.proof, token=people.carol.token).status == 200
    assert site.ask(*named(people.mallory), site.proof, token=people.alice.token).status == 403
    assert [record["user"] for record in site.server.records(2)] == ["alice", "mallory"]


def test_a_service_account_behind_the_proxy_proves_itself_by_its_token(site: Site) -> None:
    trainer = ("X-Remote-User", f"system:serviceaccount:{TEAM_A}:trainer")
    groups = ("X-Remote-Groups", f"system:serviceaccounts|system:serviceaccounts:{TEAM_A}")
    assert site.ask(trainer, groups, site.proof, token=site.cluster.trainer).status == 200
    assert "Kubernetes' own" in site.refusal(trainer, groups, site.proof)
    assert "does not accept this token" in site.refusal(trainer, site.proof, token="invented")


def test_explain_tells_who_is_named(site: Site) -> None:
    asked = {"method": "POST", "path": CREATE, "body": "{}"}
    answer = site.ask(*named(site.cluster.people.bob), site.proof, path=EXPLAIN, json_body=asked)
    assert (answer.json["user"], answer.json["decision"]) == (site.cluster.people.bob.name, "deny")
    assert site.ask(*named(site.cluster.people.bob), path=EXPLAIN, json_body=asked).status == 401


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
def test_a_client_that_names_somebody_is_refused(site: Site, headers: tuple[Header, ...]) -> None:
    """Given a good token beside it, too; and nothing of it is looked at."""
    for token in (None, site.cluster.people.alice.token, site.cluster.people.root.token):
        assert "X" in site.refusal(*headers, token=token)


def test_other_claims_mean_nothing(site: Site) -> None:
    """Given the header of another proxy, from the proxy itself, then it names nobody."""
    for claim in (
        "X-Forwarded-User",
        "Kubeflow-Userid",
        "X-Auth-Request-User",
        "Remote-User",
        "Impersonate-User",
    ):
        assert "carries no Kubernetes token" in site.refusal((claim, "alice"), site.proof)


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
def test_what_a_client_added_to_a_proxys_headers_is_refused(site: Site, more: tuple[Header, ...]) -> None:
    """Given a proxy that passes a client's headers on beside its own, then nobody is let in."""
    site.refusal(("X-Remote-User", "alice"), *more, site.proof)


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
def test_what_is_no_name_is_refused(site: Site, name: str) -> None:
    site.refusal(("X-Remote-User", name), site.proof)


def test_control_characters_do_not_get_as_far(site: Site) -> None:
    """The parser of HTTP refuses them (RFC 9110, 5.5)."""
    host, _, port = site.server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        name, proof = b"al\x00ice", site.proof[1].encode()
        connection.sendall(
            b"GET %s HTTP/1.1\r\nHost: x\r\nX-Remote-User: %s\r\nX-Proxy-Secret: %s\r\n\r\n"
            % (SEARCH.encode(), name, proof)
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_name_reaches_the_api_server_as_it_was_sent(site: Site) -> None:
    """Given a RoleBinding for a name beyond ASCII, then it counts for that name and for none like it."""
    plane, name = site.cluster.plane, "jörg"
    binding = plane.bind(TEAM_B, "mlflow-view", user=name)
    as_sent = ("X-Remote-User", name.encode().decode("latin-1"))
    until(lambda: site.statuses(as_sent, site.proof) == (403, 200))
    decomposed = "jo\u0308rg".encode().decode("latin-1")
    assert site.statuses(("X-Remote-User", decomposed), site.proof) == (403, 403)
    assert site.statuses(("X-Remote-User", "jorg"), site.proof) == (403, 403)
    plane.delete(binding)


def test_as_many_groups_as_are_allowed_count(site: Site) -> None:
    many = tuple(f"group-{number}" for number in range(999))
    assert site.statuses(*named(site.cluster.people.bob, *many), site.proof) == (200, 403)


def test_a_binding_that_is_taken_away_counts_at_once(site: Site) -> None:
    plane, dora = site.cluster.plane, named(site.cluster.people.dora)
    assert site.statuses(*dora, site.proof) == (403, 403)
    binding = plane.bind(TEAM_A, "mlflow-view", user=site.cluster.people.dora.name)
    until(lambda: site.statuses(*dora, site.proof) == (200, 403))
    plane.delete(binding)
    until(lambda: site.statuses(*dora, site.proof) == (403, 403))


def test_no_proof_is_written_anywhere(site: Site) -> None:
    site.ask(*named(site.cluster.people.alice), site.proof)
    site.ask(*named(site.cluster.people.alice), ("X-Proxy-Token", site.gateway))
    site.server.skip_records()
    written = site.server.process.output + site.server.audit_file.read_text()
    assert site.proof[1] not in written
    assert site.gateway.rpartition(".")[2] not in written


def test_nothing_of_it_reaches_what_a_tenants_endpoint_calls(site: Site) -> None:
    """Given MLflow's AI gateway, which hands headers on, then the provider sees neither name nor proof."""
    alice = (*named(site.cluster.people.alice, "readers"), site.proof)
    chat = {"messages": [{"role": "user", "content": "hello"}]}
    token = site.cluster.people.carol.token

    def ask(method: str, path: str, *, json_body: object = None, **_: object) -> Answer:
        return site.server.ask(method, path, headers=alice, workspace=TEAM_A, json_body=json_body)

    with model_provider() as provider:
        endpoint = Studio(ask, TEAM_A, site.server.database, provider.url).endpoint_name
        for path in (
            f"/gateway/{endpoint}/mlflow/invocations",
            f"/gateway/proxy/{endpoint}/chat/completions",
        ):
            for more in ((), (("X-Harmless", "kept"), ("X-Proxy-Token", site.gateway))):
                answer = site.ask(*alice, *more, path=path, json_body=chat, token=token)
                assert answer.status == 200, answer.text
    assert len(provider.calls) == 4
    for path, headers in provider.calls:
        seen = str(headers)
        for secret in ("alice", "readers", site.proof[1], site.gateway, token, "x-remote", "x-proxy"):
            assert secret not in seen, path
        assert headers["authorization"] == "Bearer sk-nothing"


# A real proxy.


@pytest.fixture(scope="module")
def browsers(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    """oauth2-proxy, which names who is logged in and shows the secret, and people's browsers at it."""
    people, state = site.cluster.people, tmp_path_factory.mktemp("naming-proxy")
    headers = {
        "X-Remote-User": {"claimSource": {"claim": "preferred_username"}},
        "X-Remote-Groups": {"claimSource": {"claim": "groups"}},
        "X-Proxy-Secret": {"secretSource": {"fromFile": str(site.secret_file)}},
    }
    with ExitStack() as stack:
        provider = stack.enter_context(
            oidc_provider({each.name: "unused" for each in (people.alice, people.carol)})
        )
        proxy = stack.enter_context(
            oauth_proxy(state, provider=provider, upstream=site.server.url, inject=headers)
        )
        yield {name: stack.enter_context(proxy.person(name)) for name in ("alice", "carol")}


def test_who_logs_in_at_a_real_proxy_works_under_their_own_name(
    site: Site, browsers: dict[str, Browser]
) -> None:
    site.server.skip_records()
    statuses = [
        browsers[name].ask("GET", SEARCH, workspace=workspace).status
        for name, workspace in (("alice", TEAM_A), ("carol", TEAM_A), ("carol", TEAM_B), ("alice", TEAM_B))
    ]
    assert statuses == [200, 403, 200, 403]
    assert [record["user"] for record in site.server.records(4)] == ["alice", "carol", "carol", "alice"]


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
def test_nobody_becomes_another_through_it(site: Site, browsers: dict[str, Browser], header: Header) -> None:
    """Given alice's session and a header of hers that would name carol, then she is alice, or refused."""
    site.server.skip_records()
    answer = browsers["alice"].ask("GET", SEARCH, workspace=TEAM_B, headers=[header])
    record = site.server.records(1)[0]
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
