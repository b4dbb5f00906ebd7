"""Whose token, which namespace: the order in which they are looked for."""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
from pathlib import Path

import pytest

from tests.cli.kubeconfigs import kubeconfig
from workspace_authz.cli.access import Access, demand_namespace, find_access
from workspace_authz.cli.options import add_caller, add_namespace, command_parser
from workspace_authz.errors import ConfigurationError


def options(*arguments: str) -> argparse.Namespace:
    parser = command_parser("test", "")
    add_namespace(parser)
    add_caller(parser)
    return parser.parse(arguments)


def find(*arguments: str) -> Access:
    return asyncio.run(find_access(options(*arguments)))


@pytest.fixture
def with_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = kubeconfig(tmp_path / "kubeconfig", user={"token": "from-kubeconfig"}, namespace="of-context")
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def test_the_option_comes_first(with_token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "from-environment")
    access = find("--token", "from-option")
    assert (access.token, access.source) == ("from-option", "--token")


def test_then_a_file(with_token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "from-environment")
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert find("--token-file", str(file)).token == "from-file"


def test_a_token_comes_through_standard_input(with_token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("from-stdin\n"))
    assert find("--token-file", "-").token == "from-stdin"


def test_then_mlflows_variable(with_token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "from-environment")
    access = find()
    assert (access.token, access.source) == ("from-environment", "MLFLOW_TRACKING_TOKEN")


def test_then_the_kubeconfigs_user(with_token: Path) -> None:
    access = find()
    assert (access.token, access.source) == ("from-kubeconfig", "kubeconfig")


def test_the_option_names_another_kubeconfig(with_token: Path, tmp_path: Path) -> None:
    other = kubeconfig(tmp_path / "other", user={"token": "from-other"})
    assert find("--kubeconfig", str(other)).token == "from-other"


def test_a_plugin_of_the_kubeconfig_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = "client.authentication.k8s.io/v1"
    answer = f'{{"apiVersion": "{api}", "kind": "ExecCredential", "status": {{"token": "from-plugin"}}}}'
    user = {"exec": {"apiVersion": api, "command": "echo", "args": [answer], "interactiveMode": "Never"}}
    path = kubeconfig(tmp_path / "kubeconfig", user=user, namespace="of-context")
    monkeypatch.setenv("KUBECONFIG", str(path))
    access = find()
    assert (access.token, access.context_namespace) == ("from-plugin", "of-context")


def test_a_given_token_needs_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/does/not/exist"}}
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", user=user)))
    assert find("--token", "mine").token == "mine"


def test_several_kubeconfigs_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kubeconfig(tmp_path / "first", user={"token": "from-first"}, namespace="first")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}")
    access = find()
    assert (access.token, access.context_namespace) == ("from-first", "first")


@pytest.mark.parametrize("user", [{}, {"username": "u", "password": "hidden"}])
def test_without_any_token_the_error_says_where_to_put_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: dict[str, str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", user=user)))
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_TOKEN") as error:
        find()
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ünicode", "\udcff"])
def test_what_cannot_be_a_token_is_refused_unseen(with_token: Path, token: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        find("--token", token)
    assert str(error.value) == "What --token gives is no token."


def test_a_token_file_that_is_missing(with_token: Path) -> None:
    with pytest.raises(ConfigurationError, match="token file"):
        find("--token-file", "/does/not/exist")


def test_no_token_is_in_the_representation(with_token: Path) -> None:
    assert "from-kubeconfig" not in repr(find())


def test_the_namespace_is_looked_for_in_order(with_token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = find()
    assert demand_namespace(options(), access) == "of-context"
    monkeypatch.setenv("MLFLOW_WORKSPACE", "of-environment")
    assert demand_namespace(options(), access) == "of-environment"
    assert demand_namespace(options("-n", "of-option"), access) == "of-option"


def test_without_a_namespace_the_error_says_how_to_give_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", user={"token": "t"})))
    access = find()
    with pytest.raises(ConfigurationError, match="-n NAME, or set MLFLOW_WORKSPACE"):
        demand_namespace(options(), access)
