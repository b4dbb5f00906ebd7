"""Files with keys of sessions."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

from workspace_authz.identity.sessions.sealer import KEY_BYTES


def new_key() -> str:
    """A line of such a file."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def key_file(file: Path, *lines: str) -> Path:
    """A file with these keys; with a new one unless any is given."""
    file.write_text("\n".join(lines or (new_key(),)) + "\n")
    return file
