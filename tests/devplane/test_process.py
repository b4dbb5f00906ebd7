"""Processes of an engine: log, death, end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workspace_authz.devplane import process as module
from workspace_authz.devplane.api import until
from workspace_authz.devplane.process import Child, spawn

SHELL = Path("/bin/sh")


async def shell(command: str, directory: Path) -> Child:
    return await spawn(SHELL, ["-c", command], directory=directory)


async def test_it_runs_in_the_directory_and_logs_there(tmp_path: Path) -> None:
    child = await shell("pwd; echo problem >&2; exit 7", tmp_path)
    died = await child.died()
    assert str(died) == f"sh ended with status 7 (log: {tmp_path / 'sh.log'}): {tmp_path} | problem"
    await child.stop()  # of one that has ended


async def test_ctrl_c_in_a_terminal_does_not_reach_it(tmp_path: Path) -> None:
    child = await shell("exec sleep 600", tmp_path)
    assert os.getpgid(child.process.pid) == child.process.pid != os.getpgid(0)
    await child.stop()


async def test_a_later_start_keeps_the_log_and_only_its_end_is_told(tmp_path: Path) -> None:
    await (await shell("echo first", tmp_path)).died()
    died = await (await shell("seq 5; kill -9 $$", tmp_path)).died()
    assert str(died).endswith("): 1 | 2 | 3 | 4 | 5")
    assert "signal SIGKILL" in str(died)
    assert child_log(tmp_path).startswith("first\n1\n")


async def test_silence_is_told_as_such(tmp_path: Path) -> None:
    assert str(await (await shell("exit 1", tmp_path)).died()).endswith(": (empty)")


async def test_stop_asks_and_then_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    willing = await shell("exec sleep 600", tmp_path)
    await willing.stop()
    assert willing.process.returncode is not None
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.2)
    deaf = await shell("trap '' TERM; echo deaf; while :; do sleep 0.1; done", tmp_path)
    await until_logged(tmp_path, "deaf")
    await deaf.stop()
    assert deaf.process.returncode == -9


def child_log(directory: Path) -> str:
    return (directory / "sh.log").read_text()


async def until_logged(directory: Path, word: str) -> None:
    async def logged() -> bool:
        return word in child_log(directory)

    await until(logged)
