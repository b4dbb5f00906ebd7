"""Every link of the documents that leads to a place in the repository leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import DOCUMENTS, ROOT, anchors, is_there, links, named_tests


def broken(file: Path) -> list[str]:
    """The relative links of a document that lead nowhere."""
    return [link for link in links(file.read_text()) if "://" not in link and not _leads(file, link)]


def _leads(file: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = file.parent / path if path else file
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_somewhere(document: str) -> None:
    assert broken(ROOT / document) == []


@pytest.mark.parametrize(
    "link",
    ["other.md", "folder", "#a-title-is-here", "#what-is-it", "other.md#x", "https://example.com/none"],
)
def test_links_that_lead_somewhere(link: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.md").write_text("# X\n")
    document = tmp_path / "document.md"
    document.write_text(f"# A title, is here\n\n## What is *it*?\n\n[there]({link})\n")
    assert broken(document) == []


@pytest.mark.parametrize("link", ["missing.md", "#missing", "other.md#missing", "#in-a-block"])
def test_links_that_lead_nowhere(link: str, tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# X\n")
    document = tmp_path / "document.md"
    document.write_text(f"# A\n\n[there]({link})\n\n```sh\n# In a block\n```\n")
    assert broken(document) == [link]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_test_that_a_document_names_is_there(document: str) -> None:
    named = named_tests((ROOT / document).read_text())
    assert [test for test in named if not is_there(*test)] == []


def test_documents_name_tests() -> None:
    assert len(named_tests((ROOT / "docs" / "clients.md").read_text())) > 20


def test_a_test_that_is_not_there_is_noticed() -> None:
    (here, gone) = named_tests("[`test_documents_name_tests`, `test_x`](../tests/docs/test_links.py)")
    assert is_there(*here)
    assert not is_there(*gone)


def test_a_link_in_a_block_is_no_link() -> None:
    assert links("```text\n[a](missing.md)\n```\n[b](there.md)\n") == ["there.md"]


def test_a_heading_that_is_there_twice_has_two_anchors() -> None:
    assert anchors("# Same\n\n## Same\n") == {"same", "same-1"}


def test_every_document_that_a_file_cites_is_there() -> None:
    cited = {
        (str(file.relative_to(ROOT)), name)
        for folder in ("workspace_authz", "tests", "bench", "scripts", "kustomize", "manifests")
        for file in (ROOT / folder).glob("**/*")
        if file.suffix in (".py", ".yaml", ".json", "") and file.is_file()
        for name in re.findall(r"\bdocs/[a-z]+\.md\b", file.read_text(errors="ignore"))
    }
    assert len(cited) > 5
    assert [each for each in sorted(cited) if not (ROOT / each[1]).is_file()] == []
