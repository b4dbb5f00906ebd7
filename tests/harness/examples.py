"""``manifests/examples``: what a workload in them has, as a kubelet would give it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.harness.processes import ROOT

EXAMPLES: Final = ROOT / "manifests" / "examples"
PLUGIN_MOUNT: Final = "/var/run/secrets/workspace-authz"
"""Where the client plugin looks for a token."""


def documents(name: str) -> list[dict[str, Any]]:
    """The objects of one file."""
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


def of_kind(name: str, kind: str) -> dict[str, Any]:
    """The only object of this kind in the file."""
    (found,) = (each for each in documents(name) if each["kind"] == kind)
    return found


@dataclass(frozen=True, slots=True)
class Workload:
    """Variables and volumes of a container."""

    container: Mapping[str, Any]
    volumes: list[dict[str, Any]]

    @property
    def environment(self) -> dict[str, str]:
        """Its variables. All of them have plain values."""
        return {each["name"]: each["value"] for each in self.container["env"]}

    def audience(self, path: str) -> str:
        """For whom the token is that is mounted at ``path``."""
        (mount,) = (each for each in self.container["volumeMounts"] if each["mountPath"] == path)
        (volume,) = (each for each in self.volumes if each["name"] == mount["name"])
        (token,) = (
            each["serviceAccountToken"]
            for each in volume["projected"]["sources"]
            if "serviceAccountToken" in each
        )
        assert token["path"] == "token"
        return str(token["audience"])


def workload(name: str) -> Workload:
    """The workload of an example with a token for MLflow only."""
    (document,) = documents(name)
    spec = document["spec"]
    match document["kind"]:
        case "Pod":
            return Workload(spec["containers"][0], spec["volumes"])
        case "Job":
            pod = spec["template"]["spec"]
            return Workload(pod["containers"][0], pod["volumes"])
        case "Workflow":
            return Workload(spec["templates"][0]["container"], spec["volumes"])
        case "PodDefault":
            return Workload(spec, spec["volumes"])
    raise AssertionError(f"{name} is no workload")


def with_default(pod: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """A pod's spec after Kubeflow's webhook added a PodDefault, which it refuses where something is there."""
    merged: dict[str, Any] = json.loads(json.dumps(pod))
    _extend(merged, "volumes", default["volumes"], key="name")
    for container in merged["containers"]:
        _extend(container, "env", default["env"], key="name")
        _extend(container, "volumeMounts", default["volumeMounts"], key="name")
        paths = [each["mountPath"] for each in container["volumeMounts"]]
        assert len(set(paths)) == len(paths), "a conflict on a mount path rejects the pod"
    return merged


def _extend(owner: dict[str, Any], field: str, added: list[dict[str, Any]], *, key: str) -> None:
    there = owner.setdefault(field, [])
    assert not {each[key] for each in there} & {each[key] for each in added}, "a conflict rejects the pod"
    there.extend(added)


def with_initializer(pod: Mapping[str, Any], uri: str) -> dict[str, Any]:
    """A model server's spec after KServe's webhook put the storage initializer before it."""
    added: dict[str, Any] = json.loads(json.dumps(pod))
    container = of_kind("kserve/clusterstoragecontainer.yaml", "ClusterStorageContainer")["spec"]["container"]
    mount = {"name": "kserve-provision-location", "mountPath": "/mnt/models"}
    added["initContainers"] = [{**container, "args": [uri, "/mnt/models"], "volumeMounts": [mount]}]
    added["containers"][0]["volumeMounts"] = [{**mount, "readOnly": True}]
    added["volumes"] = [{"name": mount["name"], "emptyDir": {}}]
    return added


def files() -> list[Path]:
    """Every manifest of the workloads."""
    return sorted(
        file for folder in ("notebooks", "pipelines", "kserve") for file in (EXAMPLES / folder).glob("*.yaml")
    )
