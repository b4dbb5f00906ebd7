"""The same requests, in the same order, to both engines: status, body and words are those of kube-apiserver.

What a cluster makes up (uids, versions, times, tokens) is blanked; ``managedFields`` are left out, because
this engine records them for appliers only.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.devplane.embedded.parity_steps import LONGEST_TOKEN_SECONDS, STEPS, Step
from tests.devplane.real import require_binaries
from workspace_authz.devplane.api import Answer, Api, connect, until
from workspace_authz.devplane.embedded import EmbeddedEngine
from workspace_authz.devplane.engine import EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine

pytestmark = pytest.mark.asyncio(loop_scope="module")

USERS = 'alice-token,alice,u1,"devs"\nbob-token,bob,u2\n'
MADE_UP = {"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "expirationTimestamp", "token"}
MADE_UP_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=in record \()\d+")


@dataclass(frozen=True, slots=True)
class Both:
    """Clients of the two engines, with the administrator's rights."""

    real: Api
    embedded: Api

    async def differences(self, steps: Sequence[Step]) -> list[str]:
        found: list[str] = []
        for step in steps:
            answers = await asyncio.gather(*self._ask(step))
            theirs, ours = [_comparable(step, answer) for answer in answers]
            if step.compared and theirs != ours:
                found.append(f"{step}\n  kube-apiserver: {theirs}\n  embedded:       {ours}")
        return found

    def _ask(self, step: Step) -> Sequence[Any]:
        return [_ask(api, step) for api in (self.real, self.embedded)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    require_binaries()
    state = tmp_path_factory.mktemp("parity")
    (state / "users.csv").write_text(USERS)
    async with AsyncExitStack() as stack:
        real = await _start(KubeApiserverEngine, state, stack)
        embedded = await _start(EmbeddedEngine, state, stack)
        yield Both(real, embedded)


async def _start(engine_type: Any, state: Path, stack: AsyncExitStack) -> Api:
    engine = engine_type(
        EngineOptions(
            state=state / engine_type.name,
            users=state / "users.csv",
            longest_token_seconds=LONGEST_TOKEN_SECONDS,
        )
    )
    endpoint = await engine.start()
    stack.push_async_callback(engine.stop)
    return await stack.enter_async_context(
        connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token)
    )


@pytest.mark.parametrize("name", STEPS)
async def test_both_engines_answer_alike(both: Both, name: str) -> None:
    found = await both.differences(STEPS[name])
    assert not found, "\n".join(found)


async def _ask(api: Api, step: Step) -> Answer:
    if step.awaited:
        await _wait(api, step)
    asked = api if not step.token else api.with_token(step.token)
    return await asked.request(step.method, step.path, body=step.body, content_type=step.content_type)


async def _wait(api: Api, step: Step) -> None:
    """Wait until a condition that controllers bring about holds: the step's own path answers so."""

    async def reached() -> bool:
        answer = await api.get(step.path)
        return answer.status == step.awaited

    async with asyncio.timeout(240):
        await until(reached)


def _comparable(step: Step, answer: Answer) -> str:
    if not step.words:
        return json.dumps([answer.status, answer.reason])
    return MADE_UP_TEXT.sub("<made up>", json.dumps([answer.status, _blank(answer.body)], sort_keys=True))


def _blank(value: Any) -> Any:
    if isinstance(value, list):
        return [_blank(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    kept = {key: _blank(item) for key, item in value.items() if key not in ("managedFields",)}
    return {key: "<made up>" if key in MADE_UP and item else item for key, item in kept.items()}
