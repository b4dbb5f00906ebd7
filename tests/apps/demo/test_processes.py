"""Child processes of the demo: what they inherit, how they are heard, and that they end."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from workspace_authz.apps.demo.processes import DemoError, child

FOREVER = "import time; time.sleep(3600)"
# A grandchild in the same session tells its process id and stays.
PARENT = f"""
import subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", {FOREVER!r}])
print(grandchild.pid, flush=True)
grandchild.wait()
"""


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def alive(process: int) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_what_a_child_starts_ends_with_it(tmp_path: Path) -> None:
    async with child("it", python(PARENT), environment={}, log=tmp_path / "log", talks=True) as process:
        grandchild = int(await process.line(seconds=30))
        assert alive(grandchild)

    assert process.process.returncode is not None
    assert not alive(grandchild)


async def test_a_child_ends_when_the_demo_fails(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="elsewhere"):
        async with child("it", python(FOREVER), environment={}, log=tmp_path / "log") as process:
            raise DemoError("elsewhere")

    assert process.process.returncode is not None


async def test_settings_of_the_shell_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_TOKEN", "WORKSPACE_AUTHZ_STRICT", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.setenv(name, "foreign")
    show = "import os; print([k for k, v in os.environ.items() if v in ('foreign', 'ours')])"

    async with child(
        "it", python(show), environment={"KUBECONFIG": "ours"}, log=tmp_path / "log", talks=True
    ) as process:
        assert await process.line(seconds=30) == b"['KUBECONFIG']\n"


async def test_a_child_that_ended_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    code = "import sys; print('starting'); sys.exit('no such database')"

    async with child("MLflow", python(code), environment={}, log=tmp_path / "it.log") as process:
        error = await process.death()

    assert str(error).startswith(f"MLflow ended with status 1; from {tmp_path / 'it.log'}:")
    assert "no such database" in str(error)


async def test_a_talking_child_that_ends_is_no_silence(tmp_path: Path) -> None:
    async with child("bob", python("pass"), environment={}, log=tmp_path / "log", talks=True) as process:
        with pytest.raises(DemoError, match="bob ended with status 0"):
            await process.line(seconds=30)


async def test_silence_is_an_error_that_names_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with child("bob", python(FOREVER), environment={}, log=log, talks=True) as process:
        with pytest.raises(DemoError, match=f"bob said nothing for 0 s; its log is {log}"):
            await process.line(seconds=0.01)


async def test_a_child_that_talks_hears(tmp_path: Path) -> None:
    echo = "print(input().upper())"
    async with child("bob", python(echo), environment={}, log=tmp_path / "log", talks=True) as process:
        await process.send(b"hello\n")

        assert await process.line(seconds=30) == b"HELLO\n"


async def test_ctrl_c_in_the_terminal_does_not_reach_a_child(tmp_path: Path) -> None:
    async with child("it", python(FOREVER), environment={}, log=tmp_path / "log") as process:
        await asyncio.sleep(0)

        assert os.getsid(process.process.pid) == process.process.pid
