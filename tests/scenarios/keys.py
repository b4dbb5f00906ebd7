"""Asking for access keys over HTTP, and what is left in the cluster."""

from __future__ import annotations

import html
import re
from typing import Any, Final
from urllib.parse import urlencode

from tests.harness.http import Answer
from tests.harness.plane import Plane
from tests.harness.server import MlflowServer

PAGE: Final = "/workspace-authz/keys"
API: Final = "/workspace-authz/api/keys"
SEARCH: Final = "/api/2.0/mlflow/experiments/search?max_results=1"
_FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")


def posted(
    server: MlflowServer, token: str, fields: dict[str, str], *, path: str = PAGE, site: str = "same-origin"
) -> Answer:
    """A form of the page, as a browser sends it."""
    headers = [_FORM, ("Sec-Fetch-Site", site)]
    return server.ask("POST", path, token=token, headers=headers, body=urlencode(fields).encode())


def page(server: MlflowServer, token: str, workspace: str) -> str:
    """What the page says, as HTML."""
    answer = server.ask("GET", f"{PAGE}?{urlencode({'workspace': workspace})}", token=token)
    assert answer.status == 200, answer.text
    return answer.text


def made(server: MlflowServer, token: str, workspace: str, **fields: Any) -> Any:
    """A key by the API."""
    body = {"workspace": workspace, "purpose": "a test", **fields}
    answer = server.ask("POST", API, token=token, json_body=body)
    assert answer.status == 200, answer.text
    return answer.json


def names(server: MlflowServer, token: str, workspace: str) -> list[str]:
    """Of the keys there are, by the API."""
    answer = server.ask("GET", f"{API}?{urlencode({'workspace': workspace})}", token=token)
    assert answer.status == 200, answer.text
    return [key["name"] for key in answer.json["keys"]]


def revoked(server: MlflowServer, token: str, workspace: str, name: str) -> Answer:
    """The answer to ending one by the API."""
    return server.ask("DELETE", f"{API}?{urlencode({'workspace': workspace, 'name': name})}", token=token)


def secrets_in(plane: Plane, namespace: str) -> list[Any]:
    """The Secrets of keys, as an administrator sees them."""
    selector = "app.kubernetes.io/component%3Daccess-key"
    answer = plane.ask("GET", f"/api/v1/namespaces/{namespace}/secrets?labelSelector={selector}")
    found: list[Any] = answer.json["items"]
    return found


def copied(text: str, name: str) -> str:
    """A text to copy on a page."""
    found = re.search(rf'<pre class="copy" id="{name}">(.*?)</pre>', text, re.DOTALL)
    assert found is not None, text
    return html.unescape(found[1])


def works(server: MlflowServer, key: str, workspace: str) -> int:
    """The status of a search with a key."""
    return server.ask("GET", SEARCH, token=key, workspace=workspace).status
