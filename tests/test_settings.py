"""Settings: the plugin's names work, and what is not built or contradicts itself stops the start."""

from __future__ import annotations

import pytest

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings.settings import (
    CALLERS_WHO_ASK,
    Settings,
    load_settings,
    resolve_single_namespace,
)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "MLFLOW_K8S_AUTH_NAMESPACE",
        "MLFLOW_K8S_AUTH_WORKSPACES_ENABLED",
        "WORKSPACE_AUTHZ_NAMESPACE",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("MLFLOW_K8S_AUTH_CACHE_TTL_SECONDS", "300", "allow_seconds", 300.0),
        ("MLFLOW_K8S_AUTH_USERNAME_CLAIM", "email", "username_claim", "email"),
        (
            "MLFLOW_K8S_AUTH_AUTHORIZATION_MODE",
            "self_subject_access_review",
            "authorization_mode",
            "self_subject_access_review",
        ),
        ("MLFLOW_K8S_AUTH_WORKSPACES_ENABLED", "false", "workspaces_enabled", False),
        ("MLFLOW_K8S_AUTH_NAMESPACE", "team-a", "namespace", "team-a"),
        ("MLFLOW_K8S_WORKSPACE_LABEL_SELECTOR", "a=b", "workspace_label_selector", "a=b"),
        ("MLFLOW_K8S_DEFAULT_WORKSPACE", "team-a", "default_workspace", "team-a"),
        ("MLFLOW_K8S_NAMESPACE_EXCLUDE_GLOBS", "x-*,y", "namespace_exclude_globs", "x-*,y"),
    ],
)
def test_the_plugins_names_work(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(load_settings(), field) == expected


def test_our_own_name_wins_over_the_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_K8S_AUTH_CACHE_TTL_SECONDS", "300")
    monkeypatch.setenv("WORKSPACE_AUTHZ_ALLOW_SECONDS", "7")
    assert load_settings().allow_seconds == 7.0


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_K8S_AUTH_NAMESPACE", "")
    assert load_settings().namespace is None


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MLFLOW_K8S_AUTH_AUTHORIZATION_MODE", "subject_access_review", "set one of WORKSPACE_AUTHZ_PROXY_"),
        ("MLFLOW_K8S_AUTH_AUTHORIZATION_MODE", "nonsense", "is not usable: Input should be"),
        ("MLFLOW_K8S_AUTH_REMOTE_USER_HEADER", "x-user", "MLFLOW_K8S_AUTH_REMOTE_USER_HEADER"),
        ("MLFLOW_K8S_AUTH_REMOTE_GROUPS_HEADER", "x-groups", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_HEADER"),
        ("MLFLOW_K8S_AUTH_REMOTE_GROUPS_SEPARATOR", "|", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_SEPARATOR"),
        ("MLFLOW_K8S_AUTH_CACHE_TTL_SECONDS", "-1", "should be greater than 0"),
        ("WORKSPACE_AUTHZ_PROXY_ADDRESSES", "10.0.0.1/8", "has host bits set"),
        (
            "WORKSPACE_AUTHZ_PROXY_ADDRESSES",
            "10.0.0.1, proxy.example.com",
            "neither an address nor a network",
        ),
        ("WORKSPACE_AUTHZ_PROXY_ADDRESSES", "::/0", "which is everybody"),
        ("WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS", "gateway", "write namespace/name"),
        ("WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS", "a/b/c", "write namespace/name"),
        ("WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS", "system:serviceaccount:a:b", "write namespace/name"),
        ("WORKSPACE_AUTHZ_PROXY_SECRET_HEADER", "x_proxy_secret", "cannot be a header of a proxy"),
        ("WORKSPACE_AUTHZ_PROXY_SECRET_HEADER", "Authorization", "cannot be a header of a proxy"),
        ("WORKSPACE_AUTHZ_PROXY_TOKEN_HEADER", "X-MLFLOW-WORKSPACE", "cannot be a header of a proxy"),
        ("WORKSPACE_AUTHZ_PROXY_TOKEN_HEADER", "x proxy", "cannot be a header of a proxy"),
        ("WORKSPACE_AUTHZ_PROXY_TOKEN_HEADER", "X-Remote-User", "must be four different ones"),
        ("WORKSPACE_AUTHZ_ASSERTED_SYSTEM_NAMES", "system:masters", "is allowed everything"),
        (
            "WORKSPACE_AUTHZ_ASSERTED_SYSTEM_NAMES",
            "system:authenticated:oauth,system:serviceaccount:a:b",
            "must not hold system:serviceaccount:a:b",
        ),
    ],
)
def test_what_cannot_be_stops_the_start_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "\n" not in str(caught.value)
    assert said in str(caught.value)


def test_one_namespace_without_workspaces() -> None:
    settings = load_settings(namespace="team-a")
    assert resolve_single_namespace(settings, mlflow_workspaces=False) == "team-a"


def test_no_single_namespace_with_workspaces() -> None:
    assert resolve_single_namespace(load_settings(), mlflow_workspaces=True) is None


@pytest.mark.parametrize(
    ("settings", "mlflow_workspaces"),
    [
        (Settings(), False),
        (Settings(namespace="team-a"), True),
        (Settings(workspaces_enabled=False, namespace="team-a"), True),
        (Settings(workspaces_enabled=True), False),
    ],
)
def test_settings_that_contradict_mlflows_stop_the_start(settings: Settings, mlflow_workspaces: bool) -> None:
    with pytest.raises(ConfigurationError):
        resolve_single_namespace(settings, mlflow_workspaces=mlflow_workspaces)


PROOFS = {
    "WORKSPACE_AUTHZ_PROXY_SECRET_FILE": "/etc/proxy/secret",
    "WORKSPACE_AUTHZ_PROXY_SERVICE_ACCOUNTS": "istio-system/gateway, auth/proxy",
    "WORKSPACE_AUTHZ_PROXY_ADDRESSES": "10.0.0.7, fd00::/64",
}


@pytest.mark.parametrize("proof", PROOFS)
def test_the_plugins_mode_works_once_the_proxy_can_be_recognized(
    monkeypatch: pytest.MonkeyPatch, proof: str
) -> None:
    for name, value in {
        "MLFLOW_K8S_AUTH_AUTHORIZATION_MODE": "subject_access_review",
        "MLFLOW_K8S_AUTH_REMOTE_USER_HEADER": "Kubeflow-Userid",
        "MLFLOW_K8S_AUTH_REMOTE_GROUPS_HEADER": "kubeflow-groups",
        "MLFLOW_K8S_AUTH_REMOTE_GROUPS_SEPARATOR": ",",
        proof: PROOFS[proof],
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.identity_headers == ("kubeflow-userid", "kubeflow-groups")
    assert settings.groups_separator == ","
    assert settings.needs_own_reviews == (proof,)
    assert settings.asks_with_own_account


def test_what_is_not_set_is_as_kube_rbac_proxy_and_the_plugin_have_it() -> None:
    settings = load_settings()
    assert settings.identity_headers == ("x-remote-user", "x-remote-groups")
    assert settings.groups_separator == "|"
    assert not settings.asks_with_own_account


def test_proxies_are_told_by_accounts_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PROOFS.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.proxy_accounts == {("istio-system", "gateway"), ("auth", "proxy")}
    assert [str(each) for each in settings.proxy_networks] == ["10.0.0.7/32", "fd00::/64"]


def test_a_process_without_an_account_of_its_own_has_callers_by_token_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given the server's environment, as in its pod, then a dry run of the command line starts."""
    plugin = {"AUTHORIZATION_MODE": "subject_access_review", "REMOTE_USER_HEADER": "x-user"}
    for name, value in PROOFS.items():
        monkeypatch.setenv(name, value)
    for name, value in plugin.items():
        monkeypatch.setenv(f"MLFLOW_K8S_AUTH_{name}", value)
    monkeypatch.setenv("WORKSPACE_AUTHZ_AUDIENCES", "mlflow")
    assert not load_settings(**CALLERS_WHO_ASK).asks_with_own_account
