"""Pods of a team, from the shipped examples: only the image and the command are the test's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.installation import IMAGE
from tests.harness.processes import ROOT

Object = dict[str, Any]


def example(file: str, *, name: str, program: Callable[[], None]) -> Object:
    """A pod of ``manifests/examples`` that runs a function of this test suite with the image's Python."""
    pod: Object = yaml.safe_load(Path(ROOT, "manifests/examples", file).read_text())
    pod["metadata"]["name"] = name
    pod["spec"]["restartPolicy"] = "Never"
    container = pod["spec"]["containers"][0]
    container["image"] = IMAGE
    container["command"] = ["python", "-c", source(program)]
    container["env"] = [*container["env"], {"name": "HOME", "value": "/tmp"}]
    return pod


def source(program: Callable[[], None]) -> str:
    """A program that calls the function."""
    return f"{inspect.getsource(program)}\n{program.__name__}()\n"
