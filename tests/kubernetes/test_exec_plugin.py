"""Credential plugins: when they run, what they are told, what they may answer, and how they fail."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.fakes import ManualClock
from tests.kubernetes.informer_server import until
from tests.kubernetes.kubeconfigs import kubeconfig
from workspace_authz.devplane.pki import Pki
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.exec_plugin import ExecPlugin, ExecSpec
from workspace_authz.kubernetes.own_credential import ClientAuth, CredentialError

V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"

PLUGIN = """\
#!{python}
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
with open(here / "calls", "a") as calls:
    print(json.dumps({{"arguments": sys.argv[1:], "extra": os.environ.get("EXTRA"),
                       "info": json.loads(os.environ["KUBERNETES_EXEC_INFO"])}}), file=calls)
sys.stdout.write((here / "answer").read_text())
sys.exit(int((here / "status").read_text()))
"""


@dataclass
class Plugin:
    """A command that answers as a test says, and notes its calls."""

    folder: Path
    version: str = V1
    arguments: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.command.write_text(PLUGIN.format(python=sys.executable))
        self.command.chmod(0o755)
        self.prints(token="first")

    @property
    def command(self) -> Path:
        return self.folder / "plugin"

    def prints(self, *, status: int = 0, expires: float | None = None, **fields: str) -> None:
        """The next answers, with ``expires`` in seconds since the epoch."""
        document: dict[str, Any] = {"kind": "ExecCredential", "apiVersion": self.version, "status": fields}
        if expires is not None:
            moment = datetime.fromtimestamp(expires, UTC)
            document["status"]["expirationTimestamp"] = moment.isoformat().replace("+00:00", "Z")
        self.raw(json.dumps(document), status=status)

    def raw(self, text: str, *, status: int = 0) -> None:
        (self.folder / "answer").write_text(text)
        (self.folder / "status").write_text(str(status))

    @property
    def calls(self) -> list[dict[str, Any]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def spec(self) -> ExecSpec:
        return ExecSpec(api_version=self.version, command=str(self.command), interactive_mode="Never")


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


async def test_a_plugin_is_run_once_while_its_credential_is_good(plugin: Plugin, clock: ManualClock) -> None:
    credential = ExecPlugin(plugin.spec(), clock=clock)
    answers = await asyncio.gather(*(credential.current() for _ in range(5)))
    clock.advance(100_000)
    assert [*answers, await credential.current()] == [ClientAuth("first")] * 6
    assert len(plugin.calls) == 1


async def test_a_credential_is_renewed_before_it_expires(plugin: Plugin, clock: ManualClock) -> None:
    plugin.prints(token="first", expires=clock.time() + 900)
    credential = ExecPlugin(plugin.spec(), clock=clock)
    await credential.current()
    plugin.prints(token="second", expires=clock.time() + 1800)
    clock.advance(839)
    assert await credential.current() == ClientAuth("first")
    clock.advance(1)
    assert await credential.current() == ClientAuth("second")
    assert len(plugin.calls) == 2


async def test_a_renewal_that_fails_leaves_the_credential_until_it_expires(
    plugin: Plugin, clock: ManualClock
) -> None:
    plugin.prints(token="first", expires=clock.time() + 900)
    credential = ExecPlugin(plugin.spec(), clock=clock)
    await credential.current()
    plugin.prints(token="never", status=1)
    clock.advance(850)
    for _ in range(5):
        assert await credential.current() == ClientAuth("first")
    assert len(plugin.calls) == 2  # not for every request
    clock.advance(50)
    with pytest.raises(CredentialError, match="ended with status 1"):
        await credential.current()
    plugin.prints(token="second")
    assert await credential.current() == ClientAuth("second")


async def test_a_rejected_credential_is_renewed_but_not_all_the_time(
    plugin: Plugin, clock: ManualClock
) -> None:
    credential = ExecPlugin(plugin.spec(), clock=clock)
    first = await credential.current()
    plugin.prints(token="second")
    assert await credential.renewed(first) == first  # the plugin has just run
    clock.advance(10)
    assert await asyncio.gather(*(credential.renewed(first) for _ in range(5))) == [ClientAuth("second")] * 5
    assert len(plugin.calls) == 2


@pytest.mark.parametrize("version", [V1, V1BETA1])
async def test_a_plugin_is_told_what_the_kubeconfig_says(tmp_path: Path, pki: Pki, version: str) -> None:
    """And a relative command is beside the kubeconfig."""
    (tmp_path / "bin").mkdir()
    plugin = Plugin(tmp_path / "bin", version=version)
    user = {
        "exec": {
            "apiVersion": version,
            "command": "./bin/plugin",
            "args": ["get-token", "--cluster", "c"],
            "env": [{"name": "EXTRA", "value": "given"}],
            "provideClusterInfo": True,
            "interactiveMode": "Never",
        }
    }
    cluster = {
        "certificate-authority": str(pki.ca_cert),
        "tls-server-name": "kubernetes",
        "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}],
    }
    configuration = await load_configuration(kubeconfig(tmp_path / "config", user=user, cluster=cluster))
    assert await configuration.credential.current() == ClientAuth("first")
    (call,) = plugin.calls
    assert (call["arguments"], call["extra"]) == (["get-token", "--cluster", "c"], "given")
    assert call["info"] == {
        "kind": "ExecCredential",
        "apiVersion": version,
        "spec": {
            "interactive": False,
            "cluster": {
                "server": "https://api.example.com:6443",
                "tls-server-name": "kubernetes",
                "certificate-authority-data": base64.b64encode(pki.ca_cert.read_bytes()).decode(),
                "config": {"audience": "a"},
            },
        },
    }


async def test_without_provide_cluster_info_a_plugin_is_told_of_no_cluster(plugin: Plugin) -> None:
    await ExecPlugin(plugin.spec()).current()
    assert plugin.calls[0]["info"]["spec"] == {"interactive": False}


async def test_a_token_that_is_given_comes_before_the_plugin(tmp_path: Path) -> None:
    user = {"token": "t", "exec": {"apiVersion": V1, "command": "/does/not/exist"}}
    configuration = await load_configuration(kubeconfig(tmp_path / "config", user=user))
    assert await configuration.credential.current() == ClientAuth("t")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "hidden",
        "[" * 100_000,
        "[]",
        '{"kind": "ExecCredential"}',
        json.dumps({"kind": "ExecCredential", "apiVersion": V1}),
        json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": {}}),
        json.dumps({"kind": "Status", "apiVersion": V1, "status": {"token": "hidden"}}),
        json.dumps({"kind": "ExecCredential", "apiVersion": V1BETA1, "status": {"token": "hidden"}}),
        json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": {"token": "hidden token"}}),
        json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": {"token": ["hidden"]}}),
        json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": {"clientKeyData": "hidden"}}),
        json.dumps(
            {
                "kind": "ExecCredential",
                "apiVersion": V1,
                "status": {"token": "hidden", "expirationTimestamp": "tomorrow"},
            }
        ),
        json.dumps(
            {
                "kind": "ExecCredential",
                "apiVersion": V1,
                "status": {"token": "hidden", "expirationTimestamp": "2030-01-01T00:00:00"},
            }
        ),
    ],
)
async def test_what_is_no_credential_is_refused_unseen(plugin: Plugin, answer: str) -> None:
    plugin.raw(answer)
    with pytest.raises(
        CredentialError, match="of the kubeconfig did not print a usable ExecCredential"
    ) as error:
        await ExecPlugin(plugin.spec()).current()
    assert "hidden" not in str(error.value)


async def test_a_certificate_that_is_none_is_refused(plugin: Plugin) -> None:
    plugin.prints(clientCertificateData="hidden", clientKeyData="hidden")
    with pytest.raises(CredentialError) as error:
        await ExecPlugin(plugin.spec()).current()
    assert "hidden" not in str(error.value)


async def test_a_missing_plugin_shows_its_install_hint(tmp_path: Path) -> None:
    plugin = {
        "apiVersion": V1,
        "command": "kubelogin-that-is-not-there",
        "args": ["--secret=hidden"],
        "installHint": "Install kubelogin:\n  see https://example.com/kubelogin",
    }
    with pytest.raises(ConfigurationError) as error:
        await load_configuration(kubeconfig(tmp_path / "config", user={"exec": plugin}))
    assert str(error.value) == (
        "The credential plugin kubelogin-that-is-not-there of the kubeconfig cannot be run: "
        "No such file or directory. Install kubelogin: see https://example.com/kubelogin"
    )


def runs(process: int) -> bool:
    """Whether a process does, and not only waits to be collected by its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_plugin_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    command = tmp_path / "hangs"
    child = tmp_path / "child"
    command.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {child}.new\nmv {child}.new {child}\nwait\n")
    command.chmod(0o755)
    spec = ExecSpec(api_version=V1, command=str(command), interactive_mode="Never")
    async with asyncio.timeout(300):
        for seconds in (1, 10, 100):  # a busy machine may take longer until the child is there
            with pytest.raises(CredentialError, match=f"did not end within {seconds} seconds"):
                await ExecPlugin(spec, seconds=seconds).current()
            if child.exists():
                break
    await until(lambda: not runs(int(child.read_text())))


async def test_a_plugin_that_asks_in_the_terminal_is_ended_with_its_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the group of our own process, which must go on."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    command, number = tmp_path / "asks", tmp_path / "number"
    command.write_text(f"#!/bin/sh\necho $$ > {number}.new\nmv {number}.new {number}\nexec sleep 60\n")
    command.chmod(0o755)
    spec = ExecSpec(api_version=V1, command=str(command), interactive_mode="IfAvailable")
    caller = asyncio.create_task(ExecPlugin(spec).current())
    await until(number.exists)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await until(lambda: not runs(int(number.read_text())))


async def test_a_plugin_that_needs_a_terminal_says_so(plugin: Plugin) -> None:
    spec = ExecSpec(api_version=V1, command=str(plugin.command), interactive_mode="Always")
    with pytest.raises(CredentialError, match="of the kubeconfig needs a terminal"):
        await ExecPlugin(spec).current()


async def test_the_loop_runs_while_a_plugin_does(tmp_path: Path) -> None:
    """Given a plugin that waits for a file, then what makes the file has its turn."""
    command, begun, go_on = (tmp_path / name for name in ("slow", "begun", "go-on"))
    answer = json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": {"token": "slow"}})
    waits = f"for _ in $(seq 2400); do test -e {go_on} && break; sleep 0.05; done"
    command.write_text(f"#!/bin/sh\ntouch {begun}\n{waits}\necho '{answer}'\n")
    command.chmod(0o755)
    asking = asyncio.create_task(ExecPlugin(ExecSpec(api_version=V1, command=str(command))).current())
    await until(begun.exists)
    assert not asking.done()
    go_on.touch()
    assert await asking == ClientAuth("slow")
