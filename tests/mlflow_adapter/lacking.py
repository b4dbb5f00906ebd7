"""A process that has imported MLflow, and forks one that lacks something for each line that it reads.

A line on standard input is a JSON list: a module and dotted names, of which one suffices, so that all are
taken away. The answer is one JSON object on one line of standard output. Importing MLflow takes seconds, and
this does it once.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Final

OF_MLFLOW: Final = (
    "mlflow.genai.judges.adapters.utils",
    "mlflow.genai.judges.structured_judge",
    "mlflow.genai.utils.gateway_utils",
    "mlflow.server.fastapi_app",
    "mlflow.server.graphql.graphql_schema_extensions",
)
WITHOUT_MLFLOW: Final = (
    "workspace_authz.doors.asgi.guard",
    "workspace_authz.doors.preflight",
    "workspace_authz.runtime.pipeline",
    "workspace_authz.telemetry.sampled",
    "tests.harness.fakes",
)
"""They reach MLflow through modules that only the forks import."""


def take_away(module: str, dotted: str) -> None:
    """Let ``module`` lack the name, or everything where that is empty.

    A method of a class goes with the class, since it may be inherited.
    """
    if not dotted:
        sys.modules[module] = None  # type: ignore[assignment]  # as if there were none
        return
    owner: Any = import_module(module)
    first, _, last = dotted.partition(".")
    kind = getattr(owner, first, None)
    if kind is None:  # the name of another release
        return
    if last and not isinstance(kind, type):
        delattr(type(kind), last)
    else:
        delattr(owner, first)


def _fork(module: str, *names: str) -> str:
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        try:
            result = _without(module, *names)
        except BaseException:  # noqa: BLE001 - the test shows it
            result = {"failed": traceback.format_exc()}
        with os.fdopen(writing, "w") as pipe:
            pipe.write(json.dumps(result))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.wait()
    return answer


def _without(module: str, *names: str) -> Mapping[str, Any]:
    for name in names:
        take_away(module, name)
    started = import_module("tests.mlflow_adapter.lacking_start")
    result: Mapping[str, Any] = started.start()
    return result


def _uses_mlflow(module: ModuleType) -> bool:
    values = list(vars(module).values())
    return any(isinstance(value, ModuleType) and value.__name__.startswith("mlflow") for value in values)


def main() -> None:
    """Answer until standard input ends."""
    for name in (*OF_MLFLOW, *WITHOUT_MLFLOW):
        import_module(name)
    ours = [module for name, module in sys.modules.items() if name.startswith("workspace_authz.")]
    assert not [module.__name__ for module in ours if _uses_mlflow(module)]
    store = import_module("mlflow.server.handlers")._get_tracking_store()
    store.engine.dispose()  # a connection must not be shared with forks
    gc.collect()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # only answers go there
    for line in sys.stdin:
        answers.write(_fork(*json.loads(line)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
