"""The catalog against MLflow, the usual release and the newest: same routes, same route for each request."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.releases import NEWEST, USUAL, has
from tests.mlflow_adapter.mlflow_routing import Question, Routing, ask
from workspace_authz.catalog.compile import LONGEST_PATH, CompiledCatalog, Match, compile_catalog
from workspace_authz.catalog.model import Guarded, Origin
from workspace_authz.catalog.template import shape

ONLY_WITH_EXPOSE_PROMETHEUS = ("GET", "/metrics")

ODD_VALUES = (
    *("a", "ä b", "team/slug", "a//b", "/a", "a/", ".", "..", "a/../b", "%2F", "\\", "x:generateContent"),
    *("versions", "a/versions/b", "tags", "endpoints", "aliases", "search", "get", "mlflow", "proxy", ""),
    *("invocations", "mlflow/invocations", "endpoints/x", "versions/1/tags", "{x}", "a\n", "a\nb", "<x>"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def questions(catalog: CompiledCatalog) -> Iterator[Question]:
    """Every entry filled in some ways that a client might think of, each also a little wrong."""
    chance = random.Random(20317)
    for entry in catalog.entries:
        for _ in range(12 if "{" in entry.path else 1):
            parts = [chance.choice(ODD_VALUES) if "{" in part else part for part in entry.path.split("/")]
            if ":generateContent" in entry.path or ":streamGenerateContent" in entry.path:
                parts[-1] += entry.path[entry.path.rindex(":") :]
            path = "/".join(parts)
            yield entry.method, path
            yield chance.choice(METHODS), path
            wrong = list(parts)
            wrong.insert(chance.randint(1, len(wrong)), chance.choice(ODD_VALUES))
            yield entry.method, "/".join(wrong)
            del wrong[chance.randrange(1, len(wrong))]
            yield entry.method, "/".join(wrong) or "/"


class Compared:
    """One release and one static prefix: our catalog and MLflow's answers."""

    def __init__(self, release: str, static_prefix: str, *, directory: Path) -> None:
        self.release = release
        self.catalog = compile_catalog(static_prefix=static_prefix)
        self.asked = sorted({question for question in questions(self.catalog) if question[1].startswith("/")})
        self.mlflow: Routing = ask(
            self.asked, release=release, static_prefix=static_prefix, directory=directory
        )
        self.by_shape = {(entry.method, shape(entry.path)): entry for entry in self.catalog.entries}

    def expected(self, method: str, path: str) -> Match | None:
        """MLflow's answer in our words."""
        answer = self.mlflow.answers[method, path]
        if answer is None:
            return None
        entry = self.by_shape["GET" if method == "HEAD" else method, shape(answer.template)]
        return Match(entry.route, answer.parameters)


@pytest.fixture(
    scope="module",
    params=[(USUAL, ""), (USUAL, "/mlflow"), (NEWEST, "")],
    ids=["root", "prefix", "newest"],
)
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    return Compared(*request.param, directory=tmp_path_factory.mktemp("mlflow"))


def test_the_catalog_covers_all_that_mlflow_serves(compared: Compared) -> None:
    served = [route.split(" ", 1) for route in compared.mlflow.served]
    assert len(served) > 480
    assert [found for found in served if not compared.catalog.covers(*found)] == []


def test_the_catalog_has_no_entry_that_mlflow_does_not_serve(compared: Compared) -> None:
    served = {(method, shape(path)) for method, _, path in (s.partition(" ") for s in compared.mlflow.served)}
    dead = {
        (entry.method, entry.path)
        for entry in compared.catalog.entries
        if has(compared.release, entry.route) and (entry.method, shape(entry.path)) not in served
    }
    # Flask has no rule for the prefix without its slash, but redirects it.
    assert dead - {("GET", "/mlflow")} == {ONLY_WITH_EXPOSE_PROMETHEUS}


def test_a_request_is_never_judged_as_another_than_mlflow_takes_it_for(compared: Compared) -> None:
    wrong = {}
    for method, path in compared.asked:
        match = compared.catalog.match(method, path)
        expected = compared.expected(method, path)
        # Without an answer of MLflow's nothing is served: not found, another method, a redirect.
        if match is not None and expected is not None and match != expected:
            wrong[method, path] = match, expected
    assert wrong == {}


def test_what_mlflow_serves_is_matched_but_for_stated_exceptions(compared: Compared) -> None:
    missed = [
        (method, path)
        for method, path in compared.asked
        if (expected := compared.expected(method, path)) is not None
        and compared.catalog.match(method, path) is None
        and not _refused_on_purpose(path, expected)
    ]
    assert missed == []


def _refused_on_purpose(path: str, expected: Match) -> bool:
    """Empty names, line breaks, and leading slashes, which Werkzeug drops without a redirect."""
    return (
        not all(expected.parameters.values())
        or "\n" in path
        or path.startswith("//")
        or len(path) > LONGEST_PATH
    )


def test_enough_was_asked(compared: Compared) -> None:
    answered = [answer for answer in compared.mlflow.answers.values() if answer is not None]
    assert len(compared.asked) > 3000
    assert len(answered) > 1000


def test_fields_of_rpcs_are_those_of_their_messages(compared: Compared) -> None:
    unknown, checked = [], 0
    for entry in compared.catalog.entries:
        fields = compared.mlflow.messages.get(entry.route.operation)
        if fields is None or not isinstance(entry.route.policy, Guarded):
            continue
        for source in (source for need in entry.route.policy.requirements for source in need.names):
            if source.origin is Origin.BODY:
                checked += 1
                unknown += [
                    (entry.path, field) for field in (source.field, *source.aliases) if field not in fields
                ]
    assert unknown == []
    assert checked > 150


def test_where_a_message_knows_a_second_spelling_the_catalog_does(compared: Compared) -> None:
    """``run_uuid`` stands for ``run_id`` in the messages that have it (handlers: ``run_id or run_uuid``)."""
    for entry in compared.catalog.entries:
        fields = compared.mlflow.messages.get(entry.route.operation, ())
        if "run_uuid" in fields and isinstance(entry.route.policy, Guarded):
            first = entry.route.policy.requirements[0].names[0]
            assert (first.field, first.aliases) == ("run_id", ("run_uuid",)), entry.path
