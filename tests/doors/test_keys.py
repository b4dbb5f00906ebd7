"""The page and the API of access keys, apart from any cluster: bounds, prefixes, and where keys are used."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlencode

import pytest

from tests.doors.doors import TOKEN, Answer, beyond, call
from tests.grants.kept_secrets import NAME, VALUE, KeptSecrets
from tests.harness.fakes import Records, ScriptedReviews
from tests.pipeline.routes import pipeline_over
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.doors.people import keys_api, keys_page
from workspace_authz.doors.visits import OwnRoutesMiddleware
from workspace_authz.identity.audiences import Audiences
from workspace_authz.kubernetes.callers_objects import CallersObjects, ImpersonatedObjects
from workspace_authz.kubernetes.objects import Objects
from workspace_authz.kubernetes.reviews import RulesAnswer
from workspace_authz.runtime.people import People
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.types import Caller

PAGE, API = "/mlflow/workspace-authz/keys", "/mlflow/workspace-authz/api/keys"
OWN = (b"sec-fetch-site", b"same-origin")
FORM = {"workspace": "team-a", "account": "trainer", "purpose": "x", "days": "7"}


@dataclass(frozen=True)
class Same:
    """The same objects for everybody."""

    objects: Objects

    def of(self, caller: Caller) -> Objects:
        return self.objects


@dataclass(frozen=True)
class Unknown:
    """Callers whom the Kubernetes API does not know by what they have shown."""

    def of(self, caller: Caller) -> None:
        return None


@dataclass
class Door:
    """The routes of keys, below a static prefix."""

    reviews: ScriptedReviews
    secrets: KeptSecrets = field(default_factory=KeptSecrets)
    audit: Records = field(default_factory=Records)
    people: People | None = None

    def runtime(self) -> Runtime:
        return Runtime(
            pipeline_over(self.reviews), self.audit, body_bytes=1, directory=None, people=self.people
        )

    async def ask(self, method: str, path: str, *headers: tuple[bytes, bytes], body: bytes = b"") -> Answer:
        app = OwnRoutesMiddleware(
            beyond,
            routes=[*keys_page.ROUTES, *keys_api.ROUTES],
            static_prefix="/mlflow",
            runtime=self.runtime,
        )
        return await call(app, method, path, TOKEN, OWN, *headers, body=body)

    async def make(self, *headers: tuple[bytes, bytes]) -> str:
        answer = await self.ask("POST", PAGE, *headers, body=urlencode(FORM).encode())
        assert answer.status == 200
        return answer.body.decode()


@pytest.fixture
def door(reviews: ScriptedReviews) -> Door:
    reviews.rules_answer = RulesAnswer((), incomplete=False)
    door = Door(reviews)
    door.people = people_of(door)
    return door


def people_of(door: Door, **more: Any) -> People:
    return People(
        RbacIndex(),
        Generations(lambda: 0.0),
        cast(CallersObjects, Same(door.secrets)),
        impersonated=None,
        rbac_only=True,
        reviews=door.reviews,
        audiences=more.pop("audiences", Audiences(())),
        **more,
    )


@pytest.mark.parametrize(
    ("host", "uri"),
    [
        (b"mlflow.test:5000", "http://mlflow.test:5000/mlflow"),
        (b"[::1]:5000", "http://[::1]:5000/mlflow"),
        (b"mlflow.test'; rm -rf ~ #", "https://mlflow.example.com"),
        (b"a b", "https://mlflow.example.com"),
    ],
)
async def test_lines_name_the_server_as_it_was_asked(door: Door, host: bytes, uri: str) -> None:
    assert f">MLFLOW_TRACKING_URI={uri}\n" in await door.make((b"host", host))


async def test_lines_name_the_server_as_an_operator_has_said(door: Door) -> None:
    door.people = people_of(door, origins=("https://public.test",))
    assert ">MLFLOW_TRACKING_URI=https://public.test/mlflow\n" in await door.make((b"host", b"x"))


async def test_the_answer_is_kept_by_nobody_and_the_record_holds_no_key(door: Door) -> None:
    answer = await door.ask("POST", PAGE, body=urlencode(FORM).encode())
    assert VALUE in answer.body.decode()
    assert answer.headers[b"cache-control"] == b"no-store"
    (record,) = door.audit.kept
    assert record["change"] == "an access key of trainer"
    assert VALUE not in json.dumps(record)


async def test_forms_and_links_lie_below_the_static_prefix(door: Door) -> None:
    await door.make()
    door.secrets.accounts = [{"metadata": {"name": "trainer"}}]
    text = (await door.ask("GET", f"{PAGE}?workspace=team-a")).body.decode()
    assert f'action="{PAGE}"' in text
    assert f'action="{PAGE}/revoke"' in text
    assert '<select name="account"><option value="trainer">' in text
    answer = await door.ask("POST", f"{PAGE}/revoke", body=urlencode({**FORM, "name": NAME}).encode())
    assert f"The key <code>{NAME}</code> ends within 30 seconds." in answer.body.decode()
    assert door.secrets.secrets == {}


async def test_a_server_that_remembers_owners_longer_says_so(door: Door) -> None:
    door.people = people_of(door, identity_seconds=60.0)
    text = (await door.ask("GET", f"{PAGE}?workspace=team-a")).body.decode()
    assert "ends the key within 75 seconds" in text


async def test_nobody_is_acted_as_even_where_an_operator_lets_the_server(door: Door) -> None:
    """Given a server that may grant in the name of others, then it still makes no keys in their name."""
    acting = cast(ImpersonatedObjects, Same(door.secrets))
    people = replace(people_of(door), objects=cast(CallersObjects, Unknown()), impersonated=acting)
    door.people = people
    answer = await door.ask("POST", PAGE, body=urlencode(FORM).encode())
    assert answer.status == 403
    assert "workspace-authz keys create SERVICE_ACCOUNT -n team-a" in answer.body.decode()
    assert door.secrets.secrets == {}


async def test_accounts_beyond_the_bound_can_be_named(door: Door) -> None:
    door.secrets.accounts = [{"metadata": {"name": f"a{number}"}} for number in range(201)]
    text = (await door.ask("GET", f"{PAGE}?workspace=team-a")).body.decode()
    assert '<input name="account" required maxlength="253" list="accounts">' in text
    assert text.count('<option value="a') == 200


async def test_audiences_are_offered_and_nothing_else_where_there_is_nothing_else(door: Door) -> None:
    door.people = people_of(door, audiences=Audiences(("mlflow", "other"), only=True))
    text = (await door.ask("GET", f"{PAGE}?workspace=team-a")).body.decode()
    assert text.count('<option value="mlflow"') == text.count('<option value="other"') == 1
    assert "MLflow and the Kubernetes API" not in text
    refused = await door.ask("POST", PAGE, body=urlencode({**FORM, "audience": ""}).encode())
    assert refused.status == 400
    await door.make()
    (secret,) = door.secrets.secrets.values()
    assert secret["metadata"]["annotations"]["workspace-authz/audience"] == "mlflow"


async def test_what_one_caller_asks_at_once_is_bounded(door: Door) -> None:
    """Given an API server that gives no tokens, then a caller's further requests are told to come later."""
    door.secrets.waits = True
    body = urlencode(FORM).encode()
    waiting = [asyncio.create_task(door.ask("POST", PAGE, body=body)) for _ in range(13)]
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=60)
    assert {task.result().status for task in done} == {429}
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert door.secrets.secrets == {}


@pytest.mark.parametrize(("method", "path"), [("GET", PAGE), ("GET", API)])
async def test_before_kubernetes_is_known_the_answer_is_503(door: Door, method: str, path: str) -> None:
    door.people = None
    assert (await door.ask(method, f"{path}?workspace=team-a")).status == 503


async def test_a_request_without_a_workspace_is_told_so(door: Door) -> None:
    answer = await door.ask("GET", API)
    assert (answer.status, answer.document["message"]) == (400, "Name the workspace.")
