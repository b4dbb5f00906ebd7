"""What is in the image, and what is not, as its pods see it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.cluster.installation import IMAGE, TEAM, Installation
from tests.cluster.waiting import logs, phase
from tests.harness.processes import ROOT

Object = dict[str, Any]
SERVER = ("-n", "mlflow", "exec", "deployment/mlflow", "-c", "mlflow", "--")
SBOM = "/opt/venv/share/sbom/workspace-authz.cdx.json"
ANY_USER = 1000650000
"""One of the range that OpenShift gives a namespace."""
_IMPORT = """
import psycopg2, pymysql, boto3, google.cloud.storage
import azure.identity, azure.storage.blob, azure.storage.filedatalake
"""
_FIND = "import shutil; print([n for n in 'pip pip3 uv hatchling gcc cc make'.split() if shutil.which(n)])"


def test_it_has_a_driver_for_every_database_and_bucket(installation: Installation) -> None:
    installation.kubectl.run(*SERVER, "python", "-c", _IMPORT)


@pytest.mark.parametrize("module", ["pip", "ensurepip", "uv", "hatchling", "cyclonedx_py"])
def test_no_module_in_it_installs_or_builds(installation: Installation, module: str) -> None:
    look = f"import importlib.util; print(importlib.util.find_spec({module!r}))"

    assert installation.kubectl.run(*SERVER, "python", "-c", look).strip() == "None"


def test_no_program_in_it_installs_or_builds(installation: Installation) -> None:
    assert installation.kubectl.run(*SERVER, "python", "-c", _FIND).strip() == "[]"


def test_its_bill_of_materials_lists_what_is_locked_and_this_project(installation: Installation) -> None:
    bill = json.loads(installation.kubectl.run(*SERVER, "cat", SBOM))
    listed = {(_normal(each["name"]), each["version"]) for each in bill["components"]}
    main = bill["metadata"]["component"]["name"]

    assert _locked() <= listed
    assert main == "workspace-authz"


def test_any_user_of_group_0_may_run_it(installation: Installation) -> None:
    kubectl = installation.kubectl
    kubectl.run("apply", "-f", "-", stdin=_pod_of_any_user())
    phase(kubectl, TEAM, "any-user", wanted="Succeeded")

    assert f"{ANY_USER} 0 written" in logs(kubectl, TEAM, "any-user")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _locked() -> set[tuple[str, str]]:
    """Name and version of every package for this platform."""
    lock = (ROOT / "requirements/server-all.txt").read_text()
    pattern = re.compile(r"^([\w.-]+)==([^\s;]+)(?! *;)[^;\n]*$", re.MULTILINE)
    return {(_normal(name), version) for name, version in pattern.findall(lock)}


def _pod_of_any_user() -> Object:
    program = (
        "import os, mlflow; open('/mlflow/file', 'w').close(); print(os.getuid(), os.getgid(), 'written')"
    )
    container = {
        "name": "any-user",
        "image": IMAGE,
        "command": ["python", "-c", program],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "securityContext": {"runAsUser": ANY_USER, "allowPrivilegeEscalation": False},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "any-user", "namespace": TEAM},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
