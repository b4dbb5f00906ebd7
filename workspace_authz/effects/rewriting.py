"""A request in MLflow's own reading: the fields that it found, some of them changed, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from workspace_authz.effects.replacement import Replacement
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.reader import walk

Fields = Mapping[str, Any]


def as_request(method: str, fields: Fields) -> Replacement:
    """The request of ``method`` in which MLflow's handler finds ``fields``."""
    if method != "GET":
        return Replacement(json.dumps(fields).encode(), query=b"")
    if any(isinstance(value, Mapping) for value in _values(fields)):
        raise BadRequestError("This request is refused: its fields do not fit into a query string.")
    return Replacement(b"", query=urlencode(fields, doseq=True).encode("ascii"))


def keeping(fields: Fields, path: str, allowed: Collection[str]) -> dict[str, Any]:
    """``fields`` without those elements of the list in ``path`` that lead to something not ``allowed``.

    ``path`` starts with the list: ``locations[].mlflow_experiment.experiment_id``.
    """
    name, _, rest = path.partition("[]")
    inner = [step for step in rest.split(".") if step]
    elements = [
        element for element in fields[name] if all(value in allowed for value in walk(element, inner))
    ]
    return {**fields, name: elements}


def _values(fields: Fields) -> list[Any]:
    found = []
    for value in fields.values():
        found.extend(value if isinstance(value, list) else [value])
    return found
