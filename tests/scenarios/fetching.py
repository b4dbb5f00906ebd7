"""The command ``fetch`` as the pod of a service account runs it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.harness.http_server import serving
from tests.harness.processes import clean_environment, script
from workspace_authz.client.fetch.address import parse_address
from workspace_authz.client.fetch.fetching import fetch
from workspace_authz.client.fetch.outcome import Exit, FetchError
from workspace_authz.client.fetch.server import TrackingServer

_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Done:
    """What the command did."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Pod:
    """The files and variables of a pod with a projected token, and its home."""

    uri: str
    home: Path
    token: str = field(repr=False)
    namespace: str
    variables: Mapping[str, str] = field(default_factory=dict)
    """Beside those of every pod."""

    @property
    def token_file(self) -> Path:
        """Where the kubelet puts the token."""
        return self.home / "volume" / "token"

    def renew(self, token: str) -> None:
        """Put another token in its place at once, as the kubelet does."""
        new = self.token_file.with_name("new")
        new.write_text(token)
        new.replace(self.token_file)

    @property
    def environment(self) -> Mapping[str, str]:
        volume = self.home / "volume"
        volume.mkdir(parents=True, exist_ok=True)
        self.token_file.write_text(self.token)
        (volume / "namespace").write_text(self.namespace)
        return {
            **clean_environment(),
            "HOME": str(self.home),
            "MLFLOW_TRACKING_URI": self.uri,
            "WORKSPACE_AUTHZ_CLIENT_TOKEN_FILE": str(self.token_file),
            **self.variables,
        }

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Begin to fetch."""
        return subprocess.Popen(
            [str(script("workspace-authz")), "fetch", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(self.environment),
            cwd=self.home,
        )

    def fetch(self, *arguments: str | Path) -> Done:
        """Fetch to the end."""
        return self.end(self.start(*arguments))

    def end(self, process: subprocess.Popen[str]) -> Done:
        """What a fetch that was begun did in the end."""
        out, err = process.communicate(timeout=_SECONDS)
        assert self.token not in out + err
        return Done(process.returncode, out, err)

    def fetch_here(self, uri: str, directory: Path) -> Done:
        """As :meth:`fetch`, in this process. There is nothing that it waits for between attempts."""
        server = TrackingServer.from_environment(self.environment)
        server.sleep = lambda _: None
        told: list[str] = []
        status: int = Exit.COMPLETE
        err = ""
        try:
            fetch(server, parse_address(uri), directory=directory, tell=told.append)
        except FetchError as error:
            status, err = error.status, str(error)
        assert self.token not in "\n".join(told) + err
        return Done(status, "\n".join(told), err)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but the one in which fetch notes what it did."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and not file.name.startswith(".workspace-authz-fetch")
    }


@dataclass
class Line:
    """A proxy before MLflow whose connections break. ``cut`` is the number of bytes of a file that pass."""

    url: str
    cut: int | None = None
    stall: bool = False
    """Whether a cut connection stays open and silent, else it closes."""
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """Paths of files and the headers of the request."""
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once a connection was cut."""
    release: threading.Event = field(default_factory=threading.Event)


@contextmanager
def breaking_line(upstream: str) -> Iterator[Line]:
    """A line for as long as the block lasts. Answers other than files pass as they are."""
    parts = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request("GET", self.path, headers={**headers, "Host": parts.netloc})
            self.pass_on(connection.getresponse())
            connection.close()

        def pass_on(self, answer: HTTPResponse) -> None:
            is_file = "/mlflow-artifacts/artifacts/" in self.path
            body = answer.read()
            if is_file:
                line.asked.append((self.path, dict(self.headers)))
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut = line.cut if is_file else None
            self.wfile.write(body if cut is None else body[:cut])
            if cut is not None and cut < len(body):
                self.wfile.flush()
                line.reached.set()
                if line.stall:
                    line.release.wait(_SECONDS)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        line = Line(url)
        try:
            yield line
        finally:
            line.release.set()


def everything_below(folder: Path) -> list[str]:
    """Names of all that is in a folder, hidden or not; none where there is no folder."""
    return sorted(os.listdir(folder)) if folder.exists() else []


def bytes_below(folder: Path) -> int:
    """The size of all files in a folder, hidden or not."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
