"""kubectl for tests."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_ESTABLISHED_SECONDS = 240.0


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

    def built(self, directory: Path, *components: str) -> list[dict[str, Any]]:
        """The objects of an overlay: the base with these components, in this order. It is put there."""
        write_overlay(directory, *components)
        return [*yaml.safe_load_all(self.run("kustomize", str(directory)))]

    def define(self, definitions: str) -> None:
        """Apply CustomResourceDefinitions, and return once objects of them can be made."""
        self.run("apply", "--server-side", "-f", "-", text=definitions)
        deadline = time.monotonic() + _ESTABLISHED_SECONDS
        while not all(map(_established, self.json("get", "crd")["items"])):
            assert time.monotonic() < deadline, "a definition is not established"
            time.sleep(0.1)

    def create(self, kind: str, spec: object, *arguments: str) -> dict[str, Any]:
        """The status of a review of ``authorization.k8s.io``."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        status: dict[str, Any] = self.json("create", "-f", "-", *arguments, stdin=review)["status"]
        return status


def write_overlay(directory: Path, *components: str) -> None:
    """Put an overlay there: the base with these components, in this order."""
    kustomize = Path(os.path.relpath(ROOT / "kustomize", directory))
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "mlflow",
        "resources": [str(kustomize / "base")],
        "components": [str(kustomize / "components" / each) for each in components],
    }
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(overlay))


def _established(definition: dict[str, Any]) -> bool:
    """Whether it has begun to be served. Right after it was made it has no conditions at all."""
    conditions = definition.get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
