"""Which token is found where several are there, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.kubeconfigs import kubeconfig
from tests.client.test_logins import LOGIN, SERVER
from tests.identity.jwts import jwt
from workspace_authz.client.environment import LOGINS, SERVICE_ACCOUNT, TOKEN_FILE, ClientEnvironment, origin
from workspace_authz.client.logins import Login, Logins
from workspace_authz.client.sources import Places, Tokens, account_name
from workspace_authz.errors import ConfigurationError

URL = "https://mlflow.example.com/mlflow/api/2.0/mlflow/runs/get"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the machine that the tests run on."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return home


def places(tmp_path: Path, *, mounted: str = "", pod: str = "", namespace: str = "") -> Places:
    """A pod's files; empty ones are not there."""
    found = Places(mounted=tmp_path / "mounted" / "token", pod=tmp_path / "pod")
    for file, content in ((found.mounted, mounted), (found.pod / "token", pod)):
        file.parent.mkdir(exist_ok=True)
        if content:
            file.write_text(f"{content}\n")
    if namespace:
        (found.pod / "namespace").write_text(namespace)
    return found


def valid(directory: Path, workspace: str = "") -> Login:
    """A login that is kept."""
    token = jwt({"sub": "alice", "exp": 10**10})
    login = Login(
        **{
            **{name: getattr(LOGIN, name) for name in LOGIN.__slots__},
            "id_token": token,
            "workspace": workspace,
        }
    )
    Logins(directory).write(login)
    return login


def test_a_mounted_token_and_the_pods_namespace(tmp_path: Path) -> None:
    tokens = Tokens({}, places=places(tmp_path, mounted="for-mlflow", pod="for-the-api", namespace="team-a"))
    found = tokens.find(URL)
    assert (found.token, found.workspace) == ("for-mlflow", "team-a")
    assert "for-mlflow" not in repr(found)


def test_a_rotated_token_counts_at_once(tmp_path: Path) -> None:
    """The kubelet replaces the file; nothing of it is remembered."""
    where = places(tmp_path, mounted="first")
    tokens = Tokens({}, places=where)
    assert tokens.find(URL).token == "first"
    where.mounted.write_text("second")
    assert tokens.find(URL).token == "second"


def test_a_file_that_somebody_names_comes_first_and_its_namespace_with_it(tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.mkdir()
    (named / "token").write_text("named")
    where = places(tmp_path, mounted="for-mlflow", namespace="team-a")
    tokens = Tokens({TOKEN_FILE: str(named / "token")}, places=where)
    assert (tokens.find(URL).token, tokens.find(URL).workspace) == ("named", "team-a")
    (named / "namespace").write_text("team-b")
    assert tokens.find(URL).workspace == "team-b"


@pytest.mark.parametrize("content", ["", "two words", "ümlaut"])
def test_a_named_file_that_cannot_be_used_is_an_error_and_not_another_token(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "bad").write_text(content)
    where = places(tmp_path, mounted="for-mlflow")
    for file in ("bad", "missing"):
        with pytest.raises(ConfigurationError, match="token"):
            Tokens({TOKEN_FILE: str(tmp_path / file)}, places=where).find(URL)


def test_a_login_comes_before_what_the_pod_has_anyway(tmp_path: Path) -> None:
    where = places(tmp_path, pod="for-the-api", namespace="team-a")
    environ = {LOGINS: str(tmp_path / "logins")}
    assert Tokens(environ, places=where).find(URL).token == "for-the-api"
    login = valid(tmp_path / "logins")
    assert Tokens(environ, places=where).find(URL).token == login.id_token
    assert Tokens(environ, places=where).find(URL).workspace == "team-a"
    valid(tmp_path / "logins", "team-b")
    assert Tokens(environ, places=where).find(URL).workspace == "team-b"


@pytest.mark.parametrize(
    "url",
    ["https://evil.example.com/api", "http://mlflow.example.com/api", "https://mlflow.example.com:8443/"],
)
def test_a_login_is_sent_to_no_other_server(tmp_path: Path, url: str) -> None:
    valid(tmp_path / "logins")
    with pytest.raises(ConfigurationError, match="There is no token for"):
        Tokens({LOGINS: str(tmp_path / "logins")}, places=places(tmp_path)).find(url)


def test_where_nothing_is_there_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"workspace-authz login.*KUBECONFIG.*mount"):
        Tokens({}, places=places(tmp_path)).find(URL)


def test_a_kubeconfig_in_the_home_directory(tmp_path: Path, home: Path) -> None:
    (home / ".kube").mkdir()
    kubeconfig(home / ".kube" / "config", user={"token": "of-the-kubeconfig"}, namespace="team-c")
    found = Tokens({}, places=places(tmp_path)).find(URL)
    assert (found.token, found.workspace) == ("of-the-kubeconfig", "team-c")


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({"token": "t", "as": "somebody"}, "acts as 'somebody'"),
        ({}, f"set {SERVICE_ACCOUNT}"),
    ],
)
def test_a_kubeconfig_without_a_token_for_mlflow_says_what_to_do(
    tmp_path: Path, home: Path, user: Mapping[str, str], message: str
) -> None:
    (home / ".kube").mkdir()
    kubeconfig(home / ".kube" / "config", user=user)
    with pytest.raises(ConfigurationError, match=message):
        Tokens({}, places=places(tmp_path)).find(URL)


def test_another_kubeconfig_counts_at_once_and_a_rejected_token_is_asked_anew(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that says not when it expires is kept for a minute; the plugin counts its runs."""
    runs = tmp_path / "runs"
    head = (
        '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t'
    )
    script = f"echo run >> {runs}\necho '{head}'$(wc -l < {runs})'\"}}}}'\n"
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", script],
        "interactiveMode": "Never",
    }
    file = kubeconfig(tmp_path / "kubeconfig", user={"exec": plugin})
    monkeypatch.setenv("KUBECONFIG", str(file))
    tokens = Tokens({"KUBECONFIG": str(file)}, places=places(tmp_path))
    assert [tokens.find(URL).token, tokens.find(URL).token] == ["t1", "t1"]
    tokens.rejected("another")
    assert tokens.find(URL).token == "t1"
    tokens.rejected("t1")
    assert tokens.find(URL).token == "t2"
    kubeconfig(file, user={"token": "of-another-user"})
    assert tokens.find(URL).token == "of-another-user"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://MLflow.example.com/mlflow", SERVER),
        ("https://u:p@mlflow.example.com:443", SERVER),
        ("http://[::1]:5000/x", "http://[::1]:5000"),
        ("http://h", "http://h:80"),
    ],
)
def test_origins(url: str, expected: str) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize("url", ["", "mlflow.example.com", "file:///etc", "https://", "https://h:x"])
def test_what_is_no_address_of_a_server(url: str) -> None:
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_URI"):
        origin(url)


def test_names_of_service_accounts() -> None:
    assert account_name("team-b/trainer", "team-a") == ("team-b", "trainer")
    assert account_name("trainer", "team-a") == ("team-a", "trainer")
    for text, namespace in (("trainer", None), ("a/b/c", "n"), ("team-b/", "n"), ("", "n")):
        with pytest.raises(ConfigurationError, match="NAMESPACE/NAME"):
            account_name(text, namespace)


def test_where_logins_are(home: Path, tmp_path: Path) -> None:
    assert ClientEnvironment.read({}).logins == home / ".local/state/workspace-authz/logins"
    given = ClientEnvironment.read({"XDG_STATE_HOME": str(tmp_path)})
    assert given.logins == tmp_path / "workspace-authz/logins"
    assert (
        ClientEnvironment.read({"XDG_STATE_HOME": "relative"}).logins
        == home / ".local/state/workspace-authz/logins"
    )
