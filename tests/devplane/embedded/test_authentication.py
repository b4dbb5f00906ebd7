"""Credentials and the users they belong to, over real TLS."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.devplane.embedded.conftest import Running
from workspace_authz.devplane.embedded.authentication import read_static_tokens
from workspace_authz.devplane.pki import create_pki, issue_client_certificate
from workspace_authz.errors import ConfigurationError
from workspace_authz.types import UserInfo

REVIEWS = "/apis/authentication.k8s.io/v1"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


async def whoami(running: Running, token: str | None) -> Any:
    answer = await running.api.with_token(token).post(f"{REVIEWS}/selfsubjectreviews", {})
    return answer.body["status"]["userInfo"] if answer.ok else answer.status


async def with_certificate(running: Running, certificate: tuple[Path, Path], token: str = "") -> Any:
    context = ssl.create_default_context(cafile=str(running.endpoint.ca_file))
    context.load_cert_chain(*certificate)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{running.endpoint.url}{REVIEWS}/selfsubjectreviews"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={}, headers=headers, ssl=context) as response,
    ):
        return (await response.json())["status"]["userInfo"]


async def test_a_static_token(running: Running) -> None:
    assert await whoami(running, "alice-token") == {
        "username": "alice",
        "uid": "alice-uid",
        "groups": ["team-a", "devs", "system:authenticated"],
    }


async def test_the_admin_token_is_of_a_superuser_and_kept_private(running: Running) -> None:
    assert "system:masters" in (await whoami(running, running.endpoint.admin_token))["groups"]
    assert running.endpoint.admin_token not in repr(running.endpoint)
    assert (running.state / "admin.token").stat().st_mode & 0o777 == 0o600


async def test_a_token_that_nobody_has(running: Running) -> None:
    assert await whoami(running, "nobody-token") == 401
    assert await whoami(running, "a.b.c") == 401


async def test_without_a_credential_one_is_anonymous(running: Running) -> None:
    anonymous = running.api.with_token(None)
    said = await anonymous.post(f"{REVIEWS}/selfsubjectreviews", {})
    assert said.status == 403
    assert 'User "system:anonymous" cannot create' in said.body["message"]
    assert (await anonymous.get("/version")).body["gitVersion"] == "v1.36.3+embedded"
    assert (await anonymous.get("/readyz")).status == 200


async def test_a_client_certificate_names_user_and_groups(running: Running) -> None:
    pki = create_pki(running.endpoint.ca_file.parent)
    certificate = issue_client_certificate(pki, name="carol", groups=("devs", "ops"))
    user = await with_certificate(running, certificate)
    assert (user["username"], user["groups"]) == ("carol", ["devs", "ops", "system:authenticated"])
    ((credential,),) = user["extra"].values()
    assert credential.startswith("X509SHA256=")


@pytest.mark.parametrize("token", ["alice-token", "garbage"])
async def test_with_a_certificate_the_bearer_token_is_ignored(running: Running, token: str) -> None:
    pki = create_pki(running.endpoint.ca_file.parent)
    user = await with_certificate(running, (pki.admin_cert, pki.admin_key), token)
    assert user["username"] == "admin"


async def test_a_certificate_of_another_authority_fails_the_handshake(
    running: Running, tmp_path: Path
) -> None:
    other = create_pki(tmp_path / "other")
    with pytest.raises(aiohttp.ClientError):
        await with_certificate(running, (other.admin_cert, other.admin_key))


async def test_a_service_account_token_lives_as_long_as_it_may(running: Running) -> None:
    issued = await running.api.post(f"{ACCOUNTS}/default/token", {"spec": {"expirationSeconds": 600}})
    token = issued.body["status"]["token"]
    assert (await whoami(running, token))["username"] == "system:serviceaccount:default:default"
    running.clock.now += 661
    assert await whoami(running, token) == 401


async def test_a_token_ends_with_the_secret_that_it_is_bound_to(running: Running) -> None:
    secrets = "/api/v1/namespaces/default/secrets"
    made = await running.api.post(secrets, {"metadata": {"name": "of-a-token"}})
    seen = {key: made.body["metadata"][key] for key in ("uid", "resourceVersion")}
    reference = {"apiVersion": "v1", "kind": "Secret", "name": "of-a-token", "uid": seen["uid"]}
    issued = await running.api.post(f"{ACCOUNTS}/default/token", {"spec": {"boundObjectRef": reference}})
    token = issued.body["status"]["token"]
    assert (await whoami(running, token))["username"] == "system:serviceaccount:default:default"
    deletion = {"preconditions": seen}
    assert (await running.api.request("DELETE", f"{secrets}/of-a-token", body=deletion)).ok
    assert await whoami(running, token) == 401


async def test_a_deleted_account_is_nobody_at_once(running: Running) -> None:
    issued = await running.api.post(f"{ACCOUNTS}/default/token", {})
    token = issued.body["status"]["token"]
    assert (await running.api.request("DELETE", f"{ACCOUNTS}/default")).ok
    assert await whoami(running, token) == 401


async def test_a_token_for_another_audience_is_for_reviews_only(running: Running) -> None:
    issued = await running.api.post(f"{ACCOUNTS}/default/token", {"spec": {"audiences": ["mlflow"]}})
    token = issued.body["status"]["token"]
    assert await whoami(running, token) == 401
    review = {"spec": {"token": token, "audiences": ["mlflow", "x"]}}
    status = (await running.api.post(f"{REVIEWS}/tokenreviews", review)).body["status"]
    assert (status["authenticated"], status["audiences"]) == (True, ["mlflow"])
    assert status["user"]["groups"][-1] == "system:authenticated"
    status = (await running.api.post(f"{REVIEWS}/tokenreviews", {"spec": {"token": token}})).body["status"]
    assert "authenticated" not in status
    assert token not in status["error"]


def test_a_token_file(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text('t1,alice,u1,"a,b"\nt2,bob,u2\n\n,nobody,u3\n')
    assert read_static_tokens(file) == {
        "t1": UserInfo("alice", "u1", ("a", "b")),
        "t2": UserInfo("bob", "u2"),
    }


def test_a_bad_token_file_is_named_by_line_not_by_content(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("t1,alice,u1\nvery-secret,bob\n")
    with pytest.raises(ConfigurationError, match="line 2") as caught:
        read_static_tokens(file)
    assert "very-secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_static_tokens(tmp_path / "missing")
