"""The audit trail: whole lines, off the event loop, bounded, rotated, shared by workers."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest

from workspace_authz.telemetry.audit import NoAudit, QueuedAudit, RotatingFile, open_audit


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_are_json_lines_in_order(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = open_audit(str(path), max_bytes=0, queue_size=100)
    for number in range(20):
        audit.write({"number": number, "user": "zoë"})
    audit.close()

    assert [line["number"] for line in lines(path)] == list(range(20))
    assert "zoë" in path.read_text()


def test_an_audit_file_is_for_its_owner_only(tmp_path: Path) -> None:
    open_audit(str(tmp_path / "audit"), max_bytes=0, queue_size=1).close()

    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o600


def test_off_writes_nothing() -> None:
    audit = open_audit("off", max_bytes=0, queue_size=1)
    audit.write({"user": "alice"})
    audit.close()

    assert isinstance(audit, NoAudit)


def test_standard_error_is_a_sink(capfd: pytest.CaptureFixture[str]) -> None:
    audit = open_audit("stderr", max_bytes=0, queue_size=10)
    audit.write({"user": "alice"})
    audit.close()

    assert json.loads(capfd.readouterr().err)["user"] == "alice"


def test_a_record_has_the_time_at_which_it_was_handed_over() -> None:
    written, now = list[bytes](), iter([1.5, 60.0])
    audit = QueuedAudit(written.append, size=10, time=lambda: next(now))
    audit.write({"which": "first"})
    audit.write({"which": "second"})
    audit.close()

    assert [json.loads(line)["time"] for line in b"".join(written).splitlines()] == [
        "1970-01-01T00:00:01.500+00:00",
        "1970-01-01T00:01:00.000+00:00",
    ]


def test_a_file_that_cannot_be_opened_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        open_audit(str(tmp_path / "missing" / "audit"), max_bytes=0, queue_size=1)


def test_records_beyond_the_queue_are_counted_and_reported() -> None:
    held, written = threading.Event(), list[bytes]()

    def slow(line: bytes) -> None:
        held.wait(10)
        written.append(line)

    audit = QueuedAudit(slow, size=3)
    for number in range(10):
        audit.write({"number": number})
    held.set()
    audit.write({"number": "after"})
    audit.close()

    records = [json.loads(line) for line in b"".join(written).splitlines()]
    kept = [record for record in records if "number" in record]
    dropped = sum(record["count"] for record in records if record.get("audit") == "records dropped")
    assert dropped > 0
    assert len(kept) + dropped == 11


def test_records_that_wait_are_written_together() -> None:
    begun, held, written = threading.Event(), threading.Event(), list[bytes]()

    def slow(lines: bytes) -> None:
        written.append(lines)
        begun.set()
        held.wait(10)

    audit = QueuedAudit(slow, size=1000)
    audit.write({"number": "first"})
    assert begun.wait(10)
    for number in range(150):
        audit.write({"number": number})
    held.set()
    audit.close()

    assert [lines.count(b"\n") for lines in written] == [1, 100, 50]


def test_a_full_disk_costs_what_was_being_written_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    refused, written = threading.Event(), list[bytes]()

    def emit(lines: bytes) -> None:
        if b"first" in lines:
            refused.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(lines)

    audit = QueuedAudit(emit, size=10)
    audit.write({"which": "first"})
    assert refused.wait(10)
    audit.write({"which": "second"})
    audit.close()

    records = [json.loads(line) for line in b"".join(written).splitlines()]
    assert {record.get("which"): record.get("count") for record in records} == {"second": None, None: 1}
    assert audit.dropped == 1
    assert "No space left on device" in caplog.text


def test_a_batch_that_is_written_in_parts_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("os.write", lambda number, content: write(number, content[:7]))
    RotatingFile(tmp_path / "audit", max_bytes=0)(b"one line\nand another\n")

    assert (tmp_path / "audit").read_bytes() == b"one line\nand another\n"


def test_a_file_is_rotated_once_at_its_size(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    append = RotatingFile(path, max_bytes=100)
    for number in range(10):
        append(b"%d" % number * 29 + b"\n")

    kept = (tmp_path / "audit.1").read_bytes() + path.read_bytes()
    assert path.stat().st_size <= 100
    assert kept.endswith(b"9" * 29 + b"\n")
    assert not (tmp_path / "audit.2").exists()


def test_a_worker_follows_the_rotation_of_another(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    one, other = RotatingFile(path, max_bytes=100), RotatingFile(path, max_bytes=100)
    for number in range(3):
        one(b"%d" % number * 29 + b"\n")
    other(b"b" * 29 + b"\n")  # moves the file
    one(b"a" * 29 + b"\n")  # finds its own file moved, and goes on in the new one

    assert (tmp_path / "audit.1").read_bytes().startswith(b"0" * 29)
    assert path.read_bytes() == b"b" * 29 + b"\n" + b"a" * 29 + b"\n"
