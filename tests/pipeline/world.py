"""Somebody who holds rights on some names only, before a pipeline of the whole catalog."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.harness.fakes import NO, YES, ScriptedReviews
from tests.pipeline.known_objects import KnownObjects
from tests.pipeline.routes import pipeline_over
from workspace_authz.authorizer.named_rights import NamedRights, RulesReviewNames
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.effects.ciphers import AesCipher
from workspace_authz.effects.effects import Narrowing
from workspace_authz.kubernetes.reviews import AccessAnswer, ResourceRule, RulesAnswer
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.pipeline.case import ListRights
from workspace_authz.pipeline.parts import MLflowAtHand
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import Pass, Verdict
from workspace_authz.types import API_GROUP, Attributes

V2 = "/api/2.0/mlflow"
OWN, SIBLING, ABSENT = "1" * 32, "2" * 32, "3" * 32
TRACE, OTHER_TRACE = "tr-1", "tr-2"
KNOWN = {
    "7": "fraud",
    "8": "churn",
    OWN: "fraud",
    SIBLING: "churn",
    TRACE: "fraud",
    OTHER_TRACE: "churn",
    "m-1": "fraud",
    "m-2": "churn",
}


class World:
    """``held`` are rights as ``get experiments fraud``; without a name they are broad."""

    def __init__(self, *held: str) -> None:
        self.held = held
        self.reviews = ScriptedReviews()
        self.reviews.may_answer = self._answer
        self.objects = KnownObjects(KNOWN)
        self.reviews.rules_answer = RulesAnswer(tuple(map(_rule, held)), incomplete=False)
        broad_only = pipeline_over(self.reviews)
        rights = NamedRights((RulesReviewNames(broad_only.authorizer),))
        mlflow = MLflowAtHand(self.objects, self.objects, lists=ListRights(rights, AesCipher(None)))
        self.pipeline: Pipeline = replace(broad_only, catalog=compile_catalog(), mlflow=mlflow)

    def _answer(self, asked: Attributes) -> AccessAnswer:
        return YES if f"{asked.verb} {asked.qualified_resource} {asked.name}".strip() in self.held else NO

    def request(
        self, method: str, path: str, *, query: str = "", workspace: str = "team-a", **fields: object
    ) -> AccessRequest:
        content = json.dumps(fields).encode() if fields else b""
        headers = [
            (b"authorization", b"Bearer token"),
            (b"x-mlflow-workspace", workspace.encode()),
            (b"content-length", str(len(content)).encode()),
        ]
        return AccessRequest(method, path, headers=headers, query=query.encode(), body=GivenBody(content))

    async def judge(self, method: str, path: str, **given: Any) -> Verdict:
        return await self.pipeline.judge(self.request(method, path, **given))


def _rule(held: str) -> ResourceRule:
    verb, resource, *names = held.split(" ", 2)
    return ResourceRule(*map(frozenset, ((verb,), (API_GROUP,), (resource,), names)))


def narrowing_of(verdict: Verdict) -> Narrowing | None:
    """How a list is kept to what the caller may see, if it is."""
    return verdict.effects.narrowing if isinstance(verdict, Pass) else None
