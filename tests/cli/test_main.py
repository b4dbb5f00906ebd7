"""The table of commands, and what happens when something goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from types import MappingProxyType

import pytest

from tests.cli.conftest import Run
from workspace_authz import __version__
from workspace_authz.cli import main as main_module
from workspace_authz.cli.main import COMMANDS, Command
from workspace_authz.errors import ConfigurationError
from workspace_authz.lazy import load

HEAVY = {"mlflow", "pydantic", "aiohttp", "cryptography"}


def interrupted(arguments: Sequence[str]) -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_names_every_command(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.status == 0
    assert all(f"  {name} " in result.out for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"demo"}))
def test_every_command_explains_itself(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.status == 0
    assert result.out.startswith(f"usage: workspace-authz {name} [")


def test_version(run: Run) -> None:
    assert run("--version").out == f"workspace-authz {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "invalid choice: 'nonsense'"),
        (("whoami", "--tokn=sha256~secret"), "unknown option --tokn"),
        (("whoami", "sha256~secret"), "too many arguments"),
        (("whoami", "--tok", "sha256~secret"), "unknown option --tok"),
        (("whoami", "--token", "sha256~secret", "--token-file", "x"), "not allowed with argument --token"),
        (("database", "check", "--wait", "nan"), "argument --wait: invalid seconds value: 'nan'"),
        (("database", "check", "--wait=-5"), "argument --wait: invalid seconds value: '-5'"),
        (("gc", "--older-than", "a month"), "takes a number and d, h, m or s"),
        (("gc", "--older-than", "9999999999d"), "50 years at most"),
    ],
)
def test_a_wrong_command_line_is_one_line_without_unknown_values(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    result = run(*arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert result.err.count("\n") == 1
    assert "secret" not in result.err


def test_a_missing_package_names_the_extra_that_brings_it() -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'workspace-authz\[server\]'"):
        load("no_such_package_at_all.inner:run", extra="server")


def test_a_missing_module_of_ours_is_a_defect_and_no_advice() -> None:
    with pytest.raises(ModuleNotFoundError):
        load("workspace_authz.no_such_module:run", extra="server")


def test_an_interrupted_command_ends_as_shells_expect(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    table = MappingProxyType({"wait": Command("", "tests.cli.test_main:interrupted")})
    monkeypatch.setattr(main_module, "COMMANDS", table)
    assert run("wait").status == 130


def test_a_reader_that_leaves_is_no_error_message() -> None:
    command = f"{sys.executable} -m workspace_authz.cli.main routes | head -1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["routes"], set()),
        (["workspaces", "--help"], set()),
        (["whoami", "--token=t", "--kubeconfig=FILE"], {"aiohttp"}),
        (["can-i", "get", "experiments", "-n=a", "--token=t", "--kubeconfig=FILE"], {"aiohttp"}),
        (["explain", "GET", "/", "--token=t", "--kubeconfig=FILE"], {"aiohttp", "pydantic"}),
    ],
)
def test_a_command_imports_no_more_than_it_needs(
    arguments: list[str], allowed: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    kubeconfig = tmp_path_factory.mktemp("imports") / "kubeconfig"
    kubeconfig.write_text(
        "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],"
        " clusters: [{name: k, cluster: {server: 'http://127.0.0.1:9'}}], users: []}"
    )
    program = (
        "import sys\n"
        "from workspace_authz.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print(*({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    given = [argument.replace("FILE", str(kubeconfig)) for argument in arguments]
    result = subprocess.run(
        [sys.executable, "-c", program, *given], capture_output=True, text=True, check=True
    )
    assert set(result.stderr.splitlines()[-1].split()) == allowed
