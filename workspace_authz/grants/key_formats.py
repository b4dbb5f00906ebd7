"""A new key as people need it: lines to copy into Python, a shell, a file, CI or a Kubernetes Secret."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

URI: Final = "MLFLOW_TRACKING_URI"
VALUE: Final = "MLFLOW_TRACKING_TOKEN"
WORKSPACE: Final = "MLFLOW_WORKSPACE"
UNKNOWN_URI: Final = "https://mlflow.example.com"

FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "python": "Python",
        "shell": "Shell",
        "env": ".env file",
        "ci": f"GitHub Actions (the key itself is the repository's secret {VALUE})",
        "secret": "Kubernetes Secret (for envFrom)",
    }
)
"""What there are lines for, and what people call it."""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """Where a key is used."""

    uri: str
    workspace: str
    value: str = field(repr=False)

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables of MLflow's clients."""
        return {URI: self.uri, VALUE: self.value, WORKSPACE: self.workspace}

    def lines(self, wanted: str) -> str:
        """The lines for one of :data:`FORMATS`."""
        variables = self.variables
        match wanted:
            case "python":
                named = "".join(f"    {name}={json.dumps(text)},\n" for name, text in variables.items())
                return f"import os\n\nos.environ.update(\n{named})"
            case "shell":
                return "\n".join(f"export {name}={shlex.quote(text)}" for name, text in variables.items())
            case "env":
                return "\n".join(f"{name}={text}" for name, text in variables.items())
            case "ci":
                shown = {**variables, VALUE: f"${{{{ secrets.{VALUE} }}}}"}
                return "env:\n" + "\n".join(f"  {name}: {json.dumps(text)}" for name, text in shown.items())
            case _:
                return self._secret()

    def _secret(self) -> str:
        data = "\n".join(f"  {name}: {json.dumps(text)}" for name, text in self.variables.items())
        return (
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: mlflow\n"
            f"  namespace: {json.dumps(self.workspace)}\nstringData:\n{data}"
        )
