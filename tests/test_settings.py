"""Settings: the plugin's names work, and what is not built or contradicts itself stops the start."""

from __future__ import annotations

import pytest

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings.settings import Settings, load_settings, resolve_single_namespace


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
        ("MLFLOW_K8S_AUTH_AUTHORIZATION_MODE", "subject_access_review", "not built in this release"),
        ("MLFLOW_K8S_AUTH_AUTHORIZATION_MODE", "nonsense", "is not usable: Input should be"),
        ("MLFLOW_K8S_AUTH_REMOTE_USER_HEADER", "x-user", "MLFLOW_K8S_AUTH_REMOTE_USER_HEADER"),
        ("MLFLOW_K8S_AUTH_REMOTE_GROUPS_HEADER", "x-groups", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_HEADER"),
        ("MLFLOW_K8S_AUTH_REMOTE_GROUPS_SEPARATOR", "|", "MLFLOW_K8S_AUTH_REMOTE_GROUPS_SEPARATOR"),
        ("MLFLOW_K8S_AUTH_CACHE_TTL_SECONDS", "-1", "should be greater than 0"),
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
