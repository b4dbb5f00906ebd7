"""What the database servers of tests have in common: a directory of their own, and a user who is not root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text


@contextmanager
def own_directory(name: str, user: str) -> Iterator[Path]:
    """A directory of ``user``'s for as long as the block lasts."""
    home = Path(tempfile.mkdtemp(prefix=f"workspace-authz-{name}-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, user, user)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def as_user(user: str, program: str | Path, *arguments: str) -> list[str]:
    """The command for ``user`` where this process is root: these servers refuse to be."""
    command = [str(program), *arguments]
    if os.geteuid() != 0:
        return command
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]


def execute(url: str, statement: str) -> None:
    """Run one statement, outside of any transaction."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
