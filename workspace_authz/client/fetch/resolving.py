"""Where the files of an address are: MLflow's registry, its runs and its logged models say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from workspace_authz.client.fetch.address import (
    LATEST,
    Address,
    LoggedModelAddress,
    ModelAddress,
    RunAddress,
    is_segment,
    parse_address,
)
from workspace_authz.client.fetch.outcome import Exit, FetchError
from workspace_authz.client.fetch.server import TrackingServer

ARTIFACTS: Final = "api/2.0/mlflow-artifacts/artifacts"
_API: Final = "api/2.0/mlflow"
_LONGEST_CHAIN: Final = 10
"""A model version may be a copy of another one."""
_MOST_OUTPUTS: Final = 100


@dataclass(frozen=True, slots=True)
class Source:
    """What is fetched."""

    root: str
    """The folder below MLflow's artifact proxy."""
    path: str
    """What of it, a folder or a file; empty for all."""
    label: str
    """What the address turned out to be, in words."""

    @property
    def identity(self) -> str:
        """Two fetches with the same one get the same files."""
        return f"{self.root}//{self.path}"


def resolve(server: TrackingServer, address: Address) -> Source:
    """Where the files are. Raises :class:`FetchError`."""
    match address.target:
        case ModelAddress() as model:
            return _version(server, model, links=_LONGEST_CHAIN)
        case LoggedModelAddress(model_id=model_id):
            return _logged_model(server, model_id, label=f"the logged model {model_id}")
        case RunAddress() as run:
            return _run(server, run)


def _version(server: TrackingServer, model: ModelAddress, *, links: int) -> Source:
    version = model.version or _selected(server, model)
    label = f"version {version} of {model.name}"
    found = server.document(f"{_API}/model-versions/get-download-uri", name=model.name, version=version)
    uri = _text(found, "artifact_uri")
    if not uri.startswith("models:/"):
        return Source(_root(server, uri), "", label)
    target = parse_address(f"mlflow://models/{uri.removeprefix('models:/').strip('/')}").target
    if isinstance(target, LoggedModelAddress):
        return _logged_model(server, target.model_id, label=f"{label}, the logged model {target.model_id}")
    if not isinstance(target, ModelAddress) or not links:
        raise _unusable(uri)
    return _version(server, target, links=links - 1)


def _selected(server: TrackingServer, model: ModelAddress) -> str:
    """The version's number that an alias or a stage means now."""
    if model.alias and model.alias.lower() != LATEST:
        return _aliased(server, model)
    stages = {} if model.stage in ("", LATEST) else {"stages": model.stage}
    found = server.document(f"{_API}/registered-models/get-latest-versions", name=model.name, **stages)
    versions = [int(_text(each, "version")) for each in found.get("model_versions", [])]
    if not versions:
        what = f"no version in the stage {model.stage}" if stages else "no version"
        raise FetchError(
            f"The registered model {model.name} has {what}. Stages are MLflow's older way: an alias is "
            f"mlflow://models/{quote(model.name, safe='')}@<alias>.",
            status=Exit.MISSING,
        )
    return str(max(versions))


def _aliased(server: TrackingServer, model: ModelAddress) -> str:
    """By the model's own list: MLflow's route for one alias answers 400, not 404, where there is none."""
    found = server.document(f"{_API}/registered-models/get", name=model.name).get("registered_model") or {}
    for each in found.get("aliases", []):
        if each.get("alias") == model.alias:
            return _text(each, "version")
    message = f"The registered model {model.name} has no alias {model.alias}."
    raise FetchError(message, status=Exit.MISSING)


def _logged_model(server: TrackingServer, model_id: str, *, label: str, path: str = "") -> Source:
    found = server.document(f"{_API}/logged-models/{quote(model_id, safe='')}")
    info = (found.get("model") or {}).get("info")
    return Source(_root(server, _text(info, "artifact_uri")), path, label)


def _run(server: TrackingServer, address: RunAddress) -> Source:
    run = server.document(f"{_API}/runs/get", run_id=address.run_id).get("run") or {}
    name, _, inside = address.path.partition("/")
    label = f"{address.path or 'all artifacts'} of the run {address.run_id}"
    if name and (model := _model_of_run(server, run, name=name)) is not None:
        return Source(_root(server, _text(model, "artifact_uri")), inside, label)
    return Source(_root(server, _text(run.get("info"), "artifact_uri")), address.path, label)


def _model_of_run(server: TrackingServer, run: dict[str, Any], *, name: str) -> dict[str, Any] | None:
    """The newest model that the run logged under ``name``. MLflow 3 keeps models beside a run's artifacts."""
    outputs = (run.get("outputs") or {}).get("model_outputs", [])[:_MOST_OUTPUTS]
    models: list[dict[str, Any]] = []
    for output in outputs:
        found = server.document(f"{_API}/logged-models/{quote(_text(output, 'model_id'), safe='')}")
        models.append((found.get("model") or {}).get("info") or {})
    named = [model for model in models if model.get("name") == name]
    return max(named, key=lambda model: int(model.get("creation_timestamp_ms") or 0), default=None)


def _root(server: TrackingServer, uri: str) -> str:
    """The folder below the artifact proxy that ``uri`` means; only this server's own proxy will do."""
    parts, own = urlsplit(uri), urlsplit(server.base)
    path = parts.path
    if parts.scheme in ("http", "https") and f"/{ARTIFACTS}/" in path:
        path = path.partition(f"/{ARTIFACTS}/")[2]
    elif parts.scheme != "mlflow-artifacts":
        raise FetchError(
            f"MLflow does not hand out these files itself: they are at {parts.scheme or 'file'}:. Start the "
            "server with --serve-artifacts and MLFLOW_ARTIFACTS_DESTINATION; files that were logged before "
            "stay where they are.",
            status=Exit.CONFIGURATION,
        )
    if parts.netloc not in ("", own.netloc):
        raise FetchError(
            f"The files are at another server, {parts.netloc}, which gets no token.",
            status=Exit.CONFIGURATION,
        )
    segments = unquote(path).strip("/").split("/")
    if not all(map(is_segment, segments)):
        raise _unusable(uri)
    return "/".join(segments)


def _text(document: Any, key: str) -> str:
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, str) or not value:
        raise FetchError(f"The server's answer has no {key}.", status=Exit.UNVERIFIED)
    return value


def _unusable(uri: str) -> FetchError:
    return FetchError(f"MLflow names a place that cannot be used: {uri!r}.", status=Exit.UNVERIFIED)
