"""HTTP clients that are not Python, as real processes: the JDK's, curl and Node's.

Skips the test (in CI fails it) when one is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.harness.missing import missing

_SOURCES: Final = Path(__file__).parents[1] / "scenarios" / "clients"
_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A request with a body out of a file."""

    method: str
    url: str
    token: str
    workspace: str
    content_type: str
    file: Path

    @property
    def arguments(self) -> Sequence[str]:
        """As our own programs take them."""
        return self.method, self.url, self.token, self.workspace, self.content_type, str(self.file)


def _java(upload: Upload) -> Sequence[str]:
    _demand("javac", "default-jdk-headless")
    return "java", str(_SOURCES / "Client.java"), *upload.arguments


def _curl(upload: Upload) -> Sequence[str]:
    _demand("curl", "curl")
    headers = {
        "Authorization": f"Bearer {upload.token}",
        "X-MLFLOW-WORKSPACE": upload.workspace,
        "Content-Type": upload.content_type,
    }
    given = [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
    body = ("--data-binary", f"@{upload.file}", "--write-out", "%{stderr}%{http_code}")
    return "curl", "--silent", "--http2", "--request", upload.method, *given, *body, upload.url


def _node(upload: Upload, *upgrade: str) -> Sequence[str]:
    _demand("node", "nodejs")
    return "node", str(_SOURCES / "client.mjs"), *upload.arguments, *upgrade


CLIENTS: Final[Mapping[str, Callable[[Upload], Sequence[str]]]] = MappingProxyType(
    {
        "JDK's HttpClient": _java,
        "curl --http2": _curl,
        "Node": _node,
        "Node, h2c": lambda upload: _node(upload, "h2c"),
        "Node, websocket": lambda upload: _node(upload, "websocket"),
    }
)
"""The command of each client."""

UPGRADING: Final = tuple(name for name in CLIENTS if name != "Node")
"""Those that offer an upgrade."""


def send(client: str, upload: Upload) -> tuple[int, bytes]:
    """The answer's status and body."""
    command = CLIENTS[client](upload)
    done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    if command[0] == "curl":
        return int(done.stderr), done.stdout
    status, _, body = done.stdout.partition(b"\n")
    return int(status), body


def _demand(program: str, package: str) -> None:
    if shutil.which(program):
        return
    reason = f"{program} is not installed: apt-get install {package}"
    missing(reason)
