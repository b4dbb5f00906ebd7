"""The part of MLflow that ``fetch`` asks, without a database: it can lie, break and sign addresses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from tests.harness.http_server import serving
from workspace_authz.client.fetch.server import GivenCredential, TrackingServer

ROOT: Final = "1/run/artifacts"
TOKEN: Final = "the-token-of-the-pod"
_ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
_PRESIGNED: Final = "/api/2.0/mlflow-artifacts/presigned/"
_STORE: Final = "/store/"


@dataclass
class FakeMlflow:
    """What it has, and what is wrong with it."""

    files: dict[str, bytes]
    """By path below the run's artifacts."""
    listed: list[dict[str, Any]] | None = None
    """What the list says instead of the truth."""
    location: str = f"mlflow-artifacts:/{ROOT}"
    signs: bool = False
    """Whether there are signed addresses of a store."""
    reticent: bool = False
    """Whether it has no route that says what it can do."""
    store: str = ""
    """Where signed addresses lead, if not here."""
    damaged: str = ""
    """A path of which the store sends other content."""
    failures: list[int] = field(default_factory=list)
    """Statuses of the next answers."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of answers with such a status."""
    cut: int | None = None
    """How many bytes of a file come before the connection breaks."""
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        parts = urlsplit(request.path)
        path, query = unquote(parts.path), {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.asked.append((path, dict(request.headers)))
        if self.failures:
            return self.failures.pop(0), dict(self.headers), b'{"message": "try again"}'
        if path.startswith(_STORE):
            return self._stored(path.removeprefix(_STORE), request.headers)
        if path.startswith(f"{_ARTIFACTS}/"):
            return 200, {}, self.files[path.removeprefix(f"{_ARTIFACTS}/{ROOT}/")]
        if self.reticent and path.endswith("/server-info"):
            return 404, {}, b'{"message": "no such route"}'
        return 200, {}, json.dumps(self._document(path, query)).encode()

    def _document(self, path: str, query: Mapping[str, str]) -> object:
        if path == _ARTIFACTS:
            return {"files": self._listing(query["path"]) if self.listed is None else self.listed}
        if path.startswith(_PRESIGNED):
            return {
                "url": f"{self.store or self.url}{_STORE}{path.removeprefix(f'{_PRESIGNED}{ROOT}/')}",
                "headers": {},
            }
        if path.endswith("/server-info"):
            return {"multipart_downloads_enabled": self.signs}
        return {"run": {"info": {"artifact_uri": self.location}, "outputs": {}}}

    def _listing(self, folder: str) -> list[dict[str, Any]]:
        below = folder.removeprefix(ROOT).strip("/")
        inside = [path.removeprefix(below).strip("/") for path in self.files if path.startswith(below)]
        sizes = {
            name: len(self.files["/".join(filter(None, (below, name)))]) for name in inside if "/" not in name
        }
        folders = {name.partition("/")[0] for name in inside if "/" in name}
        return [
            *({"path": name, "is_dir": False, "file_size": size} for name, size in sizes.items()),
            *({"path": name, "is_dir": True} for name in folders),
        ]

    def _stored(self, path: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        content = self.files[path]
        stated = {"ETag": f'"{hashlib.md5(content).hexdigest()}"', "x-amz-request-id": "1"}
        if path == self.damaged:
            content = bytes(len(content))
        start = int(headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if not start:
            return 200, stated, content
        ranged = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return 206, {**stated, **ranged}, content[start:]

    @property
    def paths(self) -> list[str]:
        """Where it was asked for content."""
        return [path for path, _ in self.asked if path.startswith((f"{_ARTIFACTS}/", _STORE))]

    def client(self) -> TrackingServer:
        """Who asks it. There are no pauses between attempts."""
        return TrackingServer(self.url, GivenCredential(f"Bearer {TOKEN}"), "team-a", sleep=lambda _: None)


@contextmanager
def fake_mlflow(files: dict[str, bytes]) -> Iterator[FakeMlflow]:
    """A server for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = fake.answer(self)
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            is_file = fake.paths and fake.paths[-1] == unquote(self.path)
            self.wfile.write(body[: fake.cut] if is_file else body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        fake = FakeMlflow(files, url=url)
        yield fake
