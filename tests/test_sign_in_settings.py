"""Where people sign in, as the file, the variables of mlflow-oidc-auth, and the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings.settings import load_settings
from workspace_authz.settings.sign_in_file import OidcConfiguration, OpenShiftConfiguration, read_sign_in

PROVIDER = """
providers:
  - name: acme
    issuer: {url: %s}
    client: {id: mlflow}
    claimMappings: {username: {claim: sub, prefix: "acme:"}}
"""


def written(tmp_path: Path, text: str) -> str:
    file = tmp_path / "sign-in.yaml"
    file.write_text(text)
    return str(file)


def test_a_provider_with_what_it_needs(tmp_path: Path) -> None:
    found = read_sign_in(written(tmp_path, PROVIDER % "https://idp.example/realms/a"), {})
    (provider,) = found.providers
    assert isinstance(provider, OidcConfiguration)
    assert provider.metadata_url == "https://idp.example/realms/a/.well-known/openid-configuration"
    assert (provider.trusted_by_api_server, provider.allowed_groups, found.tokens) == (False, (), True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "no YAML"),
        ("x: 1", "x: Extra inputs"),
        (
            PROVIDER % "http://idp.example",
            r"providers.0.oidc.issuer.url: Value error, it must be an https URL",
        ),
        (PROVIDER % "https://", "https URL"),
        (PROVIDER % "ftp://127.0.0.1/", "https URL"),
        (
            PROVIDER.replace("acme:", "a:").replace("name: acme", "name: A/B") % "https://a",
            "providers.0.oidc.name",
        ),
        (PROVIDER.replace('prefix: "acme:"', "prefic: x") % "https://a", "prefix: Field required"),
        (PROVIDER % "https://a" + (PROVIDER % "https://b").replace("providers:", ""), "the same name"),
        ("providers: 7", "providers"),
        ("- a", "cannot be used"),
    ],
)
def test_what_cannot_be_used_is_said_without_its_values(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_sign_in(written(tmp_path, text), {})


def test_a_secret_is_in_no_message(tmp_path: Path) -> None:
    text = PROVIDER.replace("id: mlflow", "id: mlflow, secret: [pass-word]") % "https://a"
    with pytest.raises(ConfigurationError) as raised:
        read_sign_in(written(tmp_path, text), {})
    assert "pass-word" not in str(raised.value)
    good = PROVIDER.replace("id: mlflow", "id: mlflow, secret: pass-word") % "https://a"
    assert "pass-word" not in repr(read_sign_in(written(tmp_path, good), {}))


def test_the_variables_of_mlflow_oidc_auth() -> None:
    found = read_sign_in(
        None,
        {
            "OIDC_DISCOVERY_URL": "https://idp.example/realms/a/.well-known/openid-configuration",
            "OIDC_CLIENT_ID": "mlflow",
            "OIDC_CLIENT_SECRET": "pass-word",
            "OIDC_SCOPE": "openid,email,groups",
            "OIDC_PROVIDER_DISPLAY_NAME": "Acme",
            "OIDC_GROUPS_ATTRIBUTE": "roles",
            "OIDC_USERNAME_FIELD": "preferred_username,email",
            "OIDC_GROUP_NAME": "mlflow-admins,mlflow-users",
            "OIDC_ADMIN_GROUP_NAME": "mlflow-admins",
        },
    )
    (provider,) = found.providers
    assert isinstance(provider, OidcConfiguration)
    assert provider.issuer.url == "https://idp.example/realms/a"
    assert provider.client.scopes == ("openid", "email", "groups")
    assert provider.client.secret is not None
    assert provider.client.secret.get_secret_value() == "pass-word"
    assert provider.title == "Acme"
    assert provider.claim_mappings.username.claim == "preferred_username"
    assert provider.claim_mappings.groups is not None
    assert provider.claim_mappings.groups.claim == "roles"
    assert set(provider.allowed_groups) == {"mlflow-admins", "mlflow-users"}


def test_with_keys_alone_a_token_can_be_pasted() -> None:
    settings = load_settings(session_keys="/keys", public_url="https://mlflow.example")
    assert settings.sign_in_configuration is not None
    assert settings.sign_in_configuration.providers == ()
    assert not settings.asks_with_own_account


def test_nobody_signs_in_unless_there_are_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIDC_DISCOVERY_URL", "https://idp.example/.well-known/openid-configuration")
    assert load_settings().sign_in_configuration is None


def test_the_server_reviews_people_whose_provider_the_api_server_does_not_know(tmp_path: Path) -> None:
    given = {"session_keys": "/keys", "public_url": "https://mlflow.example"}
    unknown = written(tmp_path, PROVIDER % "https://a")
    assert load_settings(**given, sign_in=unknown).needs_own_reviews == ("WORKSPACE_AUTHZ_SIGN_IN",)
    known = written(tmp_path, PROVIDER % "https://a" + "    trustedByAPIServer: true\n")
    assert not load_settings(**given, sign_in=known).asks_with_own_account


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"session_keys": "/keys"}, "WORKSPACE_AUTHZ_PUBLIC_URL"),
        ({"sign_in": "/file", "public_url": "https://a"}, "WORKSPACE_AUTHZ_SESSION_KEYS"),
        ({"session_keys": "/k", "sign_in": "/missing", "public_url": "https://a"}, "No such file"),
    ],
)
def test_half_of_the_settings_stop_the_start(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_settings(**given)


@pytest.mark.parametrize(
    ("scopes", "full"), [("", True), (", scopes: [user:info, user:check-access]", False)]
)
def test_openshift(tmp_path: Path, scopes: str, full: bool) -> None:
    text = f"providers: [{{kind: openshift, name: openshift, client: {{id: mlflow{scopes}}}}}]"
    (provider,) = read_sign_in(written(tmp_path, text), {}).providers
    assert isinstance(provider, OpenShiftConfiguration)
    assert provider.api_server == "https://kubernetes.default.svc"
    assert provider.trusted_by_api_server is full


def test_hardened_servers_take_no_tokens_for_the_api_from_a_provider(tmp_path: Path) -> None:
    known = written(tmp_path, PROVIDER % "https://a" + "    trustedByAPIServer: true\n")
    given = {"session_keys": "/keys", "public_url": "https://mlflow.example", "sign_in": known}
    with pytest.raises(ConfigurationError, match="acme"):
        load_settings(**given, audiences="mlflow", audiences_only=True)


def test_tokens_of_one_issuer_have_one_reader(tmp_path: Path) -> None:
    """Then it is never a matter of order by whose rules a token's owner is named."""
    both = (PROVIDER + PROVIDER.replace("name: acme", "name: other").replace("providers:", "")).replace(
        "client: {id: mlflow}", "client: {id: mlflow}\n    commandLine: {id: cli}"
    ) % ("https://a", "https://a")
    with pytest.raises(ConfigurationError, match="the same issuer"):
        read_sign_in(written(tmp_path, both), {})
