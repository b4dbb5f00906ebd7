"""Access keys at the door: who gets one, what it is good for, and when it ends."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path

import pytest

from tests.harness.browser import Browser, chromium
from tests.harness.http import bearer
from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer
from tests.scenarios import steps
from tests.scenarios.audiences import AUDIENCE, Site
from tests.scenarios.keys import API, PAGE, copied, made, names, page, posted, revoked, secrets_in, works
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until
from workspace_authz.devplane import assets
from workspace_authz.kubernetes.credentials import unverified_claims

TRAINER = "trainer"
BROAD = "deployer"
MARKUP = '"><script>alert(1)</script>'


@pytest.fixture(scope="module", autouse=True)
def accounts(cluster: Cluster) -> Iterator[None]:
    """In team-a an account with Kubernetes' edit, in team-b one that may only read in MLflow."""
    plane = cluster.plane
    plane.service_account(TEAM_A, BROAD)
    plane.service_account(TEAM_B, "reader")
    bindings = [
        plane.bind(TEAM_A, "edit", account=(TEAM_A, BROAD)),
        plane.bind(TEAM_B, "mlflow-view", account=(TEAM_B, "reader")),
    ]
    yield
    for binding in bindings:
        plane.delete(binding)
    for namespace, name in ((TEAM_A, BROAD), (TEAM_B, "reader")):
        plane.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")


@pytest.fixture(autouse=True)
def no_keys(cluster: Cluster) -> Iterator[None]:
    """Nobody else's keys are counted."""
    yield
    for namespace in (TEAM_A, TEAM_B):
        for secret in secrets_in(cluster.plane, namespace):
            cluster.plane.delete(f"/api/v1/namespaces/{namespace}/secrets/{secret['metadata']['name']}")


def alice(cluster: Cluster) -> str:
    return cluster.people.alice.token


def test_a_key_works_in_the_sdk_as_token_and_as_password(
    server: MlflowServer, cluster: Cluster, tmp_path: Path
) -> None:
    """Given a key of an account, then programs work with it, with the account's rights."""
    key = made(server, alice(cluster), TEAM_A, service_account=TRAINER)["key"]
    experiment = ""
    for number, shown in enumerate(({"token": key}, {"MLFLOW_TRACKING_USERNAME": "x"})):
        password = {} if number == 0 else {"MLFLOW_TRACKING_PASSWORD": key}
        with sdk(server.uri, tmp_path / str(number), workspace=TEAM_A, **shown, **password) as program:
            experiment = experiment or program.run(steps.create_experiment, "by a key")
            run = program.run(steps.log_run, experiment, metric=0.5)
            assert program.run(steps.run_content, run)["metrics"] == {"accuracy": 0.5}
    assert works(server, key, TEAM_B) == 403


def test_a_key_for_mlflow_only_is_made_where_the_server_has_audiences(site: Site, tmp_path: Path) -> None:
    cluster = site.cluster
    document = made(site.server, alice(cluster), TEAM_A, service_account=TRAINER)
    assert document["audience"] == AUDIENCE
    assert unverified_claims(document["key"])["aud"] == [AUDIENCE]
    assert works(site.strict, document["key"], TEAM_A) == 200
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    assert cluster.plane.ask("POST", path, review, token=document["key"]).status == 401
    password = {"MLFLOW_TRACKING_USERNAME": "x", "MLFLOW_TRACKING_PASSWORD": document["key"]}
    with sdk(site.strict.uri, tmp_path, workspace=TEAM_A, **password) as program:
        assert program.run(steps.experiment_by_name, "nothing of this name") is None


def test_a_key_ends_when_it_is_revoked(site: Site) -> None:
    """Given a key that works, when it is revoked, then it is refused within 30 seconds, and not listed."""
    document = made(site.server, alice(site.cluster), TEAM_A, service_account=TRAINER)
    assert works(site.server, document["key"], TEAM_A) == 200
    answer = revoked(site.server, alice(site.cluster), TEAM_A, document["name"])
    assert answer.json == {"name": document["name"], "ends_within_seconds": 17}
    assert names(site.server, alice(site.cluster), TEAM_A) == []
    until(lambda: works(site.server, document["key"], TEAM_A) == 401)


def test_the_secret_is_all_that_is_kept(server: MlflowServer, cluster: Cluster) -> None:
    """Given a key by API and by page, then neither logs, records nor database hold it."""
    server.skip_records()
    token = alice(cluster)
    first = made(server, token, TEAM_A, service_account=TRAINER)["key"]
    fields = {"workspace": TEAM_A, "account": TRAINER, "purpose": "night", "days": "30", "audience": ""}
    answer = posted(server, token, fields)
    assert answer.header("cache-control") == ["no-store"]
    second = copied(answer.text, "key")
    assert works(server, second, TEAM_A) == 200
    server.skip_records()
    written = server.process.output + server.audit_file.read_text() + str(secrets_in(cluster.plane, TEAM_A))
    database = Path(server.database.removeprefix("sqlite:///")).read_bytes()
    for key in (first, second):
        signature = key.rpartition(".")[2]
        assert signature not in written
        assert signature.encode() not in database
    assert [
        secret["metadata"]["annotations"]["workspace-authz/made-by"]
        for secret in secrets_in(cluster.plane, TEAM_A)
    ] == ["alice"] * 2


def test_each_change_is_on_record(server: MlflowServer, cluster: Cluster) -> None:
    server.skip_records()
    name = made(server, alice(cluster), TEAM_A, service_account=TRAINER)["name"]
    revoked(server, alice(cluster), TEAM_A, name)
    revoked(server, alice(cluster), TEAM_B, name)
    told = [
        [record[key] for key in ("user", "workspace", "change", "status")] for record in server.records(3)
    ]
    assert told == [
        ["alice", TEAM_A, f"an access key of {TRAINER}", 200],
        ["alice", TEAM_A, f"the end of the access key {name}", 200],
        ["alice", TEAM_B, f"the end of the access key {name}", 403],
    ]


def test_the_page_names_the_accounts_and_what_is_known_of_their_rights(
    server: MlflowServer, cluster: Cluster
) -> None:
    """Given who may list bindings and who may not, then only the first sees whose rights a key would have."""
    seen = page(server, cluster.people.carol.token, TEAM_B)
    assert "<td>reader</td><td>READ on" in seen
    assert "<td>default</td><td>nothing in MLflow</td>" in seen
    assert "Cluster-wide bindings, which you may not list, may add more." in seen
    hidden = page(server, alice(cluster), TEAM_A)
    assert "You may not list rolebindings here" in hidden
    assert f'<option value="{TRAINER}">' in hidden
    assert "READ on" not in hidden
    everything = page(server, cluster.people.root.token, TEAM_A)
    assert "EDIT on" in everything
    assert "may add more" not in everything


def test_without_a_workspace_the_page_offers_those_of_the_caller(
    server: MlflowServer, cluster: Cluster
) -> None:
    answer = server.ask("GET", PAGE, token=cluster.people.carol.token)
    assert f'<option value="{TEAM_B}">' in answer.text
    assert TEAM_A not in answer.text


def test_an_account_that_may_do_more_than_mlflow_is_asked_about(
    server: MlflowServer, cluster: Cluster
) -> None:
    """Given such an account and no audience, then the page asks again, and until then there is no key."""
    token = alice(cluster)
    fields = {"workspace": TEAM_A, "account": BROAD, "purpose": "deploying", "days": "7", "audience": ""}
    asked = posted(server, token, fields)
    assert "may do more in team-a than MLflow" in asked.text
    assert "secrets" in asked.text
    assert secrets_in(cluster.plane, TEAM_A) == []
    refused = server.ask(
        "POST", API, token=token, json_body={"service_account": BROAD, "purpose": "x", "workspace": TEAM_A}
    )
    assert (refused.status, refused.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert 'send "confirmed": true' in refused.json["message"]
    assert secrets_in(cluster.plane, TEAM_A) == []
    shown = posted(server, token, {**fields, "confirmed": "yes"})
    assert "also a credential for the Kubernetes API" in shown.text
    assert works(server, copied(shown.text, "key"), TEAM_A) == 200
    assert made(server, token, TEAM_A, service_account=BROAD, confirmed=True)["key"]


def test_where_the_server_has_audiences_nobody_is_asked_again(site: Site) -> None:
    document = made(site.server, alice(site.cluster), TEAM_A, service_account=BROAD)
    assert document["audience"] == AUDIENCE
    body = {"workspace": TEAM_A, "service_account": BROAD, "purpose": "x", "audience": ""}
    asked = site.server.ask("POST", API, token=alice(site.cluster), json_body=body)
    assert 'send "confirmed": true' in asked.json["message"]
    other = {**body, "audience": "vault"}
    refused = site.server.ask("POST", API, token=alice(site.cluster), json_body=other)
    assert "does not take keys for that audience" in refused.json["message"]


def test_who_has_no_token_for_kubernetes_is_told_the_command(site: Site) -> None:
    """Given a caller by a token for MLflow only, then page and API have the line for their own shell."""
    for server in (site.server, site.strict):
        text = unescape(page(server, site.trainer, TEAM_A))
        line = f"workspace-authz keys create SERVICE_ACCOUNT -n {TEAM_A} --for PURPOSE --audience {AUDIENCE}"
        assert line in text
        assert f"workspace-authz keys revoke KEY -n {TEAM_A}" in text
        refused = server.ask(
            "POST",
            API,
            token=site.trainer,
            json_body={"workspace": TEAM_A, "service_account": TRAINER, "purpose": "x"},
        )
        assert refused.status == 403
        assert line in refused.json["message"]


def test_mlflow_admin_alone_is_told_the_missing_right_and_its_grant(
    server: MlflowServer, cluster: Cluster, tmp_path: Path
) -> None:
    """Given mlflow-admin and nothing else, then the page has the commands, and with them it works."""
    plane, dora = cluster.plane, cluster.people.dora
    binding = plane.bind(TEAM_A, "mlflow-admin", user=dora.name)
    plane.wait_for_access(dora.token, TEAM_A, verb="update", resource="gatewaybudgets")
    text = unescape(page(server, dora.token, TEAM_A))
    assert "<code>create serviceaccounts/token</code>, <code>create secrets</code>" in text
    assert "mlflow-admin alone has not" in text
    refused = server.ask(
        "POST",
        API,
        token=dora.token,
        json_body={"workspace": TEAM_A, "service_account": TRAINER, "purpose": "x"},
    )
    assert refused.status == 403
    assert 'User "dora" cannot create resource "secrets"' in refused.json["message"]
    commands = text[text.index("kubectl -n team-a create role") :].partition("</pre>")[0]
    kubectl = assets.find_binary(assets.KUBECTL).parent
    path = f"{kubectl}:{os.environ['PATH']}"
    environment = {"PATH": path, "KUBECONFIG": str(plane.admin_kubeconfig), "HOME": str(tmp_path)}
    subprocess.run(["bash", "-ec", commands], env=environment, check=True, capture_output=True)
    until(lambda: "You lack" not in page(server, dora.token, TEAM_A))
    document = made(server, dora.token, TEAM_A, service_account=TRAINER)
    assert "You may not list serviceaccounts here" in page(server, dora.token, TEAM_A)
    assert revoked(server, dora.token, TEAM_A, document["name"]).status == 200
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{TEAM_A}"
    (made_binding,) = re.findall(r"rolebinding (access-keys-[0-9a-f]{8}) ", commands)
    for path in (binding, f"{rbac}/rolebindings/{made_binding}", f"{rbac}/roles/access-keys"):
        plane.delete(path)


def test_another_tenants_keys_are_out_of_reach(server: MlflowServer, cluster: Cluster) -> None:
    carol = cluster.people.carol.token
    document = made(server, carol, TEAM_B, service_account="reader")
    for answer in (
        revoked(server, alice(cluster), TEAM_B, document["name"]),
        server.ask("GET", f"{API}?workspace={TEAM_B}", token=alice(cluster)),
    ):
        assert answer.status == 403
        assert 'User "alice" cannot list resource "secrets"' in answer.json["message"]
    assert "reader" not in page(server, alice(cluster), TEAM_B)
    assert names(server, carol, TEAM_B) == [document["name"]]


def test_a_secret_that_is_no_key_is_never_deleted(server: MlflowServer, cluster: Cluster) -> None:
    plane, token = cluster.plane, alice(cluster)
    path = f"/api/v1/namespaces/{TEAM_A}/secrets"
    labels = {"app.kubernetes.io/managed-by": "workspace-authz"}
    plane.make(path, {"metadata": {"name": "not-a-key", "labels": labels}, "data": {"a": "eA=="}})
    for answer in (
        revoked(server, token, TEAM_A, "not-a-key"),
        posted(server, token, {"workspace": TEAM_A, "name": "not-a-key"}, path=f"{PAGE}/revoke"),
    ):
        assert answer.status == 404
        assert "There is no access key not-a-key in team-a." in answer.text
    assert "not-a-key" not in page(server, token, TEAM_A)
    plane.delete(f"{path}/not-a-key")


@pytest.mark.parametrize(
    "name", ["", "../serviceaccounts/trainer", "a,metadata.name!=b", "A", "ä", "x" * 254, MARKUP]
)
def test_names_that_nothing_can_have_are_refused(server: MlflowServer, cluster: Cluster, name: str) -> None:
    token = alice(cluster)
    fields = {"workspace": TEAM_A, "account": name, "purpose": "x", "days": "7", "audience": ""}
    for answer in (
        revoked(server, token, TEAM_A, name),
        posted(server, token, fields),
        posted(server, token, {**fields, "workspace": name or MARKUP, "account": TRAINER}),
        posted(server, token, {**fields, "account": TRAINER, "days": name}),
        posted(server, token, {**fields, "account": TRAINER, "purpose": "\x00" + name}),
        posted(server, token, {**fields, "account": TRAINER, "audience": name or "x"}),
    ):
        assert answer.status == 400, answer.text
        assert "<script>alert" not in answer.text
    assert secrets_in(cluster.plane, TEAM_A) == []


def test_what_people_write_is_shown_as_text(server: MlflowServer, cluster: Cluster) -> None:
    token = alice(cluster)
    made(server, token, TEAM_A, service_account=TRAINER, purpose=MARKUP)
    secret = secrets_in(cluster.plane, TEAM_A)[0]
    secret["metadata"]["annotations"] |= {
        "workspace-authz/made-by": MARKUP,
        "workspace-authz/service-account": MARKUP,
        "workspace-authz/audience": MARKUP,
    }
    path = f"/api/v1/namespaces/{TEAM_A}/secrets/{secret['metadata']['name']}"
    assert cluster.plane.ask("PUT", path, secret).status == 200
    text = page(server, token, TEAM_A)
    assert text.count(escape(MARKUP)) == 4
    assert "<script>alert" not in text


def test_a_page_of_another_site_makes_and_ends_nothing(server: MlflowServer, cluster: Cluster) -> None:
    """Given a browser that adds the password by itself, then a form elsewhere is refused."""
    token = alice(cluster)
    document = made(server, token, TEAM_A, service_account=TRAINER)
    fields = {"workspace": TEAM_A, "account": TRAINER, "purpose": "x", "days": "7", "audience": ""}
    for site in ("cross-site", "same-site", "none"):
        assert posted(server, token, fields, site=site).status == 403
        revoking = {"workspace": TEAM_A, "name": document["name"]}
        assert posted(server, token, revoking, path=f"{PAGE}/revoke", site=site).status == 403
    foreign = server.ask(
        "DELETE",
        f"{API}?workspace={TEAM_A}&name={document['name']}",
        token=token,
        headers={"Origin": "https://evil.example"},
    )
    assert foreign.status == 403
    assert len(secrets_in(cluster.plane, TEAM_A)) == 1


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"service_account": 1}', b'{"days": 1}', b"x" * (65 * 1024)])
def test_a_body_that_means_nothing_is_refused(server: MlflowServer, cluster: Cluster, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "X-MLFLOW-WORKSPACE": TEAM_A}
    assert server.ask("POST", API, token=alice(cluster), headers=headers, body=body).status == 400


@pytest.mark.parametrize("days", [0, 366, True, 1.5, "7", None])
def test_a_life_that_no_key_has_is_refused(server: MlflowServer, cluster: Cluster, days: object) -> None:
    body = {"workspace": TEAM_A, "service_account": TRAINER, "purpose": "x", "days": days}
    answer = server.ask("POST", API, token=alice(cluster), json_body=body)
    assert (answer.status, answer.json["message"]) == (400, "A key lives 1 to 365 days, as a whole number.")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_somebody_makes_and_revokes_a_key_in_a_browser(
    server: MlflowServer, cluster: Cluster, browser: Browser
) -> None:
    """Given the page, when somebody fills in its form, then the key works, is not shown again, and ends."""
    with browser.profile() as profile:
        profile.context.set_extra_http_headers(bearer(alice(cluster)))
        profile.go(f"{server.uri}{PAGE}?workspace={TEAM_A}")
        profile.wait_for("text=New key")
        profile.page.locator("select[name=account]").select_option(TRAINER)
        profile.type("input[name=purpose]", "nightly <b>runs</b>")
        profile.page.locator("select[name=days]").select_option("30")
        profile.click("text=Make the key")
        profile.wait_for("#key")
        key = profile.page.locator("#key").inner_text()
        assert works(server, key, TEAM_A) == 200
        assert f"export MLFLOW_TRACKING_URI={server.uri}" in profile.page.locator("#shell").inner_text()
        profile.go(f"{server.uri}{PAGE}?workspace={TEAM_A}")
        profile.wait_for("text=nightly <b>runs</b>")
        assert key not in profile.page.content()
        profile.click("text=Revoke")
        profile.wait_for("text=ends within 30 seconds")
        assert profile.console_errors == []
        assert profile.failed == []
    assert secrets_in(cluster.plane, TEAM_A) == []
