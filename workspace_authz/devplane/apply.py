"""Create or update objects from manifests, through the API, whatever kinds it serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from workspace_authz.devplane.api import Api, ApiError
from workspace_authz.errors import ConfigurationError

Manifest = Mapping[str, Any]

_SUFFIXES = frozenset((".yaml", ".yml", ".json"))
_KUSTOMIZATIONS = frozenset(("kustomization.yaml", "kustomization.yml"))  # about manifests, none itself


def read_manifests(paths: Iterable[Path]) -> Sequence[Manifest]:
    """Every object of the files, in the order given; a directory's files by name, as kubectl reads them.

    Raises :class:`~workspace_authz.errors.ConfigurationError`.
    """
    return [manifest for path in paths for file in _files(path) for manifest in _documents(file)]


async def apply(api: Api, manifests: Iterable[Manifest]) -> None:
    """Create each object in order; one that exists is merged with its manifest (RFC 7386).

    Raises :class:`~workspace_authz.errors.ConfigurationError` when the API does not know a kind, or
    refuses an object.
    """
    kinds: dict[tuple[str, str], Mapping[str, Any]] = {}
    for manifest in manifests:
        version, kind = str(manifest["apiVersion"]), str(manifest["kind"])
        if (version, kind) not in kinds:
            kinds |= await _discover(api, version)
        if (version, kind) not in kinds:
            raise ConfigurationError(f"this API server has no {kind} in {version}")
        await _apply_one(api, manifest, collection=_collection(manifest, kinds[version, kind]))


async def _apply_one(api: Api, manifest: Manifest, *, collection: str) -> None:
    name = manifest["metadata"]["name"]
    answer = await api.post(collection, manifest)
    if answer.reason == "AlreadyExists":
        answer = await api.request(
            "PATCH", f"{collection}/{name}", body=manifest, content_type="application/merge-patch+json"
        )
    if not answer.ok:
        what = f"cannot apply {manifest['kind']} {name}"
        raise ConfigurationError(str(ApiError(what, answer)))


async def _discover(api: Api, version: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The kinds of one API version; none when it is not served."""
    answer = await api.get(_root(version))
    resources = answer.body.get("resources", ()) if answer.ok else ()
    return {(version, item["kind"]): item for item in resources if "/" not in item["name"]}


def _collection(manifest: Manifest, resource: Mapping[str, Any]) -> str:
    root = _root(str(manifest["apiVersion"]))
    if not resource["namespaced"]:
        return f"{root}/{resource['name']}"
    return f"{root}/namespaces/{manifest['metadata'].get('namespace', 'default')}/{resource['name']}"


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return (path,)
    return sorted(
        file for file in path.iterdir() if file.suffix in _SUFFIXES and file.name not in _KUSTOMIZATIONS
    )


def _documents(file: Path) -> Iterator[Manifest]:
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the manifest {file}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file} is not YAML: {error}") from None
    for document in documents:
        if document is not None:  # an empty document between two separators
            yield from _objects(document, file)


def _objects(document: object, file: Path) -> Iterator[Manifest]:
    """The document itself, or the items of a ``List``."""
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"{file} holds a document that is no Kubernetes object")
    if document.get("kind") == "List":
        for item in document.get("items") or ():
            yield from _objects(item, file)
        return
    metadata = document.get("metadata")
    named = isinstance(metadata, Mapping) and isinstance(metadata.get("name"), str)
    if not (document.get("apiVersion") and document.get("kind") and named):
        raise ConfigurationError(f"{file} holds an object without apiVersion, kind or metadata.name")
    yield document
