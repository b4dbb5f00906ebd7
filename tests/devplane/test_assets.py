"""Finding the binaries, and the scripts that build them (with a Go that only pretends)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from workspace_authz.devplane import assets
from workspace_authz.errors import ConfigurationError

SCRIPTS = Path(__file__).parents[2] / "scripts"
BINARIES = (assets.APISERVER, assets.CONTROLLER_MANAGER, assets.ETCD, assets.KUBECTL)
TOOLS = (
    *("awk", "bash", "basename", "cat", "chmod", "cut", "dirname", "env", "flock"),
    *("ln", "mkdir", "mktemp", "mv", "rm", "sh", "sha256sum"),
)
FAKE_GO = """#!/bin/sh
echo "$1" >> "$GO_CALLS"
case $1 in
  list) [ "$GO_TOO_OLD" != yes ] ;;
  version) echo "go version pretended" ;;
  build)
    [ "$GO_FAILS" != yes ] || exit 3
    while [ "$1" != -o ]; do shift; done
    for name in kube-apiserver kube-controller-manager kubectl server oauth2-proxy; do
      printf '#!/bin/sh\\n' > "$2$name"; chmod +x "$2$name"
    done ;;
esac
"""


def executable(path: Path, content: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


class Machine:
    """An environment for the script: its tools, a Go that pretends, a cache of its own."""

    def __init__(self, directory: Path) -> None:
        self.calls, self.cache = directory / "calls", directory / "cache"
        self.go = executable(directory / "bin" / "go", FAKE_GO)
        for tool in TOOLS:
            found = shutil.which(tool)
            if found:
                self.go.with_name(tool).symlink_to(found)
        self.environ = {
            "PATH": str(self.go.parent),
            "HOME": str(directory),
            "GO_CALLS": str(self.calls),
            "WORKSPACE_AUTHZ_CACHE": str(self.cache),
        }

    def run(self, script: str = "kube", **extra: str) -> subprocess.CompletedProcess[str]:
        return self.run_at_once(1, extra, script=script)[0]

    def run_at_once(
        self, copies: int, extra: Mapping[str, str], *, script: str = "kube"
    ) -> list[subprocess.CompletedProcess[str]]:
        started = [
            subprocess.Popen(
                [SCRIPTS / script],
                env={**self.environ, **extra},
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(copies)
        ]
        finished = []
        for process in started:
            out, err = process.communicate()
            finished.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
        return finished

    def builds(self) -> int:
        return self.calls.read_text().split().count("build") if self.calls.exists() else 0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_the_script_built_is_found(machine: Machine) -> None:
    done = machine.run()
    assert done.returncode == 0, done.stderr
    built = Path(done.stdout.splitlines()[-1])
    assert built.parent == machine.cache / "kube"
    assert built.name.startswith("v1.36.3-")
    for name in BINARIES:
        found = assets.find_binary(name, environ=machine.environ)
        assert found.resolve() == built / name


def test_the_proxy_is_built_beside(machine: Machine) -> None:
    built = [machine.run("proxies").stdout.strip() for _ in range(2)]
    assert built[0] == built[1]
    assert Path(built[0]).parent == machine.cache / "proxies"
    assert os.access(Path(built[0]) / "oauth2-proxy", os.X_OK)
    assert machine.builds() == 1


def test_the_script_builds_once_even_when_started_twice_at_once(machine: Machine) -> None:
    first, second = machine.run_at_once(2, {})
    assert first.returncode == second.returncode == 0
    assert first.stdout == second.stdout == machine.run().stdout
    assert machine.builds() == 1


def test_a_failed_build_leaves_nothing_behind(machine: Machine) -> None:
    failed = machine.run(GO_FAILS="yes")
    assert failed.returncode not in (0, 69)
    assert [file.name for file in (machine.cache / "kube").iterdir()] == ["lock"]
    with pytest.raises(ConfigurationError):
        assets.find_binary(assets.ETCD, environ=machine.environ)
    assert machine.run().returncode == 0


def test_without_a_go_that_can_read_the_module_the_script_says_so_with_a_status_of_its_own(
    machine: Machine,
) -> None:
    too_old = machine.run(GO_TOO_OLD="yes", PYTHON="false")
    machine.go.unlink()
    missing = machine.run(PYTHON="false")
    for done in (too_old, missing):
        assert done.returncode == 69
        assert "install Go 1.26.0 or newer" in done.stderr
        assert not done.stdout


def test_the_order_is_assets_then_built_then_path(tmp_path: Path) -> None:
    on_path = executable(tmp_path / "path" / assets.KUBECTL)
    environ = {"PATH": f"{os.pathsep}{on_path.parent}", "WORKSPACE_AUTHZ_CACHE": str(tmp_path / "cache")}
    assert assets.find_binary(assets.KUBECTL, environ=environ) == on_path
    built = executable(tmp_path / "cache" / "kube" / "current" / assets.KUBECTL)
    assert assets.find_binary(assets.KUBECTL, environ=environ) == built
    given = executable(tmp_path / "given" / assets.KUBECTL)
    environ["KUBEBUILDER_ASSETS"] = str(given.parent)
    assert assets.find_binary(assets.KUBECTL, environ=environ) == given


def test_the_cache_is_where_the_xdg_variables_say(tmp_path: Path) -> None:
    built = executable(tmp_path / "workspace-authz" / "kube" / "current" / assets.ETCD)
    assert assets.find_binary(assets.ETCD, environ={"XDG_CACHE_HOME": str(tmp_path)}) == built


def test_a_missing_binary_is_an_error_that_names_the_remedy(tmp_path: Path) -> None:
    not_executable = tmp_path / assets.ETCD
    not_executable.write_text("")
    with pytest.raises(ConfigurationError, match=r"run `make kube` .* `--engine embedded`"):
        assets.find_binary(assets.ETCD, environ={"PATH": str(tmp_path), "WORKSPACE_AUTHZ_CACHE": "/none"})
