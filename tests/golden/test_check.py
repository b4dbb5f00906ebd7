"""The golden check itself: it can fail, and it can refresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import check


def test_an_equal_text_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REFRESH_GOLDEN", raising=False)
    (tmp_path / "table.txt").write_text("a\nb\n")
    check("table.txt", "a\nb\n", directory=tmp_path)


def test_another_text_fails_and_shows_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REFRESH_GOLDEN", raising=False)
    (tmp_path / "table.txt").write_text("a\nb\n")
    with pytest.raises(pytest.fail.Exception, match=r"-b\n\+c"):
        check("table.txt", "a\nc\n", directory=tmp_path)


def test_a_missing_file_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REFRESH_GOLDEN", raising=False)
    with pytest.raises(pytest.fail.Exception):
        check("table.txt", "a\n", directory=tmp_path)


def test_the_switch_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFRESH_GOLDEN", "1")
    check("table.txt", "a\n", directory=tmp_path)
    assert (tmp_path / "table.txt").read_text() == "a\n"
