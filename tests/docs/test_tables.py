"""The generated tables of the documents: what is in them, and that stale ones are noticed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.docs_tables import (
    ROOT,
    TABLES,
    deletions_table,
    limits_table,
    main,
    metrics_table,
    roles_table,
    settings_table,
    with_section,
)
from workspace_authz.errors import RequestError
from workspace_authz.settings.settings import Settings
from workspace_authz.types import Resource


def written(root: Path) -> Path:
    """A repository in which nothing is stale."""
    for path, tables in TABLES.items():
        file = root / path
        file.parent.mkdir(exist_ok=True)
        sections = (f"<!-- generated:{name} -->\nstale\n<!-- /generated:{name} -->\n" for name in tables)
        file.write_text(f"# Title\n{''.join(sections)}end\n")
    assert main(["--root", str(root)]) == 0
    return root


def test_the_committed_tables_are_fresh() -> None:
    assert main(["--check"]) == 0


def test_writing_makes_everything_fresh(tmp_path: Path) -> None:
    root = written(tmp_path)
    assert main(["--check", "--root", str(root)]) == 0
    for path in TABLES:
        text = (root / path).read_text()
        assert text.startswith("# Title\n")
        assert text.endswith("\nend\n")
        assert "\nstale\n" not in text


@pytest.mark.parametrize("path", TABLES)
def test_check_names_a_stale_file_and_leaves_it_alone(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path) / path
    changed = file.read_text().replace("|---|", "|----|")
    file.write_text(changed)
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"stale: {path} (make refresh)\n"
    assert file.read_text() == changed


@pytest.mark.parametrize("path", TABLES)
def test_a_file_without_its_markers_is_named(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (written(tmp_path) / path).write_text("# Title\n")
    assert main(["--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"{path}: the markers <!-- generated:")


def test_the_settings_name_every_field() -> None:
    rows = settings_table().splitlines()[2:]
    assert len(rows) == len(Settings.model_fields)
    assert "| `WORKSPACE_AUTHZ_STRICT` | `false` |" in settings_table()
    assert (
        "`WORKSPACE_AUTHZ_ALLOW_SECONDS`<br>`MLFLOW_K8S_AUTH_CACHE_TTL_SECONDS` | `10` |" in settings_table()
    )


def test_the_roles_name_every_resource_and_what_each_role_may() -> None:
    rows = {row.split("|")[1].strip(" `"): row for row in roles_table().splitlines()[2:]}
    assert set(Resource) <= rows.keys()
    assert rows["gatewaysecrets"].split("|")[2:4] == [" – ", " get list create update delete "]
    assert rows["gatewayendpoints/use"].split("|")[2:6] == [" – ", " create ", " create ", " create "]


def test_the_deletions_name_operations_under_their_right() -> None:
    (row,) = [row for row in deletions_table().splitlines() if row.startswith("| `update experiments` |")]
    assert {"DeleteRun", "DeleteTag"} <= set(row.split("|")[2].replace(",", "").split())


def test_the_limits_say_what_happens_beyond_them() -> None:
    assert "| a token | 32 KiB |  | 401 |" in limits_table()
    assert "| a verdict, without waiting for the caller's body | 9 s |  | 503 |" in limits_table()


def test_the_metrics_have_their_labels() -> None:
    assert "| `workspace_authz_request_seconds` | histogram | outcome |" in metrics_table()
    assert "| `workspace_authz_audit_dropped_total` | counter |  |" in metrics_table()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- generated:x -->",
        "<!-- /generated:x --> <!-- generated:x -->",
        "<!-- generated:x --> <!-- generated:x --> <!-- /generated:x -->",
        "<!-- generated:x --> <!-- /generated:x --> <!-- /generated:x -->",
    ],
)
def test_missing_or_doubled_markers_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="must each be there once"):
        with_section(text, "x", body="new")


def test_a_section_is_replaced_between_its_markers() -> None:
    text = "a\n<!-- generated:x -->\nstale\n<!-- /generated:x -->\nb"
    changed = with_section(text, "x", body="new")
    assert changed == "a\n<!-- generated:x -->\nnew\n<!-- /generated:x -->\nb"


def errors() -> set[tuple[int, str]]:
    """Status and code of every refusal."""
    found, waiting = set(), [RequestError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found.add((kind.status, kind.code))
    return found


def test_every_refusal_is_explained_to_callers() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", (ROOT / "docs/clients.md").read_text(), re.MULTILINE)
    assert {(int(status), code) for status, code in rows} == errors()


def texts() -> Iterator[str]:
    """Every text in the code of the server, with ``…`` for what is put in."""
    for file in (ROOT / "workspace_authz").glob("**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)  # type: ignore[misc]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_sentence_that_a_person_reads_is_one_of_the_code() -> None:
    section = (ROOT / "docs/clients.md").read_text().split("| sentence | what to do |")[1].split("\n\n")[0]
    sentences = [row.split("|")[1].strip() for row in section.splitlines()[2:]]
    said = list(texts())
    assert len(sentences) > 10
    assert [sentence for sentence in sentences if not _is_said(sentence, said)] == []


def _is_said(sentence: str, said: list[str]) -> bool:
    parts = [part.strip(' ".;') for part in sentence.split("…") if part.strip(' ".;')]
    return any(all(part in text for part in parts) for text in said)
