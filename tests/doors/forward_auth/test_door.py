"""The door for proxies, over a pipeline whose Kubernetes and MLflow are stand-ins."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network

import pytest

from tests.doors.forward_auth.asking import (
    CALLER,
    ENVOY,
    ENVOY_BODY,
    NGINX,
    PROOF,
    TRAEFIK,
    TRAEFIK_BODY,
    Answer,
    Headers,
    Judge,
    asked,
    question,
)
from tests.harness.fakes import YES, ManualClock
from tests.pipeline.world import OWN, SIBLING, V2, World
from workspace_authz.doors.forward_auth.answers import ERROR, REMOVED, STATUS, identity
from workspace_authz.identity.authenticator import AuthenticatorChain
from workspace_authz.identity.proxy_headers import IdentityHeaders, ProxyHeaderAuthenticator
from workspace_authz.identity.senders import AddressProof, Senders
from workspace_authz.identity.verified_tokens import TokenRules
from workspace_authz.types import UserInfo

DIALECTS = (NGINX, TRAEFIK, TRAEFIK_BODY, ENVOY, ENVOY_BODY)
DELIVERING = (TRAEFIK_BODY, ENVOY_BODY)
GET = f"{V2}/runs/get?run_id={OWN}".encode()
PARAMETER = f"{V2}/runs/log-parameter".encode()
CREATE = f"{V2}/runs/create".encode()


def everything() -> Judge:
    """Somebody with every right asks."""
    world = World()
    world.reviews.may_answer = YES
    return Judge(world.pipeline)


async def ask(judge: Judge, dialect: str, method: str, target: bytes, **given: bytes | Headers) -> Answer:
    body = given.get("body", b"")
    assert isinstance(body, bytes)
    headers = given.get("headers")
    assert not isinstance(headers, bytes)
    return await asked(judge, question(dialect, method, target, headers=headers, body=body), body=body)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_pass_names_the_workspace_and_the_caller(dialect: str) -> None:
    judge = everything()
    answer = await ask(judge, dialect, "GET", GET)
    assert (answer.status, answer.content) == (200, b"")
    assert answer.header(b"x-mlflow-workspace") == b"team-a"
    assert answer.header(b"x-remote-user") == b"alice"
    (record,) = judge.audit.kept
    assert (record["decision"], record["status"], record["user"]) == ("allow", 200, "alice")
    assert (record["method"], record["operation"]) == ("GET", "GetRun")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_public_route_has_neither(dialect: str) -> None:
    """Given a workspace of the client's own, then MLflow gets an empty one, which is none."""
    answer = await ask(everything(), dialect, "GET", b"/version", headers=[(b"x-mlflow-workspace", b"x")])
    assert answer.status == 200
    assert answer.header(b"x-mlflow-workspace") == b""
    assert answer.header(b"x-remote-user") == b""
    assert answer.header(b"x-remote-groups") == b""


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_public_route_takes_no_body(dialect: str) -> None:
    """MLflow is to get none, and a proxy cannot take it away."""
    answer = await ask(everything(), dialect, "GET", b"/version", body=b"x")
    known = dialect in (NGINX, *DELIVERING)
    assert answer.status == ((403 if dialect in (NGINX, ENVOY_BODY) else 501) if known else 200)


@pytest.mark.parametrize(
    ("dialect", "told"), [(NGINX, "nginx's"), (TRAEFIK, "forwardBody"), (ENVOY, "with_request_body")]
)
async def test_a_body_that_is_needed_and_does_not_come_is_refused(dialect: str, told: str) -> None:
    """Given the right on all objects, then a restriction on the content still holds."""
    answer = await ask(everything(), dialect, "POST", f"{V2}/runs/log-batch".encode(), body=b"{}")
    assert answer.header(STATUS) == b"501"
    assert "only with its body" in answer.message
    assert told in answer.message


async def test_a_body_that_envoy_has_cut_off_is_none() -> None:
    scope = question(ENVOY_BODY, "POST", f"{V2}/runs/log-batch".encode(), body=b'{"run_id":')
    scope["headers"].append((b"x-envoy-auth-partial-body", b"true"))
    answer = await asked(everything(), scope, body=b'{"run_id":')
    assert answer.header(STATUS) == b"501"
    assert "cut it off" in answer.message


async def test_what_needs_no_body_passes_without_one() -> None:
    """Given the right on all objects and no restriction, then nothing in the body matters."""
    for dialect in DIALECTS:
        answer = await ask(everything(), dialect, "POST", PARAMETER, body=b"{}")
        assert answer.status == 200, dialect


async def test_what_a_missing_body_may_demand_is_asked_for() -> None:
    """Given a right that is needed only if the body says so, then it is needed where nobody knows."""
    path = b"/api/3.0/mlflow/scorers/register"
    held = ("update experiments", "create gatewayendpoints/use")
    for rights, status in ((held, None), (held[:1], b"501"), ((), b"501")):
        answer = await ask(Judge(World(*rights).pipeline), NGINX, "POST", path, body=b"{}")
        assert answer.header(STATUS) == status


async def test_a_body_of_http2_without_a_length_is_not_known_to_be_missing() -> None:
    """Given HTTP/2, where a body needs no announcement, then nginx's word is not taken for "none"."""
    world = World("get experiments fraud")
    target = f"{V2}/runs/get".encode()

    async def message(protocol: bytes) -> str:
        scope = question(NGINX, "GET", target)
        scope["headers"] = [
            (name, protocol if name == b"x-original-protocol" else value) for name, value in scope["headers"]
        ]
        return (await asked(Judge(world.pipeline), scope)).message

    assert "only with its body" not in await message(b"HTTP/1.1")
    assert "only with its body" in await message(b"HTTP/2.0")


@pytest.mark.parametrize("dialect", DELIVERING)
async def test_rights_on_single_objects_are_found_in_a_delivered_body(dialect: str) -> None:
    world = World("update experiments fraud")
    for run, status in ((OWN, 200), (SIBLING, 403)):
        body = json.dumps({"run_id": run, "key": "a", "value": "b"}).encode()
        answer = await ask(Judge(world.pipeline), dialect, "POST", PARAMETER, body=body)
        assert answer.status == status


@pytest.mark.parametrize("dialect", DELIVERING)
async def test_a_stamp_that_would_change_something_is_refused(dialect: str) -> None:
    """Given a run, then it is made where the request names the caller already, in MLflow's eyes too."""
    named = {"experiment_id": "7", "user_id": "alice", "tags": [{"key": "mlflow.user", "value": "alice"}]}
    for fields, status in ((named, 200), ({**named, "user_id": "bob"}, 501), ({"experiment_id": "7"}, 501)):
        body = json.dumps(fields).encode()
        answer = await ask(everything(), dialect, "POST", CREATE, body=body)
        assert answer.header(STATUS) == (None if status == 200 else b"501")


async def test_an_operator_may_omit_names_but_no_stamp_that_closes_a_hole() -> None:
    """Given stamps omitted, then runs are made; but no assessment with an id of its choice."""
    judge = everything()
    judge.pipeline = replace(judge.pipeline, writes_caller=False)
    made = await ask(judge, ENVOY_BODY, "POST", CREATE, body=b'{"experiment_id": "7", "user_id": "bob"}')
    assert made.status == 200
    path = b"/api/3.0/mlflow/traces/tr-1/assessments"
    for more, status in (({}, 200), ({"assessment_id": "a-1"}, 403)):
        body = json.dumps({"assessment": {"assessment_name": "good", **more}}).encode()
        answer = await ask(judge, ENVOY_BODY, "POST", path, body=body)
        assert answer.status == status, answer.content
    undelivered = await ask(judge, NGINX, "POST", path, body=b"{}")
    assert undelivered.header(STATUS) == b"501"


async def test_lists_are_never_narrowed() -> None:
    world = World("list experiments fraud")
    answer = await ask(Judge(world.pipeline), NGINX, "GET", f"{V2}/experiments/search?max_results=5".encode())
    assert answer.header(STATUS) == b"501"


@pytest.mark.parametrize(
    ("dialect", "status"), [(NGINX, 403), (TRAEFIK, 404), (TRAEFIK_BODY, 404), (ENVOY, 404)]
)
async def test_a_refusal_says_its_status(dialect: str, status: int) -> None:
    """Given a proxy that passes some statuses only, then the real one stands in a header, with the words."""
    answer = await ask(everything(), dialect, "GET", b"/api/2.0/mlflow/unknown")
    assert (answer.status, answer.header(STATUS)) == (status, b"404")
    assert json.loads(answer.header(ERROR) or b"") == json.loads(answer.content)


async def test_without_a_credential_a_client_is_challenged() -> None:
    for dialect in DIALECTS:
        answer = await ask(everything(), dialect, "GET", GET, headers=[])
        assert answer.status == 401
        assert [value for name, value in answer.headers if name == b"www-authenticate"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_nobody_else_is_answered(dialect: str) -> None:
    """Given no proof of a proxy, then nothing is judged."""
    scope, judge = question(dialect, "GET", GET), everything()
    scope["headers"].remove(PROOF)
    answer = await asked(judge, scope)
    assert answer.status == 403
    assert "did not prove" in answer.message
    assert [record["decision"] for record in judge.audit.kept] == ["deny"]


async def test_another_path_is_unknown() -> None:
    judge = everything()
    for path in ("", "apache", "nginx/x", "traefik/x"):
        assert (await ask(judge, path, "GET", b"")).status == 404


@pytest.mark.parametrize(("dialect", "name"), [(NGINX, b"x-original-uri"), (TRAEFIK, b"x-forwarded-method")])
async def test_the_proxys_own_word_stands_once(dialect: str, name: bytes) -> None:
    """Given a header of the proxy's that is missing or comes twice, then nothing is judged."""
    scope = question(dialect, "GET", GET)
    scope["headers"].append((name, b"/health"))
    answer = await asked(everything(), scope)
    assert answer.header(STATUS) == b"400"
    assert "more than one" in answer.message
    scope["headers"] = [pair for pair in scope["headers"] if pair[0] != name]
    answer = await asked(everything(), scope)
    assert answer.header(STATUS) == b"400"
    assert "sent no" in answer.message


async def test_an_underscore_in_a_headers_name_is_refused() -> None:
    answer = await ask(everything(), TRAEFIK, "GET", GET, headers=[*CALLER, (b"x_mlflow_workspace", b"b")])
    assert answer.status == 400


async def test_a_credential_in_another_header_does_not_reach_mlflow() -> None:
    """Given a proxy that removes fixed headers, then such a request is refused; Envoy is told which go."""
    headers = [*CALLER, (b"x-copy", b"Bearer token"), (b"cookie", b"other=1")]
    for dialect in (NGINX, TRAEFIK):
        answer = await ask(everything(), dialect, "GET", GET, headers=headers)
        assert answer.header(STATUS) == b"501"
        assert "x-copy" in answer.message
    answer = await ask(everything(), ENVOY, "GET", GET, headers=headers)
    removed = (answer.header(REMOVED) or b"").split(b",")
    assert answer.status == 200
    assert {b"authorization", b"x-copy", b"impersonate-user", b"x-workspace-authz-secret"} <= set(removed)
    assert not {b"x-mlflow-workspace", b"x-remote-user", b"cookie"} & set(removed)


async def test_while_mlflow_is_another_nothing_is_judged() -> None:
    judge = everything()
    judge.obstacle = lambda: "MLflow's release is another."
    for target in (GET, b"/version"):
        answer = await ask(judge, TRAEFIK, "GET", target)
        assert answer.status == 503
        assert answer.message == "MLflow's release is another."


async def test_a_refused_head_has_no_content() -> None:
    answer = await ask(everything(), ENVOY, "HEAD", b"/api/2.0/mlflow/unknown")
    assert (answer.status, answer.content) == (404, b"")


def test_names_are_told_in_printable_ascii() -> None:
    """Given names with a separator, a percent sign or other letters, then each can be read back."""
    user = UserInfo("José %", groups=("a|b", "c, d", "système"))
    (_, name), (_, groups) = identity(user)
    assert name == b"Jos%C3%A9%20%25"
    assert groups == b"a%7Cb|c,%20d|syst%C3%A8me"


def test_groups_that_no_proxy_would_pass_on_are_not_told() -> None:
    (_, name), (_, groups) = identity(UserInfo("alice", groups=tuple(f"group-{n}" for n in range(10_000))))
    assert (name, groups) == (b"alice", b"")


@pytest.mark.parametrize("forwarded", [(), (b"203.0.113.9",), (b"192.0.2.1, 203.0.113.9",)])
async def test_a_client_of_a_proxy_that_may_name_callers_names_nobody(forwarded: tuple[bytes, ...]) -> None:
    """Given a proxy whose address proves that it may name callers, then what its clients send names nobody.

    The address that counts is the client's, as the proxy says it, and never that of the proxy which asks.
    """
    world = World()
    world.reviews.may_answer = YES
    rules = TokenRules(ManualClock())
    senders = Senders((AddressProof((ip_network("192.0.2.0/24"),)),))
    proxies = ProxyHeaderAuthenticator(IdentityHeaders(), senders, rules=rules)
    chain = AuthenticatorChain((proxies, *world.pipeline.identity.authenticators))
    judge = Judge(replace(world.pipeline, identity=chain))
    headers = [(b"x-remote-user", b"root"), (b"x-mlflow-workspace", b"team-a")]
    headers += [(b"x-forwarded-for", value) for value in forwarded]
    for dialect in DIALECTS:
        answer = await ask(judge, dialect, "GET", GET, headers=headers)
        assert answer.header(STATUS) == b"401", dialect
        assert "believed only from a proxy" in answer.message
