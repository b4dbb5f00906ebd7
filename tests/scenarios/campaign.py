"""Every route of the catalog called in turn, by nobody, by somebody without rights and by who holds them.

The requests go one after the other over one connection to one worker, so the audit trail tells them in the
same order: each is paired with its record afterwards.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from tests.harness.http import Answer, Headers, Http, bearer
from tests.harness.plane import Plane, User, rights
from tests.harness.releases import USUAL, has
from tests.harness.server import WORKSPACE, MlflowServer
from tests.scenarios.people import ABSENT, MATRIX, People
from tests.scenarios.recipes import MINIMAL, RECIPES
from tests.scenarios.recipes.model import Call, Recipe
from tests.scenarios.studio import Studio
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import AnyRight, Authenticated, Guarded, Public, Refused, Requirement
from workspace_authz.types import USABLE, USE, Resource, Verb

SOME_RIGHT = "get datasets"
ANOTHER = "another-object"
EVERY_RIGHT = (
    *(f"{verb} {resource}" for resource in Resource for verb in Verb),
    *(f"{Verb.CREATE} {resource}/{USE}" for resource in sorted(USABLE)),
)
_NOT_THERE = frozenset({404, 405})


@dataclass(slots=True)
class Seen:
    """An answer and, once the audit trail was read, its record."""

    answer: Answer
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Observation:
    """What one route answered to whom. None: it was not asked, because its policy is of another kind."""

    nobody: Seen | None = None
    powerless: Seen | None = None
    powerless_elsewhere: Seen | None = None
    """The same caller, naming a namespace that does not exist."""
    elsewhere: Seen | None = None
    """Who holds every right in another workspace."""
    other: Seen | None = None
    """Who holds every right on another object."""
    holder: Seen | None = None
    """Who holds exactly what the route needs."""
    minimal: Seen | None = None
    """Who holds less, enough for the same operation called with fewer names."""
    root: Seen | None = None
    answers: frozenset[int] = frozenset()
    """MLflow's statuses for whom the guard lets through."""
    mark: str = ""
    """In the name of every object that there is."""
    failure: str = ""
    """What went wrong before the route could be called."""


class Recorder:
    """Sends requests and pairs them with the audit trail."""

    def __init__(self, server: MlflowServer) -> None:
        self._server = server
        self._http = Http(server.url)
        self._seen: list[Seen] = []
        server.skip_records()

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None,
        workspace: str | None,
        call: Call,
    ) -> Seen:
        """One request; ``path`` is complete."""
        headers = {**(bearer(token) if token else {}), **({WORKSPACE: workspace} if workspace else {})}
        target, own, content = request_of(method, path, call)
        answer = self._http.request(method, target, headers={**headers, **own}, body=content)
        seen = Seen(answer)
        self._seen.append(seen)
        return seen

    def close(self) -> None:
        """Read the audit trail: exactly one record of each request, in order."""
        self._http.close()
        records = self._server.records(len(self._seen))
        assert len(records) == len(self._seen)
        for seen, record in zip(self._seen, records, strict=True):
            unseen = record["status"] is None and seen.answer.status == 500  # an exception in MLflow
            assert unseen or record["status"] == seen.answer.status, (record, seen)
            seen.record = record


def needed(entry: Entry, recipes: Mapping[str, Recipe] = RECIPES) -> tuple[str, ...]:
    """The rights that the entry's recipe needs, in the catalog's order, each once: ``get experiments``."""
    match entry.route.policy:
        case Guarded(requirements=requirements):
            recipe = recipes[entry.route.operation]
            asked = (each for each in requirements if called_for(each, recipe))
            return tuple(dict.fromkeys(f"{each.verb} {each.qualified_resource}" for each in asked))
        case AnyRight():
            return (SOME_RIGHT,)
        case _:
            return ()


def called_for(requirement: Requirement, recipe: Recipe) -> bool:
    """Whether the recipe's call brings the requirement into play."""
    if requirement.graphql_field:
        return requirement.graphql_field not in recipe.absent
    absent = any({source.field, source.identifies} & recipe.absent for source in requirement.names)
    if requirement.when_present:
        return not absent
    return absent if requirement.unless_present else True


def given_holders(plane: Plane, people: People, entries: Sequence[Entry]) -> Mapping[frozenset[str], User]:
    """A user for each set of rights that some entry needs, with a Role of exactly these; and otto's Role."""
    _bind_to(plane, people.otto, [{**rule, "resourceNames": [ANOTHER]} for rule in rights(*EVERY_RIGHT)])
    minimal = {frozenset(needed(entry, MINIMAL)) for entry in entries if entry.route.operation in MINIMAL}
    wanted = sorted({frozenset(needed(entry)) for entry in entries} - {frozenset()} | minimal, key=sorted)
    holders = dict(zip(wanted, people.holders, strict=False))
    assert len(holders) == len(wanted)
    for held, user in holders.items():
        _bind_to(plane, user, rights(*sorted(held)))
    for held, user in holders.items():
        verb, _, resource = min(held).partition(" ")
        plane.wait_for_access(user.token, MATRIX, verb=verb, resource=resource)
    return holders


def _bind_to(plane: Plane, user: User, rules: Sequence[Mapping[str, Any]]) -> None:
    plane.role(MATRIX, user.name, rules=[dict(rule) for rule in rules])
    plane.bind(MATRIX, user.name, user=user.name, kind="Role")


@dataclass(slots=True)
class Campaign:
    """Calls routes on one server."""

    server: MlflowServer
    people: People
    holders: Mapping[frozenset[str], User]
    provider: str
    """The address of a model provider for the gateway."""
    release: str = USUAL
    """The server's. An older one lacks newer routes."""
    mark: str = field(default_factory=lambda: f"made{secrets.token_hex(5)}")
    """In the name of everything that the campaign makes."""
    recorder: Recorder = field(init=False)
    studio: Studio = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.server)
        numbers = itertools.count()
        self.studio = Studio(
            self._ask_as_root,
            MATRIX,
            self.server.database,
            self.provider,
            lambda: f"{self.mark}-{next(numbers)}",
        )

    def run(self, entries: Sequence[Entry]) -> Mapping[Entry, Observation]:
        """Call each entry and pair the answers with the audit trail."""
        observed = {entry: self._observe(entry) for entry in entries}
        self.recorder.close()
        return observed

    def _ask_as_root(
        self,
        method: str,
        path: str,
        *,
        json_body: object = None,
        body: bytes | None = None,
        headers: Headers = (),
    ) -> Answer:
        path = self.server.options.prefix + path
        call = Call(json=json_body, body=body, headers=dict(headers))
        token = self.people.root.token
        return self.recorder.ask(method, path, token=token, workspace=MATRIX, call=call).answer

    def _observe(self, entry: Entry) -> Observation:
        try:
            call = self._call(entry)
        except AssertionError as error:
            return Observation(failure=str(error))
        observed = Observation(
            nobody=self._as(None, entry, call), answers=self._answers(entry), mark=self.mark
        )
        match entry.route.policy:
            case Public():
                pass
            case Refused():
                observed.powerless = self._as(self.people.mallory, entry, call)
                observed.root = self._as(self.people.root, entry, call)
            case Authenticated():
                observed.powerless = self._as(self.people.mallory, entry, call)
            case AnyRight() | Guarded():
                observed.powerless = self._as(self.people.mallory, entry, call)
                observed.powerless_elsewhere = self._as(
                    self.people.mallory, entry, elsewhere(call), workspace=ABSENT
                )
                observed.elsewhere = self._as(self.people.carol, entry, call)
                observed.other = self._as(self.people.otto, entry, call)
                observed.holder = self._as(self.holders[frozenset(needed(entry))], entry, call)
                if entry.route.operation in MINIMAL:
                    call = MINIMAL[entry.route.operation].make(self.studio)
                    observed.minimal = self._as(self.holders[frozenset(needed(entry, MINIMAL))], entry, call)
        return observed

    def _answers(self, entry: Entry) -> frozenset[int]:
        if isinstance(entry.route.policy, Refused):
            return frozenset()
        return RECIPES[entry.route.operation].answers if self._serves(entry) else _NOT_THERE

    def _serves(self, entry: Entry) -> bool:
        return has(self.release, entry.route)

    def _call(self, entry: Entry) -> Call:
        if isinstance(entry.route.policy, Refused):
            return Call()
        # What has no route cannot be made; nothing is there under any name.
        return RECIPES[entry.route.operation].make(self.studio) if self._serves(entry) else Call()

    def _as(self, user: User | None, entry: Entry, call: Call, *, workspace: str = MATRIX) -> Seen:
        token = user.token if user else None
        return self.recorder.ask(entry.method, entry.path, token=token, workspace=workspace, call=call)


def elsewhere(call: Call) -> Call:
    if "workspace_name" not in call.path:
        return call
    return Call(path={"workspace_name": ABSENT})


def request_of(method: str, template: str, call: Call) -> tuple[str, Mapping[str, str], bytes | None]:
    """Target, headers and body of a call."""
    content = _content(method, call)
    kind = {"Content-Type": "application/json"} if content is not None and call.body is None else {}
    return _target(method, template, call), {**kind, **call.headers}, content


def _target(method: str, template: str, call: Call) -> str:
    path = template
    while "{" in path:
        before, _, rest = path.partition("{")
        parameter, _, after = rest.partition("}")
        name, _, kind = parameter.partition(":")
        value = quote(call.path.get(name, "nothing"), safe="/" if kind == "path" else "")
        path = before + value + after
    query = {**call.query, **(call.fields if method == "GET" else {})}
    return f"{path}?{urlencode(query, doseq=True)}" if query else path


def _content(method: str, call: Call) -> bytes | None:
    if call.body is not None:
        return call.body
    if call.json is not None:
        return json.dumps(call.json).encode()
    return json.dumps(call.fields).encode() if method != "GET" else None
