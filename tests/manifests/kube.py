"""kubectl for tests."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The real kubectl against one API server."""

    program: Path
    kubeconfig: Path

    def run(self, *arguments: str, stdin: object = None, text: str | None = None) -> str:
        """Its standard output. Raises ``AssertionError`` with its complaint when it fails.

        It reads ``stdin`` as JSON, or ``text``.
        """
        given = text if stdin is None else json.dumps(stdin)
        done = subprocess.run(
            [self.program, "--kubeconfig", self.kubeconfig, *arguments],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str, stdin: object = None) -> dict[str, Any]:
        """Its output as JSON."""
        decoded: dict[str, Any] = json.loads(self.run(*arguments, "-o", "json", stdin=stdin))
        return decoded

    def apply(self, name: str, *arguments: str) -> None:
        """Apply a file of ``manifests/`` as the documents say, and accept no field that is unknown."""
        self.run("apply", "--server-side", "--validate=strict", "-f", f"manifests/{name}.yaml", *arguments)

    def delete(self, name: str) -> None:
        """Delete what a file of ``manifests/`` holds, as the documents say."""
        self.run("delete", "--ignore-not-found", "-f", f"manifests/{name}.yaml")

    def create(self, kind: str, spec: object, *arguments: str) -> dict[str, Any]:
        """The status of a review of ``authorization.k8s.io``."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        status: dict[str, Any] = self.json("create", "-f", "-", *arguments, stdin=review)["status"]
        return status
