"""MLflow's calls to itself stay in the process (MLflow 3.16.1, 3.17.2 and 3.18.0).

A guardrail calls its own server twice: its judge asks one endpoint for an opinion
(``mlflow.genai.judges.adapters.utils.send_chat_request``), and the guardrail asks another one for a rewritten
text (``mlflow.gateway.guardrails.send_request``). Both go to the address that
``mlflow.gateway.guardrail_utils.get_server_base_url`` takes from the caller's ``Host`` header, and
``get_server_self_url`` from the connection since 3.18. Without this patch they go over the network without
the caller's credential, and the guard refuses them.

With it the address is :data:`SELF_URL`. The two calls are recognized by it and made as
:class:`~workspace_authz.mlflow_adapter.serving.SelfCall`; any other use of the address fails.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import requests
from fastapi import HTTPException
from mlflow.environment_variables import MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS

from workspace_authz.errors import ForbiddenError, RequestError
from workspace_authz.mlflow_adapter.compat import optional_module, replace_attribute
from workspace_authz.mlflow_adapter.serving import SelfAnswer, SelfCall, SelfCalls, self_calls

constants = optional_module("mlflow.gateway.constants")
guardrail_utils = optional_module("mlflow.gateway.guardrail_utils")
guardrails = optional_module("mlflow.gateway.guardrails")
judges = optional_module("mlflow.genai.judges.adapters.utils")
providers = optional_module("mlflow.gateway.providers.utils")

SELF_URL: Final = "http://workspace-authz.invalid"
"""``.invalid`` is never resolved (RFC 6761, 6.4)."""

_NESTED: Final = "A guardrail can only use endpoints that have no guardrails of their own."
_FORBIDDEN: Final = "The guardrail works with a gateway endpoint that you may not use."
"""Without the endpoint's name, which the caller need not know; the audit record has it."""


def apply(*, static_prefix: str) -> None:
    """Replace the three functions by which MLflow's guardrails call their server."""
    address = partial(server_base_url, static_prefix)
    replace_attribute(guardrail_utils, "get_server_base_url", by=address)  # until 3.17
    replace_attribute(guardrail_utils, "get_server_self_url", by=address)  # since 3.18
    replace_attribute(guardrails, "send_request", by=send_request)
    replace_attribute(judges, "requests", by=JudgeRequests())


def server_base_url(static_prefix: str, request: object) -> str:
    """The address for MLflow's calls to itself. MLflow asks for it before it runs guardrails.

    Raises ``HTTPException`` when the request is such a call itself: a judge whose endpoint has that judge as
    a guardrail would call itself without end.
    """
    if self_calls.get() is None:
        raise HTTPException(status_code=400, detail=_NESTED)
    return SELF_URL + static_prefix


async def send_request(
    headers: Mapping[str, str], base_url: str, path: str, payload: object, **_: object
) -> Any:
    """The answer to a guardrail that asks for a rewritten text. The parameters are MLflow's.

    Raises ``HTTPException``, as MLflow's own function does.
    """
    call = SelfCall(
        path=_path(f"{base_url}/{path}"),
        document=payload,
        skips_guardrails=headers.get(guardrails._SANITIZE_BYPASS_HEADER) == "1",
    )
    started = time.perf_counter()
    try:
        answer = await _calls().ask(call, seconds=MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS.get())
    except RequestError as error:
        raise HTTPException(status_code=error.status, detail=_message(error)) from None
    except TimeoutError:
        raise HTTPException(status_code=504, detail="The endpoint that rewrites did not answer.") from None
    finally:
        waited = (time.perf_counter() - started) * 1000
        duration = providers.provider_call_duration_ms
        duration.set(duration.get() + waited)
    if answer.status >= 400 or not answer.content_type.startswith("application/json"):
        raise HTTPException(status_code=answer.status, detail=answer.body.decode("utf-8", "replace"))
    return json.loads(answer.body)


class JudgeRequests:
    """The module ``requests`` as MLflow's judges use it: ``post``, and exceptions by which they try again."""

    def __getattr__(self, name: str) -> Any:
        return getattr(requests, name)

    def post(self, url: str, *, headers: Mapping[str, str], json: Any, timeout: float) -> Any:
        """A judge's call, made in a worker thread. ``timeout`` in seconds.

        A call to :data:`SELF_URL` stays in the process; any other is made by ``requests``, unchanged. Raises
        ``requests.exceptions.Timeout`` when no answer comes in time, and what ``requests.post`` raises.
        """
        if not url.startswith(f"{SELF_URL}/"):
            return requests.post(url=url, headers=headers, json=json, timeout=timeout)
        caller = constants.MLFLOW_GATEWAY_CALLER_HEADER
        kept = {name: value for name, value in headers.items() if name == caller}
        call = SelfCall(path=_path(url), document=json, headers=kept)
        try:
            answer = _calls().ask_from_thread(call, seconds=timeout)
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
    return url.removeprefix(SELF_URL)


def _message(error: RequestError) -> str:
    return _FORBIDDEN if isinstance(error, ForbiddenError) else error.message


def _refusal(error: RequestError) -> SelfAnswer:
    content = {"error": {"message": _message(error)}}
    return SelfAnswer(status=error.status, content_type="application/json", body=json.dumps(content).encode())


def _response(answer: SelfAnswer) -> Any:
    response = requests.Response()
    response.status_code = answer.status
    response.headers["Content-Type"] = answer.content_type
    response._content = answer.body
    return response
