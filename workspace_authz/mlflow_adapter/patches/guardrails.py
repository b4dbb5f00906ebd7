"""MLflow's calls to itself, kept in the process (MLflow 3.16.1 and 3.17.2).

A guardrail asks this server twice: its judge an endpoint for an opinion (``judges.adapters.utils``), and the
guardrail another one for a rewritten text (``gateway.guardrails``). Both go to the address that
``get_server_base_url`` makes of the caller's ``Host``. Behind the guard that address is one that nothing
resolves, by which the two calls are known here; whatever else went there would fail.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import requests
from fastapi import HTTPException
from mlflow.environment_variables import MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS
from mlflow.gateway import guardrail_utils, guardrails
from mlflow.gateway.constants import MLFLOW_GATEWAY_CALLER_HEADER
from mlflow.gateway.guardrails import _SANITIZE_BYPASS_HEADER
from mlflow.gateway.providers.utils import provider_call_duration_ms
from mlflow.genai.judges.adapters import utils as judges
from mlflow.genai.utils.gateway_utils import _resolve_gateway_uri

from workspace_authz.errors import ForbiddenError, RequestError
from workspace_authz.mlflow_adapter.serving import SelfAnswer, SelfCall, SelfCalls, self_calls

OWN: Final = "http://workspace-authz.invalid"
"""``.invalid`` is never resolved (RFC 6761, 6.4)."""

_STRUCTURED_JUDGE: Final = "mlflow.genai.judges.structured_judge"
"""Since MLflow 3.17."""

_NO_CHAIN: Final = "A guardrail can only use endpoints that have no guardrails of their own."
_MAY_NOT: Final = "The guardrail works with a gateway endpoint that you may not use."
"""Without the endpoint's name, which the caller need not know; the audit record has it."""


def keep_self_calls(static_prefix: str) -> None:
    """Let the calls that this server's MLflow makes to itself stay in this process."""
    guardrail_utils.get_server_base_url = partial(own_address, static_prefix)
    guardrails.send_request = ask_for_rewriting
    judges.requests = JudgesRequests()
    if find_spec(_STRUCTURED_JUDGE) is not None:
        structured_judge: Any = import_module(_STRUCTURED_JUDGE)
        structured_judge._resolve_gateway_uri = judges_home


def own_address(static_prefix: str, request: object) -> str:
    """Where MLflow reaches itself, which it looks up before it runs guardrails. Raises ``HTTPException``."""
    if self_calls.get() is None:
        # Over the network, an endpoint that judges itself would call itself without end.
        raise HTTPException(status_code=400, detail=_NO_CHAIN)
    return OWN + static_prefix


def judges_home() -> str:
    """By what a judge remembers which endpoints, of which it has the name, are of which kind.

    MLflow 3.17.2 takes the server's address, which a server does not know of itself, so that no guardrail's
    judge can use an endpoint; and it forgets the workspace, whose endpoint of that name is another.
    """
    calls = self_calls.get()
    home: str = _resolve_gateway_uri() if calls is None else f"{OWN}/{calls.workspace or ''}"
    return home


async def ask_for_rewriting(
    headers: Mapping[str, str], base_url: str, path: str, payload: object, **_: object
) -> Any:
    """In place of ``send_request`` in a guardrail that rewrites. Raises ``HTTPException``, as that does."""
    call = SelfCall(
        _path(f"{base_url}/{path}"),
        payload,
        skips_guardrails=headers.get(_SANITIZE_BYPASS_HEADER) == "1",
    )
    started = time.perf_counter()
    try:
        answer = await _calls().ask(call, seconds=MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS.get())
    except RequestError as error:
        raise HTTPException(status_code=error.status, detail=_told(error)) from None
    except TimeoutError:
        raise HTTPException(status_code=504, detail="The endpoint that rewrites did not answer.") from None
    finally:
        waited = (time.perf_counter() - started) * 1000
        provider_call_duration_ms.set(provider_call_duration_ms.get() + waited)
    if answer.status >= 400 or not answer.content_type.startswith("application/json"):
        raise HTTPException(status_code=answer.status, detail=answer.body.decode("utf-8", "replace"))
    return json.loads(answer.body)


class JudgesRequests:
    """``requests`` as MLflow's judges know it, which tell failures apart and try again."""

    def __getattr__(self, name: str) -> Any:
        return getattr(requests, name)

    def post(self, url: str, *, headers: Mapping[str, str], json: Any, timeout: float) -> Any:
        """A judge's question, from a worker thread: to this server without the network, to others as ever."""
        if not url.startswith(f"{OWN}/"):
            return requests.post(url=url, headers=headers, json=json, timeout=timeout)
        told = {name: value for name, value in headers.items() if name == MLFLOW_GATEWAY_CALLER_HEADER}
        try:
            answer = _calls().ask_from_thread(SelfCall(_path(url), json, told), seconds=timeout)
        except RequestError as error:
            return _response(_refusal(error))
        except TimeoutError:
            raise requests.exceptions.Timeout("the endpoint of the judge did not answer") from None
        return _response(answer)


def _calls() -> SelfCalls:
    calls = self_calls.get()
    if calls is None:
        raise RuntimeError("MLflow calls itself outside of a gateway call")
    return calls


def _path(url: str) -> str:
    return url.removeprefix(OWN)


def _told(error: RequestError) -> str:
    return _MAY_NOT if isinstance(error, ForbiddenError) else error.message


def _refusal(error: RequestError) -> SelfAnswer:
    content = {"error": {"message": _told(error)}}
    return SelfAnswer(error.status, "application/json", json.dumps(content).encode())


def _response(answer: SelfAnswer) -> Any:
    response = requests.Response()
    response.status_code = answer.status
    response.headers["Content-Type"] = answer.content_type
    response._content = answer.body
    return response
