"""Where the binaries of a real Kubernetes API are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from workspace_authz.errors import ConfigurationError

APISERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
ETCD = "etcd"
KUBECTL = "kubectl"


def find_binary(name: str, *, environ: Mapping[str, str] = os.environ) -> Path:
    """The executable ``name``: in ``$KUBEBUILDER_ASSETS``, else as ``make kube`` built it, else on ``PATH``.

    ``KUBEBUILDER_ASSETS`` is the variable of the Kubernetes project's own test environment (envtest).
    Raises :class:`~workspace_authz.errors.ConfigurationError` when there is none.
    """
    for directory in _directories(environ):
        found = shutil.which(name, path=str(directory))
        if found:
            return Path(found)
    raise ConfigurationError(
        f"{name} is neither in $KUBEBUILDER_ASSETS nor in {_built(environ)} nor on PATH: "
        "run `make kube` to build it, or use `--engine embedded`"
    )


def _directories(environ: Mapping[str, str]) -> Iterator[Path]:
    assets = environ.get("KUBEBUILDER_ASSETS")
    if assets:
        yield Path(assets)
    yield _built(environ)
    yield from (Path(entry) for entry in environ.get("PATH", "").split(os.pathsep) if entry)


def _built(environ: Mapping[str, str]) -> Path:
    """What ``scripts/kube`` built last, or would build; it computes the same directory."""
    own = environ.get("WORKSPACE_AUTHZ_CACHE")
    caches = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own or Path(caches) / "workspace-authz") / "kube" / "current"
