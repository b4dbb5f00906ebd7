"""The real control plane's etcd, asked by its JSON gateway (etcd.io: "gRPC gateway")."""

from __future__ import annotations

import http.client
import json
import os
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

_SOCKET = "etcd.sock:0"
_SECONDS = 30.0


class _Etcd(http.client.HTTPConnection):
    """By its Unix socket, reached through the open directory: a socket's path may have 107 bytes only."""

    def __init__(self, directory: Path) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._directory = directory

    def connect(self) -> None:
        directory = os.open(self._directory, os.O_PATH)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(_SECONDS)
            self.sock.connect(f"/proc/self/fd/{directory}/{_SOCKET}")
        finally:
            os.close(directory)

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        found: dict[str, Any] = json.loads(content)
        return found


def compact(state: Path) -> None:
    """Let the etcd of a dev plane's state directory forget all but the present."""
    with closing(_Etcd(state)) as etcd:
        revision = etcd.ask("/v3/kv/range", {"key": "AA==", "limit": 1})["header"]["revision"]
        etcd.ask("/v3/kv/compaction", {"revision": revision, "physical": True})
