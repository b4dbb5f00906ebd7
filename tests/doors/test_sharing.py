"""A caller who looks at permissions very often waits for themselves, and nobody waits for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

from tests.doors.doors import beyond, call
from tests.harness.fakes import Records, ScriptedReviews
from tests.kubernetes.informer_server import until
from tests.pipeline.routes import pipeline_over
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.people.sharing import sharing
from workspace_authz.doors.visits import OwnRoute, OwnRoutesMiddleware, Visit, json_answer
from workspace_authz.identity.audiences import Audiences
from workspace_authz.kubernetes.callers_objects import CallersObjects
from workspace_authz.runtime.people import People
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.types import UserInfo


async def test_one_callers_looks_are_bounded(reviews: ScriptedReviews) -> None:
    release, running = asyncio.Event(), 0

    async def look(visit: Visit) -> OwnAnswer:
        nonlocal running
        running += 1
        await release.wait()
        return json_answer({})

    people = People(
        RbacIndex(),
        Generations(lambda: 0.0),
        cast(CallersObjects, None),
        impersonated=None,
        rbac_only=True,
        reviews=reviews,
        audiences=Audiences(()),
    )
    runtime = replace(Runtime(pipeline_over(reviews), Records(), body_bytes=1, directory=None), people=people)
    route = OwnRoute("GET", "/look", sharing(look))
    app = OwnRoutesMiddleware(beyond, routes=[route], static_prefix="", runtime=lambda: runtime)

    def looking(token: bytes) -> asyncio.Task[int]:
        async def status() -> int:
            return (await call(app, "GET", "/look", (b"authorization", b"Bearer " + token))).status

        return asyncio.create_task(status())

    # Given as many looks of one caller as may run and wait
    shares = people.looks.shares
    alice = [looking(b"alice-token") for _ in range(shares.caller + shares.waiting)]
    await until(lambda: running == shares.caller)
    # Then one more is refused, and somebody else's runs at once
    assert await looking(b"alice-token") == 429
    reviews.who_answer = UserInfo("bob")
    bob = looking(b"bob-token")
    await until(lambda: running > shares.caller)
    assert running == shares.caller + 1
    release.set()
    assert set(await asyncio.gather(*alice, bob)) == {200}
