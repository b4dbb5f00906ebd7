"""ID tokens of an issuer that only the MLflow server trusts, as bearer tokens: people on the command line."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.harness.hostile_oidc import Misbehaviour
from tests.harness.http import Answer
from tests.harness.plane import EMBEDDED
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.sign_in_site import SEARCH, SignInSite, id_token, signed_in
from tests.scenarios.test_sign_in_hostile import CLAIMS, SIGNATURES

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)

CREATE = "/api/2.0/mlflow/experiments/create"
ONLY_IN_A_BROWSER = {"another nonce", "no nonce", "a list of nonces", "another access token's hash"}
"""A bearer token comes without the attempt to sign in, and without an access token."""


def search(site: SignInSite, token: str, workspace: str = TEAM_A) -> Answer:
    return site.server.ask("GET", SEARCH, token=token, workspace=workspace)


def refused(site: SignInSite, misbehaviour: Misbehaviour) -> None:
    with site.provider.misbehaving(misbehaviour):
        token = id_token(site, "alice")
    answer = search(site, token.encode("ascii", "replace").decode())
    assert answer.status == 401, answer.text


def test_rbac_decides_about_the_owner(sign_in: SignInSite) -> None:
    """Given alice, who may write in team-a and read in team-b by her name at the provider."""
    alice, mallory = (id_token(sign_in, name) for name in ("alice", "mallory"))
    assert [search(sign_in, alice, team).status for team in (TEAM_A, TEAM_B)] == [200, 200]
    assert [search(sign_in, mallory, team).status for team in (TEAM_A, TEAM_B)] == [403, 403]
    for team, status in ((TEAM_A, 200), (TEAM_B, 403)):
        name = {"name": "by-an-id-token"}
        answer = sign_in.server.ask("POST", CREATE, token=alice, workspace=team, json_body=name)
        assert answer.status == status, answer.text


def test_nobody_can_ask_the_api_server_with_it(sign_in: SignInSite) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    token = id_token(sign_in, "alice")
    assert sign_in.cluster.plane.ask("POST", path, review, token=token).status == 401


def test_nothing_of_it_is_written(sign_in: SignInSite) -> None:
    """Then the audit record names its owner, and no log has the token."""
    token = id_token(sign_in, "alice")
    sign_in.server.skip_records()
    assert search(sign_in, token).status == 200
    (record,) = sign_in.server.records(1)
    assert record["user"] == "oidc:alice"
    signature = token.rpartition(".")[2]
    for file in (sign_in.server.audit_file, sign_in.server.state / "mlflow.log"):
        assert signature not in file.read_text()


@pytest.mark.parametrize("kind", SIGNATURES)
def test_a_signature_that_is_not_the_issuers_is_refused(sign_in: SignInSite, kind: str) -> None:
    refused(sign_in, Misbehaviour(sign=SIGNATURES[kind]))


@pytest.mark.parametrize("kind", [kind for kind in CLAIMS if kind not in ONLY_IN_A_BROWSER])
def test_claims_that_do_not_fit_are_refused(sign_in: SignInSite, kind: str) -> None:
    refused(sign_in, Misbehaviour(claims=CLAIMS[kind]))


@pytest.mark.parametrize("claims", [{"groups": ["people"] * 2}, {"aud": ["mlflow"]}], ids=str)
def test_other_spellings_of_the_same_are_the_same(sign_in: SignInSite, claims: Mapping[str, object]) -> None:
    with sign_in.provider.misbehaving(Misbehaviour(claims=claims)):
        token = id_token(sign_in, "alice")
    assert search(sign_in, token).status == 200


def test_a_token_comes_before_a_session(sign_in: SignInSite) -> None:
    """Given alice's session and mallory's token in one request, then it is mallory's."""
    token = id_token(sign_in, "mallory")
    with signed_in(sign_in, "alice") as alice:
        answer = alice.ask("GET", SEARCH, workspace=TEAM_A, headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 403
    assert "oidc:mallory" in answer.text
