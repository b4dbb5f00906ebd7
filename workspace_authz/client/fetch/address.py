"""``mlflow://`` URIs, as KServe's ``storageUri`` has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote

from workspace_authz.client.fetch.outcome import Exit, FetchError

SCHEME: Final = "mlflow://"
LATEST: Final = "latest"
STAGES: Final = MappingProxyType({"staging": "Staging", "production": "Production", "archived": "Archived"})
"""As URIs and as MLflow spell them."""

_FORMS: Final = (
    "models/<name>/<version>, models/<name>/latest, models/<name>/staging, models/<name>/production, "
    "models/<name>@<alias>, runs/<run id>/artifacts/<path> or runs/<run id>/<path>"
)
_LOGGED_MODEL: Final = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAddress:
    """A version of a registered model. One of the last three is set."""

    name: str
    version: str = ""
    stage: str = ""
    """MLflow's name of it; ``latest`` for the newest version of all stages."""
    alias: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModelAddress:
    """A model that was logged, by its id: MLflow's ``models:/m-…``."""

    model_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAddress:
    """Artifacts of a run."""

    run_id: str
    path: str
    """A file, a folder, or a logged model of the run; empty for all artifacts."""


@dataclass(frozen=True, slots=True)
class Address:
    """What one URI means."""

    uri: str
    target: ModelAddress | LoggedModelAddress | RunAddress
    workspace: str = ""
    """As the URI says; empty for the caller's own."""


def parse_address(uri: str) -> Address:
    """What ``uri`` means. Raises :class:`FetchError` for what is no such URI."""
    if not uri.startswith(SCHEME):
        raise _wrong(uri, f"it begins with {SCHEME}")
    place, _, query = uri.removeprefix(SCHEME).partition("?")
    kind, *raw = place.rstrip("/").split("/")
    for part in raw:
        if not is_segment(unquote(part)):
            raise _wrong(uri, "a part of its path is empty, or would leave the folder")
    if kind not in ("models", "runs") or not raw:
        raise _wrong(uri, f"the forms are {_FORMS}")
    target = _model(uri, raw) if kind == "models" else _run([unquote(part) for part in raw])
    return Address(uri, target, _workspace(uri, query))


def is_segment(text: str) -> bool:
    """Whether ``text`` is one safe segment of a path, here and on MLflow's side."""
    return (
        text not in ("", ".", "..")
        and text.isprintable()
        and not {"/", "\\"} & set(text)
        and len(text.encode()) <= 255
    )


def _model(uri: str, raw: list[str]) -> ModelAddress | LoggedModelAddress:
    name, at, alias = raw[0].rpartition("@")
    if len(raw) == 1 and at and name and alias:
        return ModelAddress(name=unquote(name), alias=unquote(alias))
    if len(raw) == 1 and _LOGGED_MODEL.fullmatch(raw[0]):
        return LoggedModelAddress(model_id=raw[0])
    if len(raw) != 2:
        raise _wrong(uri, f"the forms are {_FORMS}")
    name, which = unquote(raw[0]), unquote(raw[1])
    if which.isascii() and which.isdecimal():
        return ModelAddress(name=name, version=which)
    if which.lower() == LATEST:
        return ModelAddress(name=name, stage=LATEST)
    if which.lower() in STAGES:
        return ModelAddress(name=name, stage=STAGES[which.lower()])
    raise _wrong(uri, f"after the name comes a version's number, latest or a stage ({', '.join(STAGES)})")


def _run(parts: list[str]) -> RunAddress:
    run_id, *path = parts
    if path[:1] == ["artifacts"]:
        path = path[1:]
    return RunAddress(run_id=run_id, path="/".join(path))


def _workspace(uri: str, query: str) -> str:
    given = parse_qsl(query, keep_blank_values=True)
    if not query:
        return ""
    if [name for name, _ in given] != ["workspace"] or not is_segment(given[0][1]):
        raise _wrong(uri, "after the question mark comes workspace=<name>, and nothing else")
    return given[0][1]


def _wrong(uri: str, why: str) -> FetchError:
    return FetchError(f"{uri!r} is no URI of a model: {why}.", status=Exit.CONFIGURATION)
