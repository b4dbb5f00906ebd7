"""``python -m tests.mlflow_adapter.mlflow_routing``: ask MLflow's own routers, in a process of their own.

MLflow reads its static prefix from the environment when it is imported, so each prefix needs a process.
Reads ``[[method, path], …]`` on standard input; writes what the app serves, and for each question the
template and parameters that MLflow's routers choose, or null.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.harness.releases import programs_of

Question = tuple[str, str]


class Answer(NamedTuple):
    """What MLflow does with one request."""

    template: str
    parameters: dict[str, str]


class Routing(NamedTuple):
    """What the process says."""

    served: list[str]
    answers: dict[Question, Answer | None]
    messages: dict[str, list[str]]
    """By name of an RPC's request message: its fields, as dotted paths with ``[]`` after repeated ones."""


def ask(questions: Iterable[Question], *, release: str, static_prefix: str, directory: Path) -> Routing:
    """Start a process of the release and wait for its answers."""
    asked = list(questions)
    done = subprocess.run(
        [programs_of(release) / "python", "-W", "ignore", "-m", __name__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "_MLFLOW_SGI_NAME": "uvicorn",
            "_MLFLOW_STATIC_PREFIX": static_prefix,
            "MLFLOW_TRACKING_URI": f"sqlite:///{directory}/mlflow.db",
        },
    )
    assert done.returncode == 0, done.stderr
    served, answers, messages = json.loads(done.stdout)
    return Routing(
        served,
        {
            question: None if answer is None else Answer(*answer)
            for question, answer in zip(asked, answers, strict=True)
        },
        messages,
    )


def main() -> None:
    """Answer the questions on standard input."""
    from mlflow.server import app as flask_app  # noqa: PLC0415 - only this process imports MLflow
    from mlflow.server.fastapi_app import app  # noqa: PLC0415
    from mlflow.server.handlers import HANDLERS  # noqa: PLC0415

    from workspace_authz.mlflow_adapter.inventory import served_routes  # noqa: PLC0415

    adapter = flask_app.url_map.bind("localhost")
    native = list(_native(app))
    answers = [
        _native_answer(native, *asked) or _flask_answer(adapter, *asked) for asked in json.load(sys.stdin)
    ]
    messages: dict[str, list[str]] = {}
    for message in HANDLERS:
        messages.setdefault(message.DESCRIPTOR.name, []).extend(_fields(message.DESCRIPTOR, "", depth=5))
    served = [str(route) for route in sorted(served_routes(app))]
    json.dump([served, answers, messages], sys.stdout)


def _native(app: Any) -> Iterator[Any]:
    for route in app.routes:
        if hasattr(route, "effective_route_contexts"):
            yield from route.effective_route_contexts()


def _native_answer(routes: list[Any], method: str, path: str) -> Answer | None:
    """As starlette.routing.Route.matches: the first whose pattern and methods both fit."""
    for route in routes:
        if method in route.methods and (found := route.path_regex.match(path)):
            return Answer(route.path, found.groupdict())
    return None


def _flask_answer(adapter: Any, method: str, path: str) -> Answer | None:
    from werkzeug.exceptions import HTTPException  # noqa: PLC0415

    try:
        rule, parameters = adapter.match(path, method=method, return_rule=True)
    except HTTPException:  # not found, another method, or a redirect
        return None
    template = rule.rule
    for name in parameters:
        template = template.replace(f"<path:{name}>", f"{{{name}:path}}").replace(f"<{name}>", f"{{{name}}}")
    return Answer(template, parameters)


def _fields(descriptor: Any, prefix: str, *, depth: int) -> Iterator[str]:
    for field in descriptor.fields:
        path = f"{prefix}{field.name}{'[]' if field.is_repeated else ''}"
        yield path
        if field.message_type is not None and depth > 1:
            yield from _fields(field.message_type, f"{path}.", depth=depth - 1)


if __name__ == "__main__":
    main()
