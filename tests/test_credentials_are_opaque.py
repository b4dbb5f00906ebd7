"""A caller's token is read where reviews are asked, and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import workspace_authz

PACKAGE = Path(workspace_authz.__file__).parent
READERS = {"identity", "authorizer", "kubernetes"}
CLIENTS = {"cli", "client", "devplane", "apps"}
"""Rooms with a token of their own, which they send."""
UNRELATED = {
    # Page tokens of lists.
    "doors/asgi/answers.py",
    "effects/page_tokens.py",
    "mlflow_adapter/upkeep.py",
}


def test_no_other_room_reads_a_token() -> None:
    found = {file for file, name in read_names() if name == "token"}
    assert found - UNRELATED == set()


def test_no_other_room_asks_for_the_token_of_a_credential() -> None:
    assert {file for file, name in read_names() if name == "bearer_token"} == set()


def test_the_exceptions_are_still_needed() -> None:
    names = set(read_names())
    assert {file for file in UNRELATED if (file, "token") not in names} == set()


def read_names() -> Iterator[tuple[str, str]]:
    """``(file, name)`` of every attribute that is accessed, and of every name that is used."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE)
        if file.parts[0] in READERS | CLIENTS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                yield file.as_posix(), node.attr
            elif isinstance(node, ast.Name) and node.id == "bearer_token":
                yield file.as_posix(), node.id
