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

    def run(self, *arguments: str, stdin: object = None) -> str:
        """Its standard output. Raises ``AssertionError`` with its complaint when it fails."""
        done = subprocess.run(
            [self.program, "--kubeconfig", self.kubeconfig, *arguments],
            input=None if stdin is None else json.dumps(stdin),
            stdin=subprocess.DEVNULL if stdin is None else None,
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

    def create(self, kind: str, spec: object, *arguments: str) -> dict[str, Any]:
        """The status of a review of ``authorization.k8s.io``."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        status: dict[str, Any] = self.json("create", "-f", "-", *arguments, stdin=review)["status"]
        return status
